//! The rules on the block of Pipelines, in Rust and, as far as it can say them, in CEL.

use super::{KEY, NAME, PipelinesSpec};
use crate::base::issue::{Concern, Issue, Review};
use crate::base::url;
use crate::component::common::check::{self, Subject};
use crate::component::common::{persistence, service};
use serde_json::Value;
use std::collections::BTreeMap;

/// Where the program of the image is: nothing else may be mounted over it.
const PROGRAM: &str = "/app";

impl PipelinesSpec {
    /// Every rule on the block itself; `old` is the block before the change, where it was on.
    #[must_use]
    pub fn check(&self, path: &str, old: Option<&Self>, langfuse: bool, allow_unsafe: bool) -> Review {
        let subject = Subject {
            path,
            common: &self.common,
            component: NAME,
            variables: &variables(langfuse),
            useless: &[],
            volumes: &[
                ("data", "/app/pipelines"),
                ("tmp", "/tmp"),
                ("langfuse", "/etc/llm-operator/langfuse"),
            ],
            allow_unsafe,
        };
        let mut review = check::component(&subject, self);
        if let Some(reference) = &self.api_key_secret_ref {
            review
                .issues
                .extend(reference.check(&format!("{path}.apiKeySecretRef")));
        }
        self.check_addresses(path, &mut review);
        self.check_folder(path, &mut review);
        if let Some(volume) = self.volume() {
            review.issues.extend(volume.check(path, old.and_then(Self::volume)));
            if self.replicas() > 1 && !volume.is_shared() {
                let text = format!("{path}: the replicas share one volume, so all run on one node");
                review.warn(Concern::NoEffect, text);
            }
        }
        let ingress = self.common.ingress_enabled == Some(true) || self.common.ingress_host.is_some();
        if ingress {
            let text = format!("{path} gets no Ingress: it runs code for whoever reaches it");
            review.warn(Concern::NoEffect, text);
        }
        review
    }

    /// Python files, each under a name of its own.
    fn check_addresses(&self, path: &str, review: &mut Review) {
        let mut known: BTreeMap<&str, String> = BTreeMap::new();
        for (field, address) in self.addresses() {
            let at = format!("{path}.{field}");
            let file = address.split(['?', '#']).next().unwrap_or_default();
            let name = file.rsplit('/').next().unwrap_or_default();
            let shown = if url::has_password(address) { "…" } else { address };
            if !url::is_http(address) {
                let detail = "is no address such as https://example.com/filter.py (http or https)";
                review
                    .issues
                    .push(Issue::invalid(at, "pipeline-url", shown, detail).fatal());
            } else if !is_module(name) {
                let detail = "must lead to a Python file: end in a name such as filter.py";
                review
                    .issues
                    .push(Issue::invalid(at, "pipeline-url", shown, detail).fatal());
            } else if let Some(first) = known.get(name) {
                let detail = format!("{name} comes from {path}.{first} already; rename one of the two");
                review
                    .issues
                    .push(Issue::duplicate(at, "pipeline-twice", shown, detail));
            } else {
                known.insert(name, field);
            }
        }
    }

    fn check_folder(&self, path: &str, review: &mut Review) {
        let Some(folder) = self.dir.as_deref().filter(|d| d.len() > 1) else {
            return;
        };
        let bare = folder.trim_end_matches('/');
        let plain = folder.chars().all(|c| c.is_ascii_alphanumeric() || "/-_.".contains(c)) && !folder.contains("..");
        if !folder.starts_with('/') || bare.is_empty() || !plain || [PROGRAM, "/tmp"].contains(&bare) {
            let detail = "must be an absolute path of its own such as /app/pipelines";
            let issue = Issue::invalid(format!("{path}.dir"), "pipeline-dir", folder, detail);
            review.issues.push(issue.fatal());
        }
    }
}

/// Variables that the operator sets, and by which field.
fn variables(langfuse: bool) -> Vec<(&'static str, Option<&'static str>)> {
    let mut owned = vec![
        (KEY, None),
        ("PIPELINES_DIR", Some("dir")),
        ("PIPELINES_URLS", Some("urls")),
        ("PORT", None),
        ("HOME", None),
    ];
    if langfuse {
        owned.extend(super::langfuse::VARIABLES.map(|name| (name, None)));
    }
    owned
}

/// The name of a file that Python can import.
fn is_module(name: &str) -> bool {
    let stem = name.strip_suffix(".py").unwrap_or_default();
    !stem.is_empty() && name.len() <= 128 && stem.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// What CEL can say of it.
pub(super) fn schema() -> Value {
    let mut rules = persistence::rules(false);
    rules.push(service::rule("has(self.enabled) && self.enabled"));
    rules.into()
}
