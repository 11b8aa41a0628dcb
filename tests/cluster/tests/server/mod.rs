//! A real Ollama server for these tests, on loopback, with its files in a folder of its own.

use std::{
    fs::{self, File},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use bytes::Bytes;
use cluster::faults::{Body, Upstream};
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A running server; dropping it stops it, and what it has loaded.
pub struct Ollama {
    server: Child,
    api: Upstream,
    _home: TempDir,
}

impl Ollama {
    /// Starts the server that is built from its Go module.
    pub async fn start() -> Self {
        let binary = cluster::tools::path(cluster::tools::Tool::Ollama).expect("Ollama is built from its Go module");
        let home = tempfile::tempdir().expect("a folder for Ollama");
        let log = home.path().join("log");
        // The server goes with the test also when the test is killed, and takes its runners along.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "TERM"])
            .arg(binary)
            .arg("serve")
            .env_clear();
        command
            .env("HOME", home.path())
            .env("OLLAMA_HOST", "127.0.0.1:0")
            .env("OLLAMA_NO_CLOUD", "1");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("a log for Ollama"));
        let server = command.spawn().expect("setpriv and the ollama binary start");
        let address = until("Ollama listens", || {
            let log = fs::read_to_string(&log).ok()?;
            let (_, rest) = log.split_once("Listening on ")?;
            Some(rest.split_once(' ')?.0.to_owned())
        });
        let api = Upstream::http(&format!("http://{}", address.await)).expect("Ollama prints its address");
        Self {
            server,
            api,
            _home: home,
        }
    }

    /// The status and the whole answer to a POST.
    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let response = self.request("POST", path, body).await;
        let status = response.status().as_u16();
        let body = response
            .into_body()
            .collect()
            .await
            .expect("the whole answer")
            .to_bytes();
        (status, serde_json::from_slice(&body).expect("an answer in JSON"))
    }

    /// Begins to pull.
    pub async fn pull(&self, model: &str) -> Pull {
        let response = self
            .request("POST", "/api/pull", &json!({"model": model, "insecure": true}))
            .await;
        Pull {
            body: response.into_body(),
            rest: Vec::new(),
        }
    }

    /// The model of this name in `/api/tags`.
    pub async fn tag(&self, model: &str) -> Option<Value> {
        let response = self.request("GET", "/api/tags", &Value::Null).await;
        let body = response
            .into_body()
            .collect()
            .await
            .expect("the list of models")
            .to_bytes();
        let tags: Value = serde_json::from_slice(&body).expect("the list in JSON");
        tags["models"]
            .as_array()?
            .iter()
            .find(|tag| tag["name"] == model)
            .cloned()
    }

    async fn request(&self, method: &str, path: &str, body: &Value) -> Response<Body> {
        let body = if body.is_null() {
            Bytes::new()
        } else {
            body.to_string().into()
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-length", body.len());
        let request = request.body(Full::new(body)).expect("a valid request");
        self.api.send(request).await.expect("Ollama answers")
    }
}

impl Drop for Ollama {
    fn drop(&mut self) {
        // SIGTERM: it ends its runners, which SIGKILL would leave behind.
        let _ = Command::new("kill").arg(self.server.id().to_string()).status();
        let _ = self.server.wait();
    }
}

/// The progress of a pull; dropping it gives the pull up.
pub struct Pull {
    body: Body,
    rest: Vec<u8>,
}

impl Pull {
    /// The next line, or `None` at the end of the stream.
    pub async fn line(&mut self) -> anyhow::Result<Option<Value>> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<_> = self.rest.drain(..=end).collect();
                return Ok(Some(serde_json::from_slice(&line)?));
            }
            match self.body.frame().await {
                None if self.rest.is_empty() => return Ok(None),
                None => bail!("the stream ended within a line"),
                Some(frame) => self
                    .rest
                    .extend(frame?.into_data().ok().context("trailers in the stream")?),
            }
        }
    }

    /// The last line.
    pub async fn end(mut self) -> Value {
        let mut last = Value::Null;
        while let Some(line) = self.line().await.expect("a stream of lines") {
            last = line;
        }
        last
    }
}

/// What `look` finds, as soon as it finds something.
pub async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "in 30 s it did not come to pass that {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
