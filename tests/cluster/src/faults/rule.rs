//! What goes wrong, for which requests, and how often.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

/// One fault: what happens to the requests that match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Rule {
    /// The method it is for; every method if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// What the path with its query must contain; the empty text matches every request.
    pub path: String,
    /// For how many requests; until the rules are cleared if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// What happens.
    pub effect: Effect,
}

/// What can happen to a request. Positions count the bytes of the answer's body from 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", tag = "kind")]
pub enum Effect {
    /// It is answered here and goes no further.
    Status {
        /// The status code.
        code: u16,
        /// The body.
        #[serde(default)]
        body: String,
        /// The headers.
        #[serde(default)]
        headers: BTreeMap<String, String>,
    },
    /// The connection is closed without an answer.
    Drop,
    /// No answer until the client leaves or [`Wire::cut`](super::Wire::cut) is called.
    Hang,
    /// It is passed on later.
    Delay {
        /// How much later, in milliseconds.
        millis: u64,
    },
    /// The connection is closed after this many bytes.
    Truncate {
        /// Bytes that still arrive.
        after: u64,
    },
    /// Nothing more comes after this many bytes, and the connection stays open.
    Stall {
        /// Bytes that still arrive.
        after: u64,
    },
    /// One byte is inverted.
    Corrupt {
        /// Its position.
        at: u64,
    },
}

impl Rule {
    /// A fault for the requests of one method whose path with its query contains `path`.
    #[must_use]
    pub fn on(method: &str, path: &str, effect: Effect) -> Self {
        Self {
            method: Some(method.to_owned()),
            ..Self::any(path, effect)
        }
    }

    /// A fault for the requests of any method whose path with its query contains `path`.
    #[must_use]
    pub fn any(path: &str, effect: Effect) -> Self {
        Self {
            method: None,
            path: path.to_owned(),
            times: None,
            effect,
        }
    }

    /// Only for the next `times` requests.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self {
            times: Some(times),
            ..self
        }
    }

    pub(super) fn matches(&self, method: &str, path: &str) -> bool {
        self.method.as_ref().is_none_or(|wanted| wanted == method) && path.contains(&self.path)
    }
}

impl Effect {
    /// An answer with this status and body.
    #[must_use]
    pub fn status(code: u16, body: &str) -> Self {
        Self::Status {
            code,
            body: body.to_owned(),
            headers: BTreeMap::new(),
        }
    }

    /// A refusal in the form of the API server's own: a `Status` object with this code and reason.
    #[must_use]
    pub fn api_status(code: u16, reason: &str, message: &str) -> Self {
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, "code": code,
        });
        Self::status(code, &status.to_string()).header("content-type", "application/json")
    }

    /// The same answer with one more header; nothing else has headers to add to.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Self::Status { headers, .. } = &mut self {
            headers.insert(name.to_owned(), value.to_owned());
        }
        self
    }

    /// The word that stands for it in the log.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::Drop => "drop",
            Self::Hang => "hang",
            Self::Delay { .. } => "delay",
            Self::Truncate { .. } => "truncate",
            Self::Stall { .. } => "stall",
            Self::Corrupt { .. } => "corrupt",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn method_and_path_both_decide() {
        let rule = Rule::on("GET", "/blobs/", Effect::Drop);
        assert!(rule.matches("GET", "/v2/library/tiny/blobs/sha256:00"));
        assert!(!rule.matches("HEAD", "/v2/library/tiny/blobs/sha256:00"));
        assert!(!rule.matches("GET", "/v2/library/tiny/manifests/latest"));
        assert!(Rule::any("", Effect::Drop).matches("PATCH", "/apis?watch=true"));
    }

    #[test]
    fn a_rule_is_written_in_json_as_documented() {
        let text = r#"{"method":"GET","path":"blobs","times":2,"effect":{"kind":"truncate","after":1000}}"#;
        let rule = Rule::on("GET", "blobs", Effect::Truncate { after: 1000 }).times(2);
        assert_eq!(serde_json::from_str::<Rule>(text).unwrap(), rule);
        assert_eq!(serde_json::to_string(&rule).unwrap(), text);
    }
}
