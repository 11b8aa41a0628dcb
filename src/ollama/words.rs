//! What Ollama says: the lines of a pull, and its errors, told apart by their text (facts, testbed-ollama 3). Pure.

use crate::base::condition::Reason;
use crate::base::seen::Failure;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The longest error that is kept, in characters.
const LONGEST: usize = 512;

/// One line of the stream of a pull.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Line {
    /// What is being done.
    #[serde(default)]
    pub status: String,
    /// The layer it is about.
    #[serde(default)]
    pub digest: Option<String>,
    /// Bytes of the layer; left out where it is 0.
    #[serde(default)]
    pub total: i64,
    /// Bytes that have arrived; left out where it is 0.
    #[serde(default)]
    pub completed: i64,
    /// The last line of a pull that failed.
    #[serde(default)]
    pub error: Option<String>,
}

/// How far a pull is: progress is told by layer, and only the sum says something.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    layers: BTreeMap<String, Layer>,
    /// The last line was `success`; nothing else means that the model is there.
    pub succeeded: bool,
    /// Bytes have all arrived and are being read again, which is silent for a large model.
    pub verifying: bool,
}

/// Bytes of a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Layer {
    /// That were there when it was first told of.
    first: i64,
    completed: i64,
    total: i64,
}

impl Tally {
    /// Takes a line in.
    ///
    /// # Errors
    /// The failure that an error line tells.
    pub fn take(&mut self, line: Line) -> Result<(), Failure> {
        if let Some(error) = line.error {
            return Err(failure(&error));
        }
        self.succeeded = line.status == "success";
        self.verifying = line.status.starts_with("verifying") || line.status.starts_with("writing");
        if let Some(digest) = line.digest {
            let layer = self.layers.entry(digest).or_insert(Layer {
                first: line.completed,
                ..Layer::default()
            });
            (layer.completed, layer.total) = (line.completed, line.total);
        }
        Ok(())
    }

    /// Bytes that have arrived, and bytes in all.
    #[must_use]
    pub fn bytes(&self) -> (i64, i64) {
        self.layers.values().fold((0_i64, 0_i64), |(done, all), layer| {
            (done.saturating_add(layer.completed), all.saturating_add(layer.total))
        })
    }

    /// Bytes that arrived since the stream began, as far as it tells.
    #[must_use]
    pub fn fetched(&self) -> u64 {
        let each = self.layers.values().map(|l| l.completed.saturating_sub(l.first).max(0));
        each.fold(0_i64, i64::saturating_add).unsigned_abs()
    }
}

/// The failure that an error of Ollama tells.
#[must_use]
pub fn failure(text: &str) -> Failure {
    let lower = text.to_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|p| lower.contains(p));
    let reason = if has(&["invalid model name"]) {
        Reason::BadName
    } else if has(&["no space left on device"]) {
        Reason::DiskFull
    } else if has(&["file does not exist", "model not found"]) {
        Reason::UnknownModel
    } else if has(&["digest mismatch"]) {
        Reason::DamagedDownload
    } else if has(&[
        "pull model manifest",
        "dial tcp",
        "connection re",
        "eof",
        "timeout",
        "deadline",
        "location header",
        "max retries",
    ]) {
        Reason::RegistryError
    } else {
        Reason::PullFailed
    };
    Failure {
        reason,
        message: normalised(text),
    }
}

/// One line, without the ports that differ at each attempt, and not too long.
#[must_use]
pub fn normalised(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim();
    let mut out = String::new();
    let mut rest = line;
    while let Some(colon) = rest.find(':') {
        let (before, after) = rest.split_at(colon);
        let digits = after[1..].bytes().take_while(u8::is_ascii_digit).count();
        out.push_str(before);
        // A port follows an address; `500: boom` and `sha256:12ab` have no digits-only number behind the colon.
        let is_port =
            (2..=5).contains(&digits) && !after[1 + digits..].starts_with(|c: char| c.is_ascii_alphanumeric());
        if !is_port {
            out.push(':');
        }
        rest = &after[if is_port { 1 + digits } else { 1 }..];
    }
    out.push_str(rest);
    out.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart_by_ollamas_words() {
        let reason = |text: &str| failure(text).reason;
        assert_eq!(reason("pull model manifest: file does not exist"), Reason::UnknownModel);
        assert_eq!(
            reason("write /data/models/blobs/sha256-45bf-partial: no space left on device"),
            Reason::DiskFull
        );
        assert_eq!(
            reason("digest mismatch, file must be downloaded again: want sha256:5a, got sha256:cf"),
            Reason::DamagedDownload
        );
        assert_eq!(reason("pull model manifest: 500: boom"), Reason::RegistryError);
        assert_eq!(reason("max retries exceeded: unexpected EOF"), Reason::RegistryError);
        assert_eq!(reason("invalid model name"), Reason::BadName);
        assert_eq!(reason("something new"), Reason::PullFailed);
    }

    #[test]
    fn ports_are_left_out() {
        let text = "Get \"http://registry.test:5000/v2/x\": dial tcp 10.0.0.1:5000: connect: connection refused";
        assert_eq!(
            normalised(text),
            "Get \"http://registry.test/v2/x\": dial tcp 10.0.0.1: connect: connection refused"
        );
        assert_eq!(
            normalised("pull model manifest: 500: boom\nmore"),
            "pull model manifest: 500: boom"
        );
    }

    #[test]
    fn a_pull_is_done_with_its_success_line_only() {
        let line = |json: &str| serde_json::from_str::<Line>(json).unwrap();
        let mut tally = Tally::default();
        tally.take(line(r#"{"status":"pulling manifest"}"#)).unwrap();
        tally
            .take(line(r#"{"status":"pulling 45","digest":"sha256:45","total":100}"#))
            .unwrap();
        tally
            .take(line(
                r#"{"status":"pulling 46","digest":"sha256:46","total":10,"completed":10}"#,
            ))
            .unwrap();
        tally
            .take(line(
                r#"{"status":"pulling 45","digest":"sha256:45","total":100,"completed":40}"#,
            ))
            .unwrap();
        assert_eq!(tally.bytes(), (50, 110));
        tally.take(line(r#"{"status":"verifying sha256 digest"}"#)).unwrap();
        assert!(tally.verifying && !tally.succeeded);
        tally.take(line(r#"{"status":"success"}"#)).unwrap();
        assert!(tally.succeeded);
        assert!(tally.take(line(r#"{"error":"EOF"}"#)).is_err());
    }
}
