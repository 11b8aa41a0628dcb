//! What goes wrong, for which requests, and how often.

use std::collections::BTreeMap;

use anyhow::Context;
use http_body_util::{BodyExt, Full};
use hyper::Response;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::body::Body;

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
    Status(Answer),
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

/// An answer that is given in place of the server's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Answer {
    code: u16,
    #[serde(default)]
    body: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

impl Rule {
    /// A fault for the requests of one method whose path with its query contains `path`.
    #[must_use]
    pub fn on(method: &str, path: &str, effect: impl Into<Effect>) -> Self {
        Self {
            method: Some(method.to_owned()),
            ..Self::any(path, effect)
        }
    }

    /// A fault for the requests of any method whose path with its query contains `path`.
    #[must_use]
    pub fn any(path: &str, effect: impl Into<Effect>) -> Self {
        Self {
            method: None,
            path: path.to_owned(),
            times: None,
            effect: effect.into(),
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
    /// The word that stands for it in the log.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Status(_) => "status",
            Self::Drop => "drop",
            Self::Hang => "hang",
            Self::Delay { .. } => "delay",
            Self::Truncate { .. } => "truncate",
            Self::Stall { .. } => "stall",
            Self::Corrupt { .. } => "corrupt",
        }
    }
}

impl Answer {
    /// An answer with this status and body.
    #[must_use]
    pub fn new(code: u16, body: &str) -> Self {
        Self {
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
        Self::new(code, &status.to_string()).header("content-type", "application/json")
    }

    /// The same answer with one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Fails if the status or a header is none.
    pub(super) fn response(&self) -> anyhow::Result<Response<Body>> {
        let empty = Response::builder().status(self.code);
        let builder = self
            .headers
            .iter()
            .fold(empty, |builder, (name, value)| builder.header(name, value));
        let body = Full::from(self.body.clone()).map_err(|never| match never {});
        builder
            .body(body.boxed_unsync())
            .with_context(|| format!("the answer of a fault: {self:?}"))
    }
}

impl From<Answer> for Effect {
    fn from(answer: Answer) -> Self {
        Self::Status(answer)
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

    #[test]
    fn an_answer_is_written_beside_its_kind() {
        let text = r#"{"path":"","effect":{"kind":"status","code":429,"headers":{"retry-after":"1"}}}"#;
        let rule: Rule = serde_json::from_str(text).unwrap();
        assert_eq!(rule, Rule::any("", Answer::new(429, "").header("retry-after", "1")));
        let wrong = r#"{"path":"","effect":{"kind":"status","code":429,"header":{}}}"#;
        assert!(serde_json::from_str::<Rule>(wrong).is_err());
    }
}
