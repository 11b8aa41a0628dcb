//! What the API server asks, read leniently: raw JSON, since a typed round trip would drop what we do not know.

use crate::kind::{self, Form};
use serde_json::Value;

/// One question of the API server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// To be repeated in the answer.
    pub uid: String,
    /// `CREATE`, `UPDATE`, `DELETE` or `CONNECT`.
    pub operation: String,
    /// Group, version and kind, in which both objects are written.
    pub gvk: [String; 3],
    /// Such as `status`; empty for the object itself.
    pub subresource: String,
    /// The object's name; empty where the server is to generate it.
    pub name: String,
    /// The object as it is to be; null when it is to be deleted.
    pub object: Value,
    /// The object as it was; null when there was none.
    pub old: Value,
}

impl Request {
    /// Reads an `AdmissionReview` of `admission.k8s.io/v1`.
    ///
    /// # Errors
    /// A sentence for people, when it is not one.
    pub fn read(body: &[u8]) -> Result<Self, String> {
        let mut review: Value = serde_json::from_slice(body).map_err(|e| format!("not JSON: {e}"))?;
        let version = text(&review, "/apiVersion");
        if version != "admission.k8s.io/v1" || text(&review, "/kind") != "AdmissionReview" {
            return Err(format!(
                "not an AdmissionReview of admission.k8s.io/v1 (apiVersion {version:?})"
            ));
        }
        let uid = text(&review, "/request/uid");
        if uid.is_empty() {
            return Err("an AdmissionReview without request.uid".into());
        }
        let mut take = |path: &str| review.pointer_mut(path).map(Value::take).unwrap_or_default();
        let (object, old) = (take("/request/object"), take("/request/oldObject"));
        Ok(Self {
            uid,
            operation: text(&review, "/request/operation"),
            gvk: ["group", "version", "kind"].map(|part| text(&review, &format!("/request/kind/{part}"))),
            subresource: text(&review, "/request/subResource"),
            name: text(&review, "/request/name"),
            object,
            old,
        })
    }

    /// The kind, where the question is one that we have an opinion on: an object of ours made or changed, and not on
    /// its way out, since a rule must never keep a finalizer from being removed.
    #[must_use]
    pub fn form(&self) -> Option<Form> {
        let changed = matches!(self.operation.as_str(), "CREATE" | "UPDATE") && self.subresource.is_empty();
        let deleted = self
            .object
            .pointer("/metadata/deletionTimestamp")
            .is_some_and(|t| !t.is_null());
        if !changed || deleted {
            return None;
        }
        self.kind()
    }

    /// The kind, if it is one of ours.
    #[must_use]
    pub fn kind(&self) -> Option<Form> {
        let [group, version, kind] = &self.gvk;
        kind::all()
            .into_iter()
            .find(|f| f.group == group && f.version == version && f.kind == kind)
    }

    /// The object before the change; `None` when it is new.
    #[must_use]
    pub fn before(&self) -> Option<&Value> {
        (!self.old.is_null()).then_some(&self.old)
    }

    /// The name for messages; of an object whose name is yet to be generated, the part that is known.
    #[must_use]
    pub fn title(&self) -> String {
        let known = |path| text(&self.object, path);
        [
            self.name.clone(),
            known("/metadata/name"),
            known("/metadata/generateName"),
        ]
        .into_iter()
        .find(|name| !name.is_empty())
        .unwrap_or_default()
    }
}

fn text(value: &Value, path: &str) -> String {
    value
        .pointer(path)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_string()
}

/// The uid in a body that does not read as an `AdmissionReview`: without it the API server would report a protocol
/// error and not the answer. The first `"uid"` is the request's, as the API server writes them.
#[must_use]
pub fn uid(body: &[u8]) -> String {
    let key = br#""uid""#;
    let Some(at) = body.windows(key.len()).position(|window| window == key) else {
        return String::new();
    };
    let rest = body[at + key.len()..].trim_ascii_start();
    let Some(rest) = rest.strip_prefix(b":") else {
        return String::new();
    };
    serde_json::Deserializer::from_slice(rest)
        .into_iter::<String>()
        .next()
        .and_then(Result::ok)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uid_is_found_in_broken_bodies() {
        assert_eq!(
            uid(br#"{"kind":"AdmissionReview","request":{"uid": "a-1","object":{"#),
            "a-1"
        );
        assert_eq!(uid(br#"{"uid" : "x\"y"#), "");
        assert_eq!(uid(br#"{"uid":7}"#), "");
        assert_eq!(uid(b"\xff\xfe"), "");
    }
}
