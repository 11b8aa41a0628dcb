//! `OllamaModel`: one model on one Ollama, on all its replicas.

pub mod definition;
pub mod plan;
pub mod refresh;
mod rules;
pub mod sharing;
mod status;
pub mod target;

use super::{Kind, Outcome};
use crate::base::crd::NameRule;
use crate::base::hash;
use crate::base::issue::Review;
use crate::base::model::ModelName;
use crate::base::names;
use crate::base::object::{Object, Owner};
use crate::base::seen::{ModelState, Seen};
use crate::base::settings::Settings;
use crate::component::common::PullPolicy;
use definition::{Derived, Message};
use jiff::Timestamp;
use kube::core::DynamicObject;
use kube::{CustomResource, ResourceExt};
use plan::Wish;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
pub use status::{OllamaModelStatus, ReplicaStatus};
use std::collections::BTreeMap;
pub use target::{Place, Target};
use validator::Validate;

/// Which model, and where.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[kube(
    group = "ollama.smithforge.dev",
    version = "v1alpha1",
    kind = "OllamaModel",
    namespaced,
    plural = "ollamamodels",
    category = "llm",
    status = "OllamaModelStatus",
    derive = "PartialEq",
    doc = "One model on one Ollama, on all its replicas. The annotation ollama.smithforge.dev/refresh asks for it to be pulled again.",
    printcolumn = r#"{"name": "Model", "type": "string", "jsonPath": ".status.model"}"#,
    printcolumn = r#"{"name": "State", "type": "string", "jsonPath": ".status.state"}"#,
    printcolumn = r#"{"name": "Progress", "type": "integer", "jsonPath": ".status.progress", "description": "Percent"}"#,
    printcolumn = r#"{"name": "Size", "type": "string", "jsonPath": ".status.formattedSize"}"#,
    printcolumn = r#"{"name": "On", "type": "string", "jsonPath": ".status.on", "description": "Servers that hold it"}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::schema()))]
pub struct OllamaModelSpec {
    /// The model, as Ollama names it: `[host[:port]/][namespace/]model[:tag]`.
    #[validate(length(min = 1, max = 512))]
    pub name: String,
    /// The tag, where the name has none. Default: latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 80))]
    pub tag: Option<String>,
    /// When it is pulled: `IfNotPresent`, `Always` (once for every server that starts), or `Never`. Default: `IfNotPresent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_policy: Option<PullPolicy>,
    /// Pull by plain http. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insecure: Option<bool>,
    /// The digest of its manifest that is expected, as `sha256:` and 64 digits or the digits alone. Default: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 64, max = 71))]
    pub digest: Option<String>,
    /// The Ollama that should hold it. Default: the one that the operator was told (`--ollama-api-url`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    pub target: Option<Target>,
    /// The model that it is made from on the server; pulled first where it is not there. Default: it is pulled itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 512))]
    pub from: Option<String>,
    /// Instructions of a derived model. Default: those of its base.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 65536))]
    pub system: Option<String>,
    /// Parameters of a derived model, such as `{temperature: 0.5, stop: [a, b]}`. Default: those of its base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 32))]
    #[schemars(schema_with = "rules::parameters")]
    pub parameters: Option<BTreeMap<String, Value>>,
    /// The template of a derived model, in Go's language. Default: that of its base.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 65536))]
    pub template: Option<String>,
    /// The conversation that a derived model begins with. Default: that of its base.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 64), nested)]
    pub messages: Option<Vec<Message>>,
    /// The licence of a derived model. Default: that of its base.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 65536))]
    pub license: Option<String>,
    /// Adapters of a derived model: names of files with the digests under which the servers have them. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 8))]
    pub adapters: Option<BTreeMap<String, String>>,
    /// Load it as soon as it is there, for this long: `10m`, seconds, or -1 for ever. Default: not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::base::crd::quantity")]
    pub keep_alive: Option<Value>,
    /// What becomes of it on the servers when the last object that names it is deleted: `Delete` or `Retain`. Default:
    /// `Delete`; with pullPolicy `Never`, `Retain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
}

/// What becomes of a model on the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(transform = crate::base::crd::choice)]
pub enum DeletionPolicy {
    /// It goes.
    Delete,
    /// It stays.
    Retain,
}

impl Kind for OllamaModel {
    /// Nothing is named after it, so it may have dots, as in the older documents' `llama3.2-1b`.
    const NAMES: NameRule = NameRule {
        longest: 63,
        label: false,
    };

    fn fill(_object: &mut Value) {
        // Nothing is constant and absent: the tag belongs to the name, and the policy is computed at each reconcile.
    }

    fn check(&self, old: Option<&Self>, settings: &Settings) -> Review {
        rules::check(self, old, settings)
    }

    fn desired(&self, _seen: &Seen<'_>) -> Vec<Object> {
        vec![]
    }

    fn status(&self, seen: &Seen<'_>, outcome: &Outcome, now: Timestamp) -> Value {
        json!(status::of(self, seen, outcome, now))
    }
}

impl OllamaModel {
    /// What is declared, for the plan; `None` for what is no model's name.
    #[must_use]
    pub fn wish(&self, now: Timestamp) -> Option<Wish> {
        let digest = self.spec.digest.as_ref();
        let plain = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_string);
        Some(Wish {
            name: self.spec.model().ok()?,
            policy: self.spec.policy(),
            digest: digest.map(|d| d.strip_prefix("sha256:").unwrap_or(d).to_lowercase()),
            derived: Derived::of(&self.spec),
            refresh: self.refresh(now),
            keep_alive: self.spec.keep_alive.as_ref().map(plain),
            token: format!(
                "{}/{}",
                self.uid().unwrap_or_default(),
                self.metadata.generation.unwrap_or_default()
            ),
        })
    }

    /// Every model that the object needs: its own, and the one that it is made from.
    #[must_use]
    pub fn needs(&self) -> Vec<ModelName> {
        let base = self.spec.from.as_deref().and_then(|from| ModelName::parse(from).ok());
        self.spec.model().ok().into_iter().chain(base).collect()
    }

    /// True when the model stays on its servers.
    #[must_use]
    pub fn retains(&self) -> bool {
        // What something else has brought is not ours to take away.
        let foreign = self.spec.policy() == PullPolicy::Never && self.spec.from.is_none();
        let stays = if foreign {
            DeletionPolicy::Retain
        } else {
            DeletionPolicy::Delete
        };
        self.spec.deletion_policy.unwrap_or(stays) == DeletionPolicy::Retain
    }

    /// True when the model was on one of its servers, or on its way there, as far as is known.
    #[must_use]
    pub fn was_there(&self) -> bool {
        let Some(status) = &self.status else { return false };
        let begun = |r: &ReplicaStatus| matches!(r.state, ModelState::Ready | ModelState::Pulling);
        status.digest.is_some() || status.last_pull_time.is_some() || status.replicas.iter().flatten().any(begun)
    }
}

impl OllamaModelSpec {
    /// The model's name with every part filled in.
    ///
    /// # Errors
    /// The sentence of [`ModelName::parse`].
    pub fn model(&self) -> Result<ModelName, String> {
        ModelName::with_tag(&self.name, self.tag.as_deref())
    }

    /// When it is pulled.
    #[must_use]
    pub fn policy(&self) -> PullPolicy {
        self.pull_policy.unwrap_or(PullPolicy::IfNotPresent)
    }
}

/// The name of the `OllamaModel` that an owner makes for a model: readable, and unique to both.
#[must_use]
pub fn child_name(owner: &Owner, model: &ModelName) -> String {
    let unique = hash::short(&format!("{}/{}", owner.uid, model.key()), 6);
    // 40 for the owner, 6 for the hash, 2 dashes: the slug gets what is left of 63.
    let slug = names::slug(&format!("{}-{}", model.family(), model.tag()), 15);
    format!("{}-{slug}-{unique}", owner.name)
}

/// The status of a live `OllamaModel`.
#[must_use]
pub fn status_of(live: &DynamicObject) -> Option<OllamaModelStatus> {
    serde_json::from_value(live.data.get("status")?.clone()).ok()
}
