//! Work that a server tells of line by line: pulls, and derived models being made.

use super::{Ollama, plain, said, unreachable};
use crate::base::condition::Reason;
use crate::base::seen::Failure;
use crate::ollama::words::{self, Line, Tally};
use futures::StreamExt;
use serde_json::{Map, Value, json};
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// Checking the digest of a large model is silent.
const VERIFY: Duration = Duration::from_secs(1800);
/// A line longer than this is none of Ollama's. Bytes.
const LONGEST_LINE: usize = 1 << 20;

impl Ollama {
    /// Pulls a model, and tells of each change in how far it is. Dropping the future ends the download; the server
    /// keeps what it has and goes on from there at the next pull.
    ///
    /// # Errors
    /// Whatever Ollama says; `PullStalled` when no byte comes; `InvalidStream` when the stream makes no sense or ends
    /// without success.
    pub async fn pull(&self, model: &str, insecure: bool, told: impl FnMut(&Tally)) -> Result<(), Failure> {
        let body = json!({"model": model, "insecure": insecure, "stream": true});
        self.follow("/api/pull", &body, self.stall, told).await
    }

    /// Makes a derived model.
    ///
    /// # Errors
    /// As [`Ollama::pull`]; what Ollama refuses is `CreateFailed`.
    pub async fn create(&self, model: &str, from: &str, fields: &Map<String, Value>) -> Result<(), Failure> {
        let mut body = fields.clone();
        body.insert("model".into(), model.into());
        body.insert("from".into(), from.into());
        let result = self.follow("/api/create", &Value::Object(body), VERIFY, |_| {}).await;
        result.map_err(|failure| match failure.reason {
            Reason::ServerUnreachable | Reason::InvalidStream | Reason::DiskFull | Reason::PullStalled => failure,
            _ => Failure {
                reason: Reason::CreateFailed,
                ..failure
            },
        })
    }

    async fn follow(
        &self,
        path: &str,
        body: &Value,
        stall: Duration,
        mut told: impl FnMut(&Tally),
    ) -> Result<(), Failure> {
        let ask = self.http.post(self.at(path)).json(body).send();
        let answer = timeout(stall, ask)
            .await
            .map_err(|_| stalled(stall))?
            .map_err(|e| unreachable(&plain(&e)))?;
        let status = answer.status();
        if !status.is_success() {
            return Err(match said(answer).await {
                Some(error) => words::failure(&error),
                None => invalid(&format!("{path} was answered with {status}")),
            });
        }
        let mut stream = answer.bytes_stream();
        let (mut buffer, mut tally) = (vec![], Tally::default());
        let (mut bytes, mut moved) = (tally.bytes(), Instant::now());
        loop {
            let patience = if tally.verifying { VERIFY } else { stall };
            let Ok(next) = timeout_at(moved + patience, stream.next()).await else {
                return Err(stalled(stall));
            };
            let Some(chunk) = next else { break };
            buffer.extend_from_slice(&chunk.map_err(|e| invalid(&format!("the stream broke: {}", plain(&e))))?);
            let verifying = tally.verifying;
            take_lines(&mut buffer, &mut tally)?;
            if tally.bytes() != bytes || tally.verifying != verifying {
                (bytes, moved) = (tally.bytes(), Instant::now());
                told(&tally);
            } else if moved.elapsed() > patience {
                // Lines go on when nothing moves.
                return Err(stalled(stall));
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

fn invalid(message: &str) -> Failure {
    Failure {
        reason: Reason::InvalidStream,
        message: message.into(),
    }
}

fn stalled(stall: Duration) -> Failure {
    Failure {
        reason: Reason::PullStalled,
        message: format!(
            "no byte came for {} s; the pull goes on from where it was",
            stall.as_secs()
        ),
    }
}
