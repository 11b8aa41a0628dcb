//! What we answer, in the exact form that the API server and kubectl read best. A type of our own: kube's sends a
//! patch as an array of numbers, and a denial without code, reason and causes.

use crate::base::issue::{Issue, MOST_CAUSES};
use crate::webhook::request::Request;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use json_patch::Patch;
use serde_json::{Value, json};

/// Longer messages are cut: a value that a user sends is repeated to them, and it may be large.
const LONGEST_CAUSE: usize = 1024;
/// The message of a denial holds every issue up to this many bytes; it is a line in a terminal.
const LONGEST_MESSAGE: usize = 16 * 1024;

/// The answer to one question.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    uid: String,
    verdict: Verdict,
    warnings: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
enum Verdict {
    Allowed(Option<Patch>),
    Denied(Value),
}

impl Answer {
    /// Yes, as it is.
    #[must_use]
    pub fn allow(uid: &str) -> Self {
        Self {
            uid: uid.into(),
            verdict: Verdict::Allowed(None),
            warnings: Vec::new(),
        }
    }

    /// Yes, with these changes.
    #[must_use]
    pub fn patch(uid: &str, patch: Patch) -> Self {
        let patch = (!patch.0.is_empty()).then_some(patch);
        Self {
            uid: uid.into(),
            verdict: Verdict::Allowed(patch),
            warnings: Vec::new(),
        }
    }

    /// No: the question itself makes no sense.
    #[must_use]
    pub fn nonsense(uid: &str, why: &str) -> Self {
        let status = json!({ "status": "Failure", "code": 400, "reason": "BadRequest", "message": why });
        Self {
            uid: uid.into(),
            verdict: Verdict::Denied(status),
            warnings: Vec::new(),
        }
    }

    /// No: the object breaks rules. Says all of them, as Kubernetes does for its own kinds.
    #[must_use]
    pub fn invalid(request: &Request, issues: &[Issue]) -> Self {
        let causes = issues
            .iter()
            .map(|i| cause(i.cause(), &i.path, &i.message()))
            .take(MOST_CAUSES);
        let more = issues.len().saturating_sub(MOST_CAUSES);
        let rest = (more > 0).then(|| cause("FieldValueInvalid", "", &format!("and {more} more errors")));
        let lines = issues.iter().map(|i| cut(i.to_string(), LONGEST_CAUSE)).collect();
        Self::unprocessable(request, &joined(lines), &causes.chain(rest).collect::<Vec<_>>())
    }

    /// No: the object does not fit its kind at all, in the decoder's words.
    #[must_use]
    pub fn undecodable(request: &Request, error: &str) -> Self {
        let error = cut(error.into(), LONGEST_CAUSE);
        Self::unprocessable(request, &error, &[cause("FieldValueInvalid", "", &error)])
    }

    fn unprocessable(request: &Request, message: &str, causes: &[Value]) -> Self {
        let [group, _, kind] = &request.gvk;
        let name = request.title();
        let status = json!({
            "status": "Failure",
            "code": 422,
            "reason": "Invalid",
            "message": format!("{kind}.{group} {name:?} is invalid: {message}"),
            "details": { "group": group, "kind": kind, "name": name, "causes": causes },
        });
        Self {
            uid: request.uid.clone(),
            verdict: Verdict::Denied(status),
            warnings: Vec::new(),
        }
    }

    /// The same answer with warnings, which kubectl prints whatever the verdict.
    #[must_use]
    pub fn with_warnings(mut self, warnings: Vec<String>) -> Self {
        self.warnings = warnings;
        self
    }

    /// Whether it is a yes.
    #[must_use]
    pub fn allowed(&self) -> bool {
        matches!(self.verdict, Verdict::Allowed(_))
    }

    /// The code inside the answer; the HTTP status around it is always 200.
    #[must_use]
    pub fn code(&self) -> u16 {
        match &self.verdict {
            Verdict::Allowed(_) => 200,
            Verdict::Denied(status) => status["code"]
                .as_u64()
                .and_then(|c| u16::try_from(c).ok())
                .unwrap_or(400),
        }
    }

    /// The `AdmissionReview` as bytes of JSON.
    #[must_use]
    pub fn json(&self) -> Vec<u8> {
        let mut response = json!({ "uid": self.uid, "allowed": self.allowed() });
        match &self.verdict {
            Verdict::Allowed(None) => {}
            Verdict::Allowed(Some(patch)) => {
                response["patchType"] = "JSONPatch".into();
                response["patch"] = STANDARD.encode(json!(patch).to_string()).into();
            }
            Verdict::Denied(status) => response["status"] = status.clone(),
        }
        if !self.warnings.is_empty() {
            response["warnings"] = json!(self.warnings);
        }
        let review = json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response });
        review.to_string().into_bytes()
    }
}

fn cause(reason: &str, field: &str, message: &str) -> Value {
    let mut cause = json!({ "reason": reason, "message": cut(message.into(), LONGEST_CAUSE) });
    if !field.is_empty() {
        cause["field"] = field.into();
    }
    cause
}

/// One line as it is, several in brackets, as Kubernetes prints lists of errors.
fn joined(mut lines: Vec<String>) -> String {
    if lines.len() == 1 {
        return lines.remove(0);
    }
    let mut room = LONGEST_MESSAGE;
    let fits = lines.iter().take_while(|line| {
        let fits = line.len() <= room;
        room = room.saturating_sub(line.len());
        fits
    });
    let shown = fits.count();
    let more = lines.len() - shown;
    lines.truncate(shown);
    if more > 0 {
        lines.push(format!("and {more} more errors"));
    }
    format!("[{}]", lines.join(", "))
}

fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        let end = (0..=most).rev().find(|i| text.is_char_boundary(*i)).unwrap_or_default();
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_causes_than_are_listed_are_counted() {
        let request = Request {
            gvk: ["g".into(), "v1".into(), "K".into()],
            name: "x".into(),
            ..Request::default()
        };
        let issues: Vec<Issue> = (0..23)
            .map(|i| Issue::invalid(format!("spec.a[{i}]"), "r", i, "no"))
            .collect();
        let Verdict::Denied(status) = Answer::invalid(&request, &issues).verdict else {
            panic!("allowed")
        };
        let causes = status["details"]["causes"].as_array().unwrap();
        assert_eq!(causes.len(), 21);
        assert_eq!(causes[20]["message"], "and 3 more errors");
        let message = status["message"].as_str().unwrap();
        assert!(
            message.starts_with(r#"K.g "x" is invalid: [spec.a[0]: Invalid value: 0: no, "#),
            "{message}"
        );
        assert!(message.ends_with("spec.a[22]: Invalid value: 22: no]"), "{message}");
    }

    #[test]
    fn a_large_value_is_not_repeated_in_full() {
        let issue = Issue::invalid("spec.a", "r", "ü".repeat(100_000), "no");
        let answer = Answer::invalid(&Request::default(), &[issue]);
        assert!(answer.json().len() < 3000);
        let many: Vec<Issue> = (0..100_000).map(|i| Issue::invalid("spec.a", "r", i, "no")).collect();
        assert!(Answer::invalid(&Request::default(), &many).json().len() < 25_000);
    }
}
