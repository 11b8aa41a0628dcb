//! One Ollama server over HTTP.

mod stream;

use super::words;
use crate::base::condition::Reason;
use crate::base::seen::Failure;
use crate::kind::ollamamodel::definition::Shown;
use crate::kind::ollamamodel::plan::Held;
use futures::StreamExt;
use reqwest::{Method, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;

/// A question that is not a pull is answered in this time.
const ANSWER: Duration = Duration::from_secs(10);
/// Loading a large model into memory takes a while.
const LOAD: Duration = Duration::from_secs(600);
/// An answer longer than this is none of Ollama's. Bytes.
const LONGEST_ANSWER: usize = 16 << 20;

/// A server.
#[derive(Clone, Debug)]
pub struct Ollama {
    http: reqwest::Client,
    url: String,
    stall: Duration,
}

/// Why a server did not say what it has.
#[derive(Clone, Debug, PartialEq)]
pub struct Silence {
    /// For the status.
    pub failure: Failure,
    /// It took the question, and never answered.
    pub hangs: bool,
}

#[derive(Deserialize)]
struct Tags {
    models: Vec<Tag>,
}

#[derive(Deserialize)]
struct Tag {
    name: String,
    #[serde(default)]
    digest: String,
    #[serde(default)]
    size: i64,
    #[serde(default)]
    modified_at: String,
}

/// Questions come in groups, far apart: between them a connection to every server would only take memory.
const IDLE: Duration = Duration::from_secs(1);

/// The HTTP client for all servers: no redirects, since a server must not send the operator elsewhere.
///
/// # Errors
/// When the client cannot be built.
pub fn http() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(5))
        .pool_idle_timeout(IDLE)
        .no_proxy()
        .build()
}

impl Ollama {
    /// The server at that URL; a pull without a new byte for `stall` is cut.
    #[must_use]
    pub fn new(http: reqwest::Client, url: impl Into<String>, stall: Duration) -> Self {
        Self {
            http,
            url: url.into(),
            stall,
        }
    }

    /// The models that it has.
    ///
    /// # Errors
    /// `ServerUnreachable` when it does not answer, or not as Ollama does.
    pub async fn models(&self) -> Result<Vec<Held>, Silence> {
        let told = |failure| Silence { failure, hangs: false };
        let asked = self.http.get(self.at("/api/tags")).timeout(ANSWER).send().await;
        let answer = asked.map_err(|e| Silence {
            hangs: e.is_timeout() && !e.is_connect(),
            failure: unreachable(&plain(&e)),
        })?;
        let tags: Tags = read(ok(answer, "/api/tags").await.map_err(told)?, "/api/tags")
            .await
            .map_err(told)?;
        let held = |t: Tag| Held {
            name: t.name,
            digest: t.digest,
            size: t.size,
            modified: t.modified_at,
        };
        Ok(tags.models.into_iter().map(held).collect())
    }

    /// What it shows of a model.
    ///
    /// # Errors
    /// `UnknownModel` when it has not got it, else as [`Ollama::models`].
    pub async fn show(&self, model: &str) -> Result<Shown, Failure> {
        let answer = self
            .send(Method::POST, "/api/show", &json!({"model": model}), ANSWER)
            .await?;
        read(ok(answer, "/api/show").await?, "/api/show").await
    }

    /// Takes a model away; one that is not there is away already.
    ///
    /// # Errors
    /// What the server says, or that it does not answer.
    pub async fn delete(&self, model: &str) -> Result<(), Failure> {
        let answer = self
            .send(Method::DELETE, "/api/delete", &json!({"model": model}), ANSWER)
            .await?;
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(()),
            _ => ok(answer, "/api/delete").await.map(drop),
        }
    }

    /// Gives a model a second name.
    ///
    /// # Errors
    /// What the server says, or that it does not answer.
    pub async fn copy(&self, from: &str, to: &str) -> Result<(), Failure> {
        let body = json!({"source": from, "destination": to});
        let answer = self.send(Method::POST, "/api/copy", &body, ANSWER).await?;
        ok(answer, "/api/copy").await.map(drop)
    }

    /// True when a model is in memory.
    ///
    /// # Errors
    /// As [`Ollama::models`].
    pub async fn is_loaded(&self, key: &str) -> Result<bool, Failure> {
        let asked = self.http.get(self.at("/api/ps")).timeout(ANSWER).send().await;
        let answer = asked.map_err(|e| unreachable(&plain(&e)))?;
        let tags: Tags = read(ok(answer, "/api/ps").await?, "/api/ps").await?;
        Ok(tags.models.iter().any(|t| t.name.to_lowercase() == key))
    }

    /// Loads a model and keeps it for that long.
    ///
    /// # Errors
    /// What the server says, or that it does not answer.
    pub async fn load(&self, model: &str, keep_alive: &str) -> Result<(), Failure> {
        let keep: Value = keep_alive.parse::<i64>().map_or_else(|_| keep_alive.into(), Into::into);
        let body = json!({"model": model, "keep_alive": keep});
        let answer = self.send(Method::POST, "/api/generate", &body, LOAD).await?;
        if answer.status() != StatusCode::BAD_REQUEST {
            return ok(answer, "/api/generate").await.map(drop);
        }
        // Models that only embed refuse to generate.
        let body = json!({"model": model, "keep_alive": keep, "input": ""});
        let answer = self.send(Method::POST, "/api/embed", &body, LOAD).await?;
        ok(answer, "/api/embed").await.map(drop)
    }

    async fn send(&self, method: Method, path: &str, body: &Value, patience: Duration) -> Result<Response, Failure> {
        let request = self.http.request(method, self.at(path)).json(body).timeout(patience);
        request.send().await.map_err(|e| unreachable(&plain(&e)))
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }
}

/// An answer that is good; one that is not tells Ollama's own words, and never the body of something else.
async fn ok(answer: Response, path: &str) -> Result<Response, Failure> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    Err(match said(answer).await {
        Some(error) => words::failure(&error),
        None => unreachable(&format!("{path} is answered with {status}")),
    })
}

/// The `{"error": …}` of an answer.
async fn said(answer: Response) -> Option<String> {
    let body: Value = timeout(ANSWER, read(answer, "")).await.ok()?.ok()?;
    Some(body["error"].as_str()?.to_string())
}

/// A whole answer, as long as it is not too long.
async fn read<T: DeserializeOwned>(answer: Response, path: &str) -> Result<T, Failure> {
    let mut body = vec![];
    let mut stream = answer.bytes_stream();
    while let Some(chunk) = stream.next().await {
        body.extend_from_slice(&chunk.map_err(|e| unreachable(&plain(&e)))?);
        if body.len() > LONGEST_ANSWER {
            return Err(unreachable(&format!("{path} is answered with more than 16 MiB")));
        }
    }
    serde_json::from_slice(&body).map_err(|_| unreachable(&format!("{path} is not what Ollama answers")))
}

/// The innermost cause, without the URL: addresses of pods change.
fn plain(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".into();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    words::normalised(&cause.to_string())
}

fn unreachable(message: &str) -> Failure {
    Failure {
        reason: Reason::ServerUnreachable,
        message: format!("the server does not answer: {message}"),
    }
}
