//! The rules on the block of Tabby, in Rust and, as far as it can say them, in CEL.

use super::{CONFIG, DATA, NAME, TOKEN, TabbySpec, config};
use crate::base::issue::{Concern, Issue, Review};
use crate::base::model::ModelName;
use crate::base::{crd, names};
use crate::component::common::check::{self, Subject};
use crate::component::common::{ingress, persistence, service};
use serde_json::Value;

impl TabbySpec {
    /// Every rule on the block, given the models of the stack and the name of its Ollama's Service; `old` is the block
    /// before the change, where it was on.
    #[must_use]
    pub fn check(&self, path: &str, listed: &[ModelName], own: &str, old: Option<&Self>, allow_unsafe: bool) -> Review {
        let subject = Subject {
            path,
            common: &self.common,
            component: NAME,
            variables: &[("TABBY_ROOT", None), ("HOME", None), (TOKEN, None)],
            useless: &["TABBY_HOST", "TABBY_PORT", "TABBY_LOG_LEVEL"],
            volumes: &[("data", DATA), ("config", CONFIG), ("tmp", "/tmp")],
            allow_unsafe,
        };
        let mut review = check::component(&subject, self);
        self.check_ollama(path, own, &mut review);
        self.check_models(path, listed, self.elsewhere(own).is_some(), &mut review);
        review.extend(ingress::check(path, &self.common, self.ingress.as_ref()));
        review
            .issues
            .extend(self.gateway.iter().flat_map(|gateway| gateway.check(path)));
        self.check_replicas(path, old, &mut review);
        review
    }

    fn check_ollama(&self, path: &str, own: &str, review: &mut Review) {
        let at = format!("{path}.ollamaServiceName");
        match self.ollama_service_name.as_deref() {
            Some("") => {}
            Some(name) if !names::is_dns_label(name, 63) => {
                let detail = "is not the name of a Service of this namespace";
                review.issues.push(Issue::invalid(at, "service", name, detail).fatal());
            }
            Some(_) if self.elsewhere(own).is_some() => {
                review.warn(
                    Concern::NoEffect,
                    format!("{at}: the models of that Ollama are not checked"),
                );
            }
            _ if self.ollama_service_port.is_some() => {
                let text =
                    format!("{path}.ollamaServicePort does nothing without the ollamaServiceName of another Ollama");
                review.warn(Concern::NoEffect, text);
            }
            _ => {}
        }
    }

    fn check_models(&self, path: &str, listed: &[ModelName], elsewhere: bool, review: &mut Review) {
        let fields = [
            ("chatModel", &self.chat_model, true),
            ("completionModel", &self.completion_model, true),
            ("modelName", &self.model_name, true),
            ("embeddingModel", &self.embedding_model, false),
        ];
        for (field, value, member) in fields {
            // An empty one is out of bounds already.
            let Some(value) = value.as_deref().filter(|v| !v.is_empty()) else {
                continue;
            };
            let at = format!("{path}.{field}");
            match ModelName::parse(value) {
                Err(why) => review.issues.push(Issue::invalid(at, "model-name", value, why).fatal()),
                Ok(name) if member && !elsewhere && !listed.iter().any(|l| l.key() == name.key()) => {
                    review
                        .issues
                        .push(Issue::invalid(at, "model-member", value, membership(listed)));
                }
                Ok(_) => {}
            }
        }
        match self.models(listed) {
            None if listed.is_empty() => {
                let at = format!("{path}.chatModel");
                review.issues.push(Issue::required(at, "model-none", NO_MODEL).fatal());
            }
            Some(models) if config::template(&models.completion).is_none() => {
                let text = "has no known fill-in-the-middle template: completion by Tabby will be poor";
                review.warn(Concern::NoEffect, format!("{} {text}", models.completion));
            }
            _ => {}
        }
    }

    fn check_replicas(&self, path: &str, old: Option<&Self>, review: &mut Review) {
        let volume = self.volume();
        if let Some(volume) = volume {
            review.issues.extend(volume.check(path, old.and_then(Self::volume)));
        }
        if self.replicas() > 1 && volume.is_some() {
            let issue = Issue::invalid(format!("{path}.replicas"), "sqlite", self.replicas(), SQLITE);
            review.issues.push(issue.fatal());
        } else if self.replicas() > 1 {
            let text = format!("{path}.replicas: each server has accounts and indexes of its own");
            review.warn(Concern::DataLoss, text);
        }
    }
}

const NO_MODEL: &str = "Tabby has no model to use; list one in spec.ollama.models, or name chatModel and completionModel \
                        of the Ollama that ollamaServiceName names";
const SQLITE: &str = "must be 1 with persistence: Tabby keeps its data in SQLite, which one server may write";

fn membership(listed: &[ModelName]) -> String {
    let names: Vec<String> = listed.iter().map(ModelName::short).collect();
    if names.is_empty() {
        return "is not in spec.ollama.models, which is empty; add it there".into();
    }
    format!(
        "is not in spec.ollama.models; use one of {}, or add it there",
        names.join(", ")
    )
}

/// What CEL can say of it; the models are out of its sight (facts: schema).
pub(super) fn schema() -> Value {
    let on = "has(self.enabled) && self.enabled";
    let kept = "has(self.persistence) && has(self.persistence.enabled) && self.persistence.enabled";
    let sqlite = crd::rule(
        &format!("{on} && {kept} && has(self.replicas) && self.replicas > 1"),
        ".replicas",
        SQLITE,
    );
    let mut rules = persistence::rules(false);
    rules.extend([sqlite, ingress::rule(), service::rule(on)]);
    rules.into()
}
