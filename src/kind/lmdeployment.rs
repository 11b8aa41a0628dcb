//! `LMDeployment`: one stack. Owns the components, and passes from one to the other what they need to know.

mod chat;
mod claims;
mod conditions;
mod exposure;
mod kept;
mod other;
mod parts;
mod review;
mod status;
mod trouble;
mod wanted;
mod warnings;

use super::{Kind, Outcome, takeover};
use crate::base::crd::{self, NameRule};
use crate::base::issue::{Issue, Review};
use crate::base::model::ModelName;
use crate::base::names;
use crate::base::object::Object;
use crate::base::seen::Seen;
use crate::base::settings::Settings;
use crate::component::common::{NetworkPolicySpec, network};
use crate::component::ollama::models::Item;
use crate::component::ollama::{self, OllamaSpec};
use crate::component::openwebui;
use crate::component::tabby::config::Models;
use crate::component::tabby::{self, TabbySpec};
use chat::Fill;
pub use chat::{ChatSpec, Database};
use jiff::Timestamp;
pub use kept::{Retained, is_kept};
use kube::{CustomResource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
pub use status::LMDeploymentStatus;
use std::collections::BTreeSet;
use wanted::{all_ready, gate};

/// What a stack is made of.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[kube(
    group = "llm.geeper.io",
    version = "v1alpha1",
    kind = "LMDeployment",
    namespaced,
    plural = "lmdeployments",
    shortname = "lmd",
    shortname = "ollamadep",
    category = "llm",
    status = "LMDeploymentStatus",
    derive = "PartialEq",
    doc = "A private LLM stack: Ollama with its models, Open WebUI for chat, and Tabby for code completion. Volumes, affinity, tolerations and security contexts are stored as they are sent, in the form of core/v1.",
    printcolumn = r#"{"name": "Phase", "type": "string", "jsonPath": ".status.phase"}"#,
    printcolumn = r#"{"name": "Ready", "type": "string", "jsonPath": ".status.ready", "description": "Ready replicas of those asked for"}"#,
    printcolumn = r#"{"name": "Models", "type": "string", "jsonPath": ".status.modelsReady", "description": "Models that are on every server"}"#,
    printcolumn = r#"{"name": "URL", "type": "string", "jsonPath": ".status.endpoints.ollama"}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name": "Ollama-Image", "type": "string", "jsonPath": ".status.effectiveImages.ollama", "priority": 1}"#,
    printcolumn = r#"{"name": "OpenWebUI-Image", "type": "string", "jsonPath": ".status.effectiveImages.openwebui", "priority": 1}"#,
    printcolumn = r#"{"name": "Tabby-Image", "type": "string", "jsonPath": ".status.effectiveImages.tabby", "priority": 1}"#,
    printcolumn = r#"{"name": "Reason", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].reason", "priority": 1}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [engine()]))]
pub struct LMDeploymentSpec {
    /// Ollama and its models. Default: on, one server, no model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ollama: Option<OllamaSpec>,
    /// Open WebUI, with its database, Redis and Pipelines. Default: off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub openwebui: Option<ChatSpec>,
    /// Tabby. Default: off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tabby: Option<TabbySpec>,
    /// Whether the stack rests: no pod runs, and data and models on claims stay. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// Who may reach the pods, and what they may reach. Default: enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_policy: Option<NetworkPolicySpec>,
}

const NO_ENGINE: &str = "the stack has no engine: leave spec.ollama.enabled away, or give spec.openwebui.ollamaUrls or \
                         spec.tabby.ollamaServiceName";

/// The same rule in CEL.
fn engine() -> Value {
    let tabby = "has(self.tabby) && has(self.tabby.enabled) && self.tabby.enabled && has(self.tabby.ollamaServiceName)";
    let web = "has(self.openwebui) && has(self.openwebui.enabled) && self.openwebui.enabled && has(self.openwebui.ollamaUrls)";
    crd::rule(
        &format!("has(self.ollama) && has(self.ollama.enabled) && !self.ollama.enabled && !({tabby}) && !({web})"),
        ".ollama.enabled",
        NO_ENGINE,
    )
}

impl Kind for LMDeployment {
    /// Services, labels and claims are named after it.
    const NAMES: NameRule = NameRule {
        longest: names::LONGEST_NAME,
        label: true,
    };

    fn fill(object: &mut Value) {
        let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else {
            return;
        };
        if let Some(ollama) = spec.entry("ollama").or_insert_with(|| json!({})).as_object_mut()
            && ollama.get("enabled") != Some(&false.into())
        {
            OllamaSpec::fill(ollama);
        }
        let blocks: [(&str, Fill); 2] = [("openwebui", ChatSpec::fill), ("tabby", TabbySpec::fill)];
        for (name, fill) in blocks {
            if let Some(block) = spec.get_mut(name).and_then(Value::as_object_mut)
                && block.get("enabled") == Some(&true.into())
            {
                fill(block);
            }
        }
        if let Some(policy) = spec.entry("networkPolicy").or_insert_with(|| json!({})).as_object_mut() {
            policy.entry("enabled").or_insert(true.into());
        }
    }

    fn check(&self, old: Option<&Self>, settings: &Settings) -> Review {
        let mut review = self.review(old, settings);
        review.issues.extend(takeover::check(self));
        review
    }

    fn check_live(&self, seen: &Seen<'_>) -> Vec<Issue> {
        self.check_claims(seen)
    }

    fn desired(&self, seen: &Seen<'_>) -> Vec<Object> {
        let policy = self.spec.network_policy.clone().unwrap_or_default();
        let wanted = self.wanted(seen);
        let mut objects: Vec<Object> = wanted.iter().map(|w| w.object(seen)).collect();
        if let Some(ollama) = self.ollama() {
            let tabby = self.tabby().filter(|_| self.other_ollama().is_none());
            let chat = self.chat().filter(|c| c.web.ollama_urls.is_none());
            let names = [tabby.map(|_| tabby::NAME), chat.map(|_| openwebui::NAME)];
            let consumers: Vec<Value> = names
                .into_iter()
                .flatten()
                .map(|name| network::pods(seen.owner, name))
                .collect();
            objects.extend(ollama.objects(seen, &policy, &gate(seen, &wanted), &consumers));
        }
        if let Some(chat) = self.chat() {
            objects.extend(self.chat_objects(chat, seen, &policy));
        }
        if let (Some(tabby), Some(models)) = (self.tabby(), self.tabby_models()) {
            // The models may be there before the gate lets anyone reach them, and Tabby dies when nobody answers.
            let served = all_ready(&models, &wanted) && ollama::Gate::live(seen).opened;
            let there = if self.other_ollama().is_some() {
                self.other_serves(seen)
            } else {
                served
            };
            let start = TabbySpec::exists(seen) || there;
            objects.extend(tabby.objects(seen, &policy, &models, &self.ollama_url(), start));
        }
        objects.extend(self.spared(seen));
        if self.is_suspended() {
            // An autoscaler would wake what rests.
            objects.retain(|object| object.resource.kind != "HorizontalPodAutoscaler");
            objects.iter_mut().for_each(suspend);
        }
        objects
    }

    fn secrets(&self) -> Option<BTreeSet<String>> {
        Some(self.secret_names(&self.name_any()))
    }

    fn status(&self, seen: &Seen<'_>, outcome: &Outcome, now: Timestamp) -> Value {
        json!(status::of(self, seen, outcome, now))
    }
}

/// The workload without a pod; other objects stay as they are.
fn suspend(object: &mut Object) {
    if ["Deployment", "StatefulSet"].contains(&object.resource.kind.as_str()) && object.body["spec"].is_object() {
        object.body["spec"]["replicas"] = 0.into();
        object.counted = None;
    }
}

impl LMDeployment {
    /// True when no pod shall run.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        self.spec.suspend == Some(true)
    }

    /// Ollama, where it is on. An absent block is on with its defaults.
    #[must_use]
    pub fn ollama(&self) -> Option<&OllamaSpec> {
        static PLAIN: std::sync::LazyLock<OllamaSpec> = std::sync::LazyLock::new(OllamaSpec::default);
        let ollama = self.spec.ollama.as_ref().unwrap_or(&PLAIN);
        (ollama.common.enabled != Some(false)).then_some(ollama)
    }

    /// Open WebUI and what exists for its sake, where it is on.
    #[must_use]
    pub fn chat(&self) -> Option<&ChatSpec> {
        self.spec.openwebui.as_ref().filter(|c| c.web.is_on())
    }

    /// Tabby, where it is on.
    #[must_use]
    pub fn tabby(&self) -> Option<&TabbySpec> {
        self.spec.tabby.as_ref().filter(|t| t.is_on())
    }

    fn listed(&self) -> Vec<Item> {
        let models = self.ollama().and_then(|o| o.models.as_deref());
        ollama::models::read(models.unwrap_or_default())
    }

    fn listed_names(&self) -> Vec<ModelName> {
        self.listed().into_iter().map(|i| i.name).collect()
    }

    fn tabby_models(&self) -> Option<Models> {
        self.tabby()?.models(&self.listed_names())
    }

    /// The Service of the stack's own Ollama.
    fn ollama_service(&self) -> String {
        format!("{}-{}", self.name_any(), ollama::NAME)
    }

    /// Where Tabby finds Ollama.
    fn ollama_url(&self) -> String {
        if let Some(service) = self.other_ollama() {
            let port = self.tabby().and_then(|t| t.ollama_service_port);
            return format!("http://{service}:{}", port.unwrap_or(ollama::PORT));
        }
        self.own_ollama_url()
    }

    /// Where the stack's own Ollama is found.
    fn own_ollama_url(&self) -> String {
        let port = self.ollama().map_or(ollama::PORT, |o| o.common.port(ollama::PORT));
        format!("http://{}:{port}", self.ollama_service())
    }

    /// The listed models, and the one that Tabby's embeddings imply.
    fn items(&self) -> Vec<Item> {
        let mut items = self.listed();
        let own = self.ollama().is_some() && self.other_ollama().is_none();
        if let Some(models) = self.tabby_models().filter(|_| own)
            && !items.iter().any(|i| i.name.key() == models.embedding.key())
        {
            items.push(Item {
                name: models.embedding,
                pull_policy: None,
                insecure: false,
            });
        }
        items
    }
}

#[cfg(test)]
mod tests;
