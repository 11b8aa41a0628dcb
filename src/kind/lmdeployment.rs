//! `LMDeployment`: one stack. Owns the components, and passes from one to the other what they need to know.

mod status;

use super::ollamamodel::{self, OllamaModel};
use super::{Kind, Outcome};
use crate::base::condition::Reason;
use crate::base::issue::{Concern, Issue, Review};
use crate::base::model::ModelName;
use crate::base::names;
use crate::base::object::{self, Object};
use crate::base::seen::{ModelState, Seen};
use crate::base::settings::Settings;
use crate::component::common::{NetworkPolicySpec, PullPolicy, check};
use crate::component::ollama::models::Item;
use crate::component::ollama::{self, Gate, OllamaSpec};
use crate::component::tabby::TabbySpec;
use crate::component::tabby::config::Models;
use jiff::Timestamp;
use kube::{CustomResource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
pub use status::LMDeploymentStatus;

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
    doc = "A private LLM stack: Ollama with its models, and Tabby code completion. Volumes, affinity, tolerations and security contexts are stored as they are sent, in the form of core/v1.",
    printcolumn = r#"{"name": "Phase", "type": "string", "jsonPath": ".status.phase"}"#,
    printcolumn = r#"{"name": "Ready", "type": "string", "jsonPath": ".status.ready", "description": "Ready replicas of those asked for"}"#,
    printcolumn = r#"{"name": "Models", "type": "string", "jsonPath": ".status.modelsReady", "description": "Models that are on every server"}"#,
    printcolumn = r#"{"name": "URL", "type": "string", "jsonPath": ".status.endpoints.ollama"}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name": "Ollama-Image", "type": "string", "jsonPath": ".status.effectiveImages.ollama", "priority": 1}"#,
    printcolumn = r#"{"name": "Tabby-Image", "type": "string", "jsonPath": ".status.effectiveImages.tabby", "priority": 1}"#,
    printcolumn = r#"{"name": "Reason", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].reason", "priority": 1}"#
)]
#[serde(rename_all = "camelCase")]
pub struct LMDeploymentSpec {
    /// Ollama and its models. Default: on, one server, no model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ollama: Option<OllamaSpec>,
    /// Tabby. Default: off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tabby: Option<TabbySpec>,
    /// Who may reach the pods, and what they may reach. Default: enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_policy: Option<NetworkPolicySpec>,
}

/// A model of the stack, and what is known of it.
struct Wanted {
    item: Item,
    /// The name of its `OllamaModel`.
    child: String,
    state: ModelState,
    reason: Option<Reason>,
}

impl Kind for LMDeployment {
    const LONGEST_NAME: usize = names::LONGEST_NAME;

    fn fill(object: &mut Value) {
        let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else {
            return;
        };
        if let Some(ollama) = spec.entry("ollama").or_insert_with(|| json!({})).as_object_mut()
            && ollama.get("enabled") != Some(&false.into())
        {
            OllamaSpec::fill(ollama);
        }
        if let Some(tabby) = spec.get_mut("tabby").and_then(Value::as_object_mut)
            && tabby.get("enabled") == Some(&true.into())
        {
            TabbySpec::fill(tabby);
        }
        if let Some(policy) = spec.entry("networkPolicy").or_insert_with(|| json!({})).as_object_mut() {
            policy.entry("enabled").or_insert(true.into());
        }
    }

    fn check(&self, old: Option<&Self>, settings: &Settings) -> Review {
        let mut review = Review {
            issues: check_name(self, Self::LONGEST_NAME),
            warnings: vec![],
        };
        let safe = settings.policy.allow_unsafe_pods;
        if let Some(ollama) = self.ollama() {
            review.extend(ollama.check("spec.ollama", old.and_then(Self::ollama), safe));
            if self.listed().is_empty() {
                review.warn(
                    Concern::NoEffect,
                    "spec.ollama.models is empty: nothing is pulled, so nothing answers",
                );
            }
            self.warn_of_never(&mut review);
        }
        if let Some(tabby) = self.tabby() {
            review.extend(tabby.check("spec.tabby", &self.listed_names(), old.and_then(Self::tabby), safe));
        }
        if self.ollama().is_none() && self.tabby().is_none_or(|t| t.ollama_service_name.is_none()) {
            let detail =
                "the stack has no engine: leave spec.ollama.enabled away, or give spec.tabby.ollamaServiceName";
            review
                .issues
                .push(Issue::invalid("spec.ollama.enabled", "engine", false, detail).fatal());
        }
        self.warn_of_legacy(&mut review);
        review
    }

    fn desired(&self, seen: &Seen<'_>) -> Vec<Object> {
        let policy = self.spec.network_policy.clone().unwrap_or_default();
        let wanted = self.wanted(seen);
        let mut objects: Vec<Object> = wanted.iter().map(|w| w.object(seen)).collect();
        if let Some(ollama) = self.ollama() {
            objects.extend(ollama.objects(seen, &policy, &gate(seen, &wanted)));
        }
        if let (Some(tabby), Some(models)) = (self.tabby(), self.tabby_models()) {
            let start = tabby.ollama_service_name.is_some() || TabbySpec::exists(seen) || all_ready(&models, &wanted);
            objects.extend(tabby.objects(seen, &policy, &models, &self.ollama_url(), start));
        }
        objects
    }

    fn status(&self, seen: &Seen<'_>, outcome: &Outcome, now: Timestamp) -> Value {
        json!(status::of(self, seen, outcome, now))
    }
}

impl LMDeployment {
    /// Ollama, where it is on. An absent block is on with its defaults.
    #[must_use]
    pub fn ollama(&self) -> Option<&OllamaSpec> {
        static PLAIN: std::sync::LazyLock<OllamaSpec> = std::sync::LazyLock::new(OllamaSpec::default);
        let ollama = self.spec.ollama.as_ref().unwrap_or(&PLAIN);
        (ollama.common.enabled != Some(false)).then_some(ollama)
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

    /// Where Tabby finds Ollama.
    fn ollama_url(&self) -> String {
        let tabby = self.tabby();
        let own = self.ollama().map_or(ollama::PORT, |o| o.common.port(ollama::PORT));
        match tabby.and_then(|t| t.ollama_service_name.as_deref()) {
            Some(service) => format!(
                "http://{service}:{}",
                tabby.and_then(|t| t.ollama_service_port).unwrap_or(ollama::PORT)
            ),
            None => format!("http://{}-{}:{own}", self.name_any(), ollama::NAME),
        }
    }

    /// The listed models, and the one that Tabby's embeddings imply.
    fn items(&self) -> Vec<Item> {
        let mut items = self.listed();
        let own = self.tabby().is_some_and(|t| t.ollama_service_name.is_none());
        if let Some(models) = self.tabby_models().filter(|_| own && self.ollama().is_some())
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

    fn wanted(&self, seen: &Seen<'_>) -> Vec<Wanted> {
        let with_state = |item: Item| {
            let child = ollamamodel::child_name(seen.owner, &item.name);
            let status = object::find::<OllamaModel>(seen.live, &child).and_then(ollamamodel::status_of);
            let (state, reason) = status.map_or((ModelState::Pending, None), |s| {
                (s.state.unwrap_or_default(), s.failure())
            });
            Wanted {
                item,
                child,
                state,
                reason,
            }
        };
        self.items().into_iter().map(with_state).collect()
    }

    fn warn_of_never(&self, review: &mut Review) {
        for item in self
            .listed()
            .iter()
            .filter(|i| i.pull_policy == Some(PullPolicy::Never))
        {
            review.warn(
                Concern::NoEffect,
                format!(
                    "{} has pullPolicy Never: something else must bring it to the servers",
                    item.name
                ),
            );
        }
    }

    fn warn_of_legacy(&self, review: &mut Review) {
        let ollama = self.ollama().map(|o| check::legacy("spec.ollama", &o.common));
        let tabby = self.tabby().map(|t| check::legacy("spec.tabby", &t.common));
        let mut used: Vec<String> = ollama.into_iter().chain(tabby).flatten().collect();
        used.extend(
            self.tabby()
                .filter(|t| t.model_name.is_some())
                .map(|_| "spec.tabby.modelName".into()),
        );
        if !used.is_empty() {
            review.warn(
                Concern::Legacy,
                format!("older fields, see docs/upgrade.md: {}", used.join(", ")),
            );
        }
    }
}

impl Wanted {
    fn object(&self, seen: &Seen<'_>) -> Object {
        let policy = self.item.pull_policy;
        let fields = json!({"spec": {
            "name": self.item.name.bare(),
            "tag": self.item.name.tag(),
            "pullPolicy": policy,
            "insecure": self.item.insecure.then_some(true),
            "target": {"deploymentRef": {"kind": seen.owner.kind, "name": seen.owner.name}},
        }});
        seen.owner.object::<OllamaModel>(ollama::NAME, &self.child, fields)
    }

    /// Pods wait for it, unless nothing will pull it or only the user can mend it.
    fn gates(&self) -> bool {
        self.item.pull_policy != Some(PullPolicy::Never) && !self.reason.is_some_and(Reason::is_users)
    }
}

/// The names that a server needs before it is Ready. Once the gate has been open, a model joins them when it is there.
fn gate(seen: &Seen<'_>, wanted: &[Wanted]) -> Gate {
    let live = Gate::live(seen);
    let joins = |w: &&Wanted| {
        let name = w.item.name.short();
        w.gates() && (!live.opened || w.state == ModelState::Ready || live.required.contains(&name))
    };
    Gate {
        required: wanted.iter().filter(joins).map(|w| w.item.name.short()).collect(),
        opened: live.opened,
    }
}

fn all_ready(models: &Models, wanted: &[Wanted]) -> bool {
    let ready = |name: &ModelName| {
        wanted
            .iter()
            .any(|w| w.item.name.key() == name.key() && w.state == ModelState::Ready)
    };
    [&models.chat, &models.completion, &models.embedding]
        .into_iter()
        .all(ready)
}

/// The rule on names, which is also at the root of the schema; a generated name does not exist yet.
pub(super) fn check_name<K: Kind>(object: &K, longest: usize) -> Vec<Issue> {
    let Some(name) = object
        .meta()
        .name
        .as_deref()
        .filter(|n| !names::is_dns_label(n, longest))
    else {
        return vec![];
    };
    let detail =
        format!("must be a DNS-1035 label of at most {longest} characters: lower case, digits and -, first a letter");
    vec![Issue::invalid("metadata.name", "name", name, detail).fatal()]
}

#[cfg(test)]
mod tests;
