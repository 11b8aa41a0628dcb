//! One Ollama server over HTTP.

use super::words::{self, Line, Tally};
use crate::base::condition::Reason;
use crate::base::seen::Failure;
use crate::kind::ollamamodel::plan::Held;
use futures::StreamExt;
use serde::Deserialize;
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// A question that is not a pull is answered in this time.
const ANSWER: Duration = Duration::from_secs(10);
/// A pull without a new byte for this long is cut; Ollama itself would wait for ever (facts, testbed-ollama 3).
const STALL: Duration = Duration::from_secs(60);
/// Checking the digest of a large model is silent.
const VERIFY: Duration = Duration::from_secs(1800);
/// A list of models longer than this is no list of models. Bytes.
const LONGEST_ANSWER: usize = 16 << 20;
/// A line of a pull longer than this is no line of a pull. Bytes.
const LONGEST_LINE: usize = 1 << 20;

/// A server.
#[derive(Clone, Debug)]
pub struct Ollama {
    http: reqwest::Client,
    url: String,
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
}

/// The HTTP client for all servers: no redirects, since a server must not send the operator elsewhere.
///
/// # Errors
/// When the client cannot be built.
pub fn http() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(5))
        .no_proxy()
        .build()
}

impl Ollama {
    /// The server at that address of a pod.
    #[must_use]
    pub fn new(http: reqwest::Client, address: IpAddr, port: i32) -> Self {
        let host = if address.is_ipv6() {
            format!("[{address}]")
        } else {
            address.to_string()
        };
        Self {
            http,
            url: format!("http://{host}:{port}"),
        }
    }

    /// The models that it has.
    ///
    /// # Errors
    /// `ServerUnreachable` when it does not answer, or not as Ollama does.
    pub async fn models(&self) -> Result<Vec<Held>, Failure> {
        let ask = async {
            let answer = self
                .http
                .get(format!("{}/api/tags", self.url))
                .send()
                .await?
                .error_for_status()?;
            let mut body = vec![];
            let mut stream = answer.bytes_stream();
            while let Some(chunk) = stream.next().await {
                body.extend_from_slice(&chunk?);
                if body.len() > LONGEST_ANSWER {
                    break;
                }
            }
            Ok::<_, reqwest::Error>(body)
        };
        let body = timeout(ANSWER, ask)
            .await
            .map_err(|_| unreachable("no answer in 10 s"))?
            .map_err(|e| unreachable(&plain(&e)))?;
        let tags: Tags =
            serde_json::from_slice(&body).map_err(|_| unreachable("/api/tags is not what Ollama answers"))?;
        Ok(tags
            .models
            .into_iter()
            .map(|t| Held {
                name: t.name,
                digest: t.digest,
                size: t.size,
            })
            .collect())
    }

    /// Pulls a model, and tells of each change in how far it is. Dropping the future ends the download; the server
    /// keeps what it has and goes on from there at the next pull.
    ///
    /// # Errors
    /// Whatever Ollama says; `PullStalled` when no byte comes; `InvalidStream` when the stream makes no sense or ends
    /// without success.
    pub async fn pull(&self, model: &str, insecure: bool, mut told: impl FnMut(i64, i64)) -> Result<(), Failure> {
        let body = serde_json::json!({"model": model, "insecure": insecure, "stream": true});
        let ask = self.http.post(format!("{}/api/pull", self.url)).json(&body).send();
        let answer = timeout(STALL, ask)
            .await
            .map_err(|_| stalled())?
            .map_err(|e| unreachable(&plain(&e)))?;
        if !answer.status().is_success() {
            return Err(refused(answer).await);
        }
        let mut stream = answer.bytes_stream();
        let (mut buffer, mut tally) = (vec![], Tally::default());
        let (mut bytes, mut moved) = (tally.bytes(), Instant::now());
        loop {
            let patience = if tally.verifying { VERIFY } else { STALL };
            let Ok(next) = tokio::time::timeout_at(moved + patience, stream.next()).await else {
                return Err(stalled());
            };
            let Some(chunk) = next else { break };
            buffer.extend_from_slice(&chunk.map_err(|e| invalid(&format!("the stream broke: {}", plain(&e))))?);
            let verifying = tally.verifying;
            take_lines(&mut buffer, &mut tally)?;
            if tally.bytes() != bytes || tally.verifying != verifying {
                (bytes, moved) = (tally.bytes(), Instant::now());
                told(bytes.0, bytes.1);
            } else if moved.elapsed() > patience {
                // Lines go on when nothing moves.
                return Err(stalled());
            }
        }
        if tally.succeeded {
            Ok(())
        } else {
            Err(invalid("the stream ended without success"))
        }
    }
}

fn take_lines(buffer: &mut Vec<u8>, tally: &mut Tally) -> Result<(), Failure> {
    while let Some(end) = buffer.iter().position(|b| *b == b'\n') {
        let line: Vec<u8> = buffer.drain(..=end).collect();
        if line.trim_ascii().is_empty() {
            continue;
        }
        let line: Line =
            serde_json::from_slice(&line).map_err(|_| invalid("a line of the stream is not what Ollama sends"))?;
        tally.take(line)?;
    }
    if buffer.len() > LONGEST_LINE {
        Err(invalid("a line of the stream has no end"))
    } else {
        Ok(())
    }
}

/// Errors before the first line come with a status of their own and `{"error": …}`.
async fn refused(answer: reqwest::Response) -> Failure {
    let status = answer.status();
    let body: Option<Line> = timeout(ANSWER, answer.json()).await.ok().and_then(Result::ok);
    match body.and_then(|l| l.error) {
        Some(error) => words::failure(&error),
        None => invalid(&format!("the server answered {status} to the pull")),
    }
}

/// The innermost cause, without the URL: addresses of pods change.
fn plain(error: &reqwest::Error) -> String {
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

fn invalid(message: &str) -> Failure {
    Failure {
        reason: Reason::InvalidStream,
        message: message.into(),
    }
}

fn stalled() -> Failure {
    Failure {
        reason: Reason::PullStalled,
        message: "no byte came for a minute; the pull goes on from where it was".into(),
    }
}
