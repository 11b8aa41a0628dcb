//! What an `LMDeployment` says of itself, in the words of `kubectl wait`, Helm, Argo CD and Flux.

use super::LMDeployment;
use super::chat::{ChatSpec, Database};
use super::conditions::Conditions;
use super::exposure;
use super::kept::Retained;
use super::parts::{Part, parts};
use super::trouble::trouble;
use super::wanted::Wanted;
use crate::base::condition;
use crate::base::object::find;
use crate::base::seen::{ModelState, Seen};
use crate::component::{ollama, openwebui, pipelines, postgres, redis, tabby};
use crate::kind::Outcome;
use crate::kind::ollamamodel::{OllamaModel, status_of};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The observed state of a stack.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LMDeploymentStatus {
    /// Pending: no replica is ready; Progressing: some are; Ready: all are; Suspended: none shall run; Failed: the manifest cannot be followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// The generation of the spec that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready replicas of all components.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_replicas: Option<i32>,
    /// Replicas of all components.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_replicas: Option<i32>,
    /// Both, as in 2/3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<String>,
    /// Models that are on every server, as in 1/2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models_ready: Option<String>,
    /// Ollama.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ollama_status: Option<ComponentStatus>,
    /// Open WebUI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub openwebui_status: Option<ComponentStatus>,
    /// Redis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis_status: Option<ComponentStatus>,
    /// PostgreSQL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postgres_status: Option<ComponentStatus>,
    /// Pipelines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipelines_status: Option<ComponentStatus>,
    /// Tabby.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tabby_status: Option<ComponentStatus>,
    /// The models; their progress is at the `OllamaModel` of each.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub models: Option<Vec<ModelStatus>>,
    /// Claims of parts that are off, and the Secrets that open them: kept until they are deleted by hand, and taken up again with their part.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["kind", "name"]))]
    pub retained: Option<Vec<Retained>>,
    /// Where the components answer inside the cluster and, as `openwebuiPublic` and `tabbyPublic`, outside of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<BTreeMap<String, String>>,
    /// The images that run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective_images: Option<BTreeMap<String, String>>,
    /// Ready, Progressing, Degraded, Valid, `ModelsReady`, Reconciling and Stalled, and Exposed where a Gateway is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Option<Vec<Condition>>,
}

/// How far a stack is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(transform = crate::base::crd::choice)]
pub enum Phase {
    /// No replica is ready.
    Pending,
    /// Some are.
    Progressing,
    /// All are.
    Ready,
    /// None shall run.
    Suspended,
    /// The manifest cannot be followed.
    Failed,
}

/// How far a component is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentStatus {
    /// Replicas that have been ready for long enough.
    pub available_replicas: i32,
    /// Replicas that are ready.
    pub ready_replicas: i32,
    /// Replicas of the newest template.
    pub updated_replicas: i32,
    /// The models that Tabby uses: chat, completion, embedding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<BTreeMap<String, String>>,
    /// Where Open WebUI keeps its accounts: sqlite, postgres or external.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<Database>,
    /// Available.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Option<Vec<Condition>>,
}

/// A model of the stack.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelStatus {
    /// Its name with its tag.
    pub name: String,
    /// pending, pulling, ready or failed.
    pub state: ModelState,
    /// The digest that the servers report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
    /// Servers that hold it, as in 2/3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_on: Option<String>,
}

pub(super) fn of(stack: &LMDeployment, seen: &Seen<'_>, outcome: &Outcome, now: Timestamp) -> LMDeploymentStatus {
    let old = stack.status.clone().unwrap_or_default();
    let generation = stack.metadata.generation;
    let fatal = outcome.rivaled || outcome.review.issues.iter().any(|i| i.fatal);
    let wanted = stack.wanted(seen);
    let parts = parts(stack, seen);
    let total = parts.iter().map(|p| p.replicas).fold(0, i32::saturating_add);
    let ready = parts.iter().map(Part::ready).fold(0, i32::saturating_add);
    let settled = parts.iter().all(Part::is_settled);
    let models_ready = wanted.iter().filter(|w| w.state == ModelState::Ready).count();
    let mut states = Conditions {
        outcome,
        wanted: &wanted,
        settled,
        suspended: stack.is_suspended(),
        resting: parts.iter().all(|p| p.is_settled() || p.is_waiting()),
        ready,
        total,
        trouble: stack
            .secret_trouble(seen)
            .or_else(|| stack.other_trouble(seen))
            .or_else(|| trouble(seen, settled))
            .or_else(|| exposure::trouble(stack, seen, outcome)),
    }
    .states();
    states.extend(exposure::state(stack, seen, outcome));
    let component = |name: &str, before: &Option<ComponentStatus>| {
        let part = parts.iter().find(|p| p.name == name)?;
        let before = before.as_ref().and_then(|b| b.conditions.clone());
        Some(part.status(before, generation, now))
    };
    LMDeploymentStatus {
        phase: Some(match (ready, settled) {
            _ if fatal => Phase::Failed,
            (_, true) if stack.is_suspended() => Phase::Suspended,
            _ if stack.is_suspended() => Phase::Progressing,
            (_, true) if ready == total => Phase::Ready,
            (0, _) => Phase::Pending,
            _ => Phase::Progressing,
        }),
        observed_generation: generation,
        ready_replicas: Some(ready),
        total_replicas: Some(total),
        ready: Some(format!("{ready}/{total}")),
        models_ready: Some(format!("{models_ready}/{}", wanted.len())),
        ollama_status: component(ollama::NAME, &old.ollama_status),
        openwebui_status: component(openwebui::NAME, &old.openwebui_status).map(|s| ComponentStatus {
            database: database(stack, seen, fatal),
            ..s
        }),
        redis_status: component(redis::NAME, &old.redis_status),
        postgres_status: component(postgres::NAME, &old.postgres_status),
        pipelines_status: component(pipelines::NAME, &old.pipelines_status),
        tabby_status: component(tabby::NAME, &old.tabby_status).map(|s| ComponentStatus {
            models: tabby_models(stack),
            ..s
        }),
        models: Some(wanted.iter().map(|w| w.status(seen)).collect()),
        retained: Some(stack.retained(seen)).filter(|kept| !kept.is_empty()),
        endpoints: Some(endpoints(stack)),
        effective_images: Some(images(stack, seen)),
        conditions: Some(condition::merge(
            &old.conditions.unwrap_or_default(),
            states,
            generation,
            now,
        )),
    }
}

/// What is said of the database: where nothing is touched, what was known before.
fn database(stack: &LMDeployment, seen: &Seen<'_>, fatal: bool) -> Option<Database> {
    let chat = stack.chat()?;
    if fatal {
        return stack.known_database();
    }
    Some(stack.database(chat, seen))
}

impl Wanted {
    fn status(&self, seen: &Seen<'_>) -> ModelStatus {
        let child = find::<OllamaModel>(seen.live, &self.child);
        let status = child.and_then(status_of).unwrap_or_default();
        ModelStatus {
            name: self.item.name.short(),
            state: self.state,
            digest: status.digest,
            size: status.size,
            ready_on: status.on,
        }
    }
}

fn tabby_models(stack: &LMDeployment) -> Option<BTreeMap<String, String>> {
    let models = stack.tabby_models()?;
    let pairs = [
        ("chat", &models.chat),
        ("completion", &models.completion),
        ("embedding", &models.embedding),
    ];
    Some(
        pairs
            .into_iter()
            .map(|(use_, name)| (use_.into(), name.short()))
            .collect(),
    )
}

fn endpoints(stack: &LMDeployment) -> BTreeMap<String, String> {
    let url = |component: &str, port: i32| {
        let namespace = stack.namespace().unwrap_or_default();
        (
            component.to_string(),
            format!("http://{}-{component}.{namespace}.svc:{port}", stack.name_any()),
        )
    };
    let ollama = stack.ollama().map(|o| url(ollama::NAME, o.common.port(ollama::PORT)));
    let chat = stack
        .chat()
        .map(|c| url(openwebui::NAME, c.web.common.port(openwebui::PORT)));
    let tabby = stack.tabby().map(|t| url(tabby::NAME, t.common.port(tabby::PORT)));
    let public = |component: &str, address: Option<String>| Some((format!("{component}Public"), address?));
    let outside = [
        stack.chat().and_then(|c| public(openwebui::NAME, c.web.address())),
        stack.tabby().and_then(|t| public(tabby::NAME, t.address())),
    ];
    [ollama, chat, tabby].into_iter().chain(outside).flatten().collect()
}

fn images(stack: &LMDeployment, seen: &Seen<'_>) -> BTreeMap<String, String> {
    let chat = stack.chat();
    let images = [
        (ollama::NAME, stack.ollama().map(|o| o.image(seen))),
        (openwebui::NAME, chat.map(|c| c.web.image(seen))),
        (redis::NAME, chat.and_then(ChatSpec::redis).map(|r| r.image(seen))),
        (
            postgres::NAME,
            chat.and_then(|c| stack.postgres(c, seen)).map(|p| p.image(seen)),
        ),
        (
            pipelines::NAME,
            chat.and_then(ChatSpec::pipelines).map(|p| p.image(seen)),
        ),
        (tabby::NAME, stack.tabby().map(|t| t.image(seen))),
    ];
    let known = images
        .into_iter()
        .filter_map(|(name, image)| Some((name.to_string(), image?)));
    known.collect()
}
