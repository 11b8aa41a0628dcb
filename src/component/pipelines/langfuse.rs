//! Tracing to Langfuse: a filter of ours in Pipelines that sends every question and its answer.

use crate::base::issue::{Issue, Review};
use crate::base::{names, url};
use crate::component::common::secret::{self, plain, variable};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use validator::Validate;

/// The file of the filter. It speaks OpenTelemetry, as every Langfuse since version 3 does, with what the image of
/// Pipelines has: the filters of Langfuse's own package want versions of it that no server of today takes (facts,
/// products 3), and installing it would need the network at each start.
pub(super) const FILTER: &str = include_str!("langfuse.py");
/// Its name among the pipelines.
pub(super) const FILE: &str = "langfuse.py";
/// The keys of the Secret, which are also the variables.
const KEYS: [&str; 2] = ["LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY"];
/// Variables that the operator sets for the filter.
pub(super) const VARIABLES: [&str; 6] = [
    KEYS[0],
    KEYS[1],
    "LANGFUSE_HOST",
    "LANGFUSE_PROJECT_NAME",
    "LANGFUSE_TRACING_ENVIRONMENT",
    "LANGFUSE_DEBUG",
];
const ENVIRONMENT: &str = "development";

/// Tracing to Langfuse, which is not part of the stack.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct LangfuseSpec {
    /// Whether questions and answers are sent to Langfuse, through Pipelines. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The address of Langfuse, such as https://cloud.langfuse.com. Required when enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 2048))]
    pub url: Option<String>,
    /// The name of the service in traces; which project they go to is decided by the keys. Default: the name of the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 63))]
    pub project_name: Option<String>,
    /// The environment in traces. Default: development.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 40))]
    pub environment: Option<String>,
    /// The Secret with the keys LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY. Required when enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    pub secret_ref: Option<LangfuseSecret>,
    /// Whether the filter logs what it sends. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debug: Option<bool>,
}

/// The Secret with the keys of Langfuse.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct LangfuseSecret {
    /// Its name. Required when Langfuse is enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 253))]
    pub name: Option<String>,
    /// The namespace of the object, and no other. Default: that one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 63))]
    pub namespace: Option<String>,
}

impl LangfuseSpec {
    /// True when traces are sent.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.enabled == Some(true)
    }

    /// Writes constant defaults into the block.
    pub fn fill(block: &mut Map<String, Value>) {
        block.entry("environment").or_insert(ENVIRONMENT.into());
    }

    /// Every rule on the block, in an object of that namespace, where it is known.
    #[must_use]
    pub fn check(&self, path: &str, namespace: Option<&str>) -> Review {
        let mut review = crate::component::common::check::bounded(path, self);
        let issues = &mut review.issues;
        let at = format!("{path}.url");
        match self.url.as_deref().unwrap_or_default() {
            "" => {
                let detail = "give the address of Langfuse, such as https://cloud.langfuse.com";
                issues.push(Issue::required(at, "langfuse-url", detail).fatal());
            }
            address if !url::is_http(address) || url::has_password(address) => {
                let detail = "is no address such as https://cloud.langfuse.com (http or https, without a password)";
                issues.push(Issue::invalid(at, "langfuse-url", address, detail).fatal());
            }
            _ => {}
        }
        let reference = self.secret_ref.clone().unwrap_or_default();
        let at = format!("{path}.secretRef");
        match reference.name.as_deref() {
            None => {
                let detail = "name the Secret with the keys LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY";
                issues.push(Issue::required(format!("{at}.name"), "langfuse-secret", detail).fatal());
            }
            Some(name) => issues.extend(secret::check_name(&at, name)),
        }
        if let (Some(other), Some(own)) = (reference.namespace.as_deref(), namespace)
            && other != own
        {
            let detail =
                "must be the namespace of this object, or absent: no Secret of another namespace is read; copy it";
            issues.push(Issue::invalid(format!("{at}.namespace"), "langfuse-namespace", other, detail).fatal());
        }
        if let Some(name) = self
            .project_name
            .as_deref()
            .filter(|n| !n.is_empty() && !names::is_label(n))
        {
            let detail = "must be a lower-case DNS label";
            issues.push(Issue::invalid(
                format!("{path}.projectName"),
                "langfuse-project",
                name,
                detail,
            ));
        }
        let word = |text: &&str| {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
            text.is_empty() || text.chars().all(plain) && !text.starts_with("langfuse")
        };
        if let Some(name) = self.environment.as_deref().filter(|n| !word(n)) {
            let detail = "must hold lower-case letters, digits, - and _ only, and not begin with langfuse";
            issues.push(Issue::invalid(
                format!("{path}.environment"),
                "langfuse-environment",
                name,
                detail,
            ));
        }
        review
    }

    /// The variables of the filter, for a stack of that name.
    pub(super) fn variables(&self, stack: &str) -> Vec<Value> {
        let mut found: Vec<Value> = self
            .secrets()
            .iter()
            .map(|(secret, key)| variable(key, secret, key))
            .collect();
        let host = self.url.as_deref().unwrap_or_default().trim_end_matches('/');
        found.extend([
            plain("LANGFUSE_HOST", host),
            plain("LANGFUSE_PROJECT_NAME", self.project_name.as_deref().unwrap_or(stack)),
            plain(
                "LANGFUSE_TRACING_ENVIRONMENT",
                self.environment.as_deref().unwrap_or(ENVIRONMENT),
            ),
            plain(
                "LANGFUSE_DEBUG",
                if self.debug == Some(true) { "true" } else { "false" },
            ),
        ]);
        found
    }

    /// The Secret of the manifest, with the keys that are used of it.
    #[must_use]
    pub fn secrets(&self) -> Vec<(String, String)> {
        let name = self.secret_ref.as_ref().and_then(|r| r.name.clone());
        let each = |name: String| KEYS.map(|key| (name.clone(), key.to_string()));
        name.into_iter().flat_map(each).collect()
    }
}
