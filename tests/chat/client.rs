//! A person at Open WebUI: signs up or in, chats, uploads; each request to the pod or the Service that is named.

use super::live::LIMIT;
use super::live::stage::Stage;
use anyhow::{Context, Result, bail};
use hyper::Request;
use hyper::body::Bytes;
use serde_json::{Value, json};

/// One who is signed in, or not yet.
pub struct Person<'a> {
    stage: &'a Stage,
    token: String,
}

/// An answer: its status and its JSON.
pub type Answer = (u16, Value);

impl<'a> Person<'a> {
    /// Someone whom nobody knows yet.
    pub fn stranger(stage: &'a Stage) -> Self {
        Self {
            stage,
            token: String::new(),
        }
    }

    /// Signs in at that host.
    ///
    /// # Errors
    /// When that is refused.
    pub async fn sign_in(stage: &'a Stage, host: &str, email: &str, password: &str) -> Result<Self> {
        let form = json!({"email": email, "password": password});
        Self::enter(stage, host, "signin", &form).await
    }

    /// Makes an account at that host.
    ///
    /// # Errors
    /// When that is refused.
    pub async fn sign_up(stage: &'a Stage, host: &str, email: &str) -> Result<Self> {
        let form = json!({"email": email, "password": "correct horse", "name": "Bob"});
        Self::enter(stage, host, "signup", &form).await
    }

    async fn enter(stage: &'a Stage, host: &str, how: &str, form: &Value) -> Result<Self> {
        let mut person = Self::stranger(stage);
        let path = format!("/api/v1/auths/{how}");
        let (status, answer) = person.ask(host, "POST", &path, Some(form)).await?;
        if status != 200 {
            bail!("{how} at {host}: {status} {answer}");
        }
        answer["token"]
            .as_str()
            .context("no token")?
            .clone_into(&mut person.token);
        Ok(person)
    }

    /// Sends a request as soon as somebody takes the connection.
    ///
    /// # Errors
    /// When nobody does in time, or the answer is no JSON.
    pub async fn ask(&self, host: &str, method: &str, path: &str, body: Option<&Value>) -> Result<Answer> {
        let body = body.map(|b| (b.to_string().into_bytes(), "application/json".to_string()));
        self.send(host, method, path, body).await
    }

    async fn send(&self, host: &str, method: &str, path: &str, body: Option<(Vec<u8>, String)>) -> Result<Answer> {
        let url = format!("http://{host}:8080{path}");
        let send = async || {
            let mut request = Request::builder().method(method);
            if !self.token.is_empty() {
                request = request.header("authorization", format!("Bearer {}", self.token));
            }
            if let Some((_, kind)) = &body {
                request = request.header("content-type", kind);
            }
            let bytes = body.as_ref().map(|(bytes, _)| bytes.clone()).unwrap_or_default();
            let reply = self
                .stage
                .cluster()
                .send(&url, request.body(Bytes::from(bytes))?)
                .await?;
            let status = reply.status;
            Ok(Some((status, reply.text().await?)))
        };
        let (status, text) = self
            .stage
            .namespace
            .until(&format!("an answer of {url}"), LIMIT, send)
            .await?;
        let answer = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok((status, answer))
    }

    /// The same, which must succeed.
    ///
    /// # Errors
    /// When it does not.
    pub async fn get(&self, host: &str, path: &str) -> Result<Value> {
        let (status, answer) = self.ask(host, "GET", path, None).await?;
        if status != 200 {
            bail!("GET {path} at {host}: {status} {answer}");
        }
        Ok(answer)
    }

    /// Asks the model for a few words.
    ///
    /// # Errors
    /// When it says nothing.
    pub async fn chat(&self, host: &str, model: &str) -> Result<String> {
        let question = json!({
            "model": model, "stream": false, "options": {"num_predict": 8, "seed": 1},
            "messages": [{"role": "user", "content": "why?"}],
        });
        let (status, answer) = self.ask(host, "POST", "/api/chat/completions", Some(&question)).await?;
        let said = answer["choices"][0]["message"]["content"].as_str().unwrap_or_default();
        if status != 200 || said.is_empty() {
            bail!("{model} at {host}: {status} {answer}");
        }
        Ok(said.to_string())
    }

    /// Writes a chat down, and gives its id.
    ///
    /// # Errors
    /// When it is not taken.
    pub async fn note(&self, host: &str, title: &str) -> Result<String> {
        let chat = json!({"chat": {"title": title, "messages": [], "history": {"messages": {}, "currentId": null}}});
        let (status, answer) = self.ask(host, "POST", "/api/v1/chats/new", Some(&chat)).await?;
        let id = answer["id"].as_str();
        id.map(str::to_string).with_context(|| format!("{status} {answer}"))
    }

    /// Uploads a file of text, and gives its id.
    ///
    /// # Errors
    /// When it is not taken.
    pub async fn upload(&self, host: &str, text: &str) -> Result<String> {
        let boundary = "a-boundary-of-its-own";
        let body = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\
             Content-Type: text/plain\r\n\r\n{text}\r\n--{boundary}--\r\n"
        );
        let kind = format!("multipart/form-data; boundary={boundary}");
        let path = "/api/v1/files/?process=false";
        let (status, answer) = self.send(host, "POST", path, Some((body.into_bytes(), kind))).await?;
        let id = answer["id"].as_str();
        id.map(str::to_string).with_context(|| format!("{status} {answer}"))
    }

    /// The content of a file that was uploaded.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn download(&self, host: &str, id: &str) -> Result<Answer> {
        self.ask(host, "GET", &format!("/api/v1/files/{id}/content"), None)
            .await
    }
}
