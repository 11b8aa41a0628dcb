//! A key of a Secret that a manifest names: its form, its rules, and how a pod reads it.

use crate::base::issue::Issue;
use crate::base::names;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use validator::Validate;

/// A key of a Secret of the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct SecretKey {
    /// The name of the Secret.
    #[validate(length(min = 1, max = 253))]
    pub name: String,
    /// The key in it. Default: as said at the field.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 253))]
    pub key: Option<String>,
}

impl SecretKey {
    /// The key, given the one that an absent field means.
    #[must_use]
    pub fn key<'a>(&'a self, default: &'a str) -> &'a str {
        self.key.as_deref().unwrap_or(default)
    }

    /// A name that a Secret may have, and a key that it may have.
    #[must_use]
    pub fn check(&self, path: &str) -> Vec<Issue> {
        let mut issues = check_name(path, &self.name);
        // Empty ones are out of bounds already.
        if let Some(key) = self.key.as_deref().filter(|k| !k.is_empty() && !is_key(k)) {
            let detail = "is no key of a Secret: letters, digits, -, _ and .";
            issues.push(Issue::invalid(format!("{path}.key"), "secret-key", key, detail).fatal());
        }
        issues
    }
}

/// A variable whose value is a key of a Secret.
#[must_use]
pub fn variable(variable: &str, secret: &str, key: &str) -> Value {
    json!({"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}})
}

/// A variable with a plain value.
#[must_use]
pub fn plain(variable: &str, value: impl Into<Value>) -> Value {
    json!({"name": variable, "value": value.into()})
}

/// A name that a Secret may have.
#[must_use]
pub fn check_name(path: &str, name: &str) -> Vec<Issue> {
    let bad = !name.is_empty() && !names::is_subdomain(name);
    let detail = "is not the name of a Secret of this namespace: lower case, digits, - and .";
    bad.then(|| Issue::invalid(format!("{path}.name"), "secret-name", name, detail).fatal())
        .into_iter()
        .collect()
}

fn is_key(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) && text != "." && text != ".."
}
