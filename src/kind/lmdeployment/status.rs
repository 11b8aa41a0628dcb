//! What an `LMDeployment` says of itself, in the words of `kubectl wait`, Helm, Argo CD and Flux.

use super::{LMDeployment, Wanted};
use crate::base::condition::{self, Reason, State};
use crate::base::object::{self, find};
use crate::base::seen::{ModelState, Seen};
use crate::component::{ollama, tabby};
use crate::kind::Outcome;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use kube::core::DynamicObject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The observed state of a stack.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LMDeploymentStatus {
    /// Pending: no replica is ready; Progressing: some are; Ready: all are; Failed: the manifest cannot be followed.
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
    /// Tabby.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tabby_status: Option<ComponentStatus>,
    /// The models; their progress is at the `OllamaModel` of each.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub models: Option<Vec<ModelStatus>>,
    /// Where the components answer inside the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<BTreeMap<String, String>>,
    /// The images that run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective_images: Option<BTreeMap<String, String>>,
    /// Ready, Progressing, Degraded, Valid, `ModelsReady`, Reconciling and Stalled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Option<Vec<Condition>>,
}

/// How far a stack is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum Phase {
    /// No replica is ready.
    Pending,
    /// Some are.
    Progressing,
    /// All are.
    Ready,
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

/// One component as it was seen.
struct Part {
    name: &'static str,
    replicas: i32,
    live: Option<DynamicObject>,
    /// Nothing is wrong with its absence: it waits for its models.
    waits: bool,
}

pub(super) fn of(stack: &LMDeployment, seen: &Seen<'_>, outcome: &Outcome, now: Timestamp) -> LMDeploymentStatus {
    let old = stack.status.clone().unwrap_or_default();
    let generation = stack.metadata.generation;
    let fatal = outcome.review.issues.iter().any(|i| i.fatal);
    let wanted = stack.wanted(seen);
    let parts = parts(stack, seen);
    let total: i32 = parts.iter().map(|p| p.replicas).sum();
    let ready: i32 = parts.iter().map(|p| p.count("readyReplicas").min(p.replicas)).sum();
    let settled = parts.iter().all(Part::is_settled);
    let models_ready = wanted.iter().filter(|w| w.state == ModelState::Ready).count();
    let states = Conditions {
        outcome,
        wanted: &wanted,
        settled,
        ready,
        total,
        trouble: trouble(seen),
    }
    .states();
    let status_of = |name: &str| {
        let part = parts.iter().find(|p| p.name == name)?;
        let before = if name == ollama::NAME {
            &old.ollama_status
        } else {
            &old.tabby_status
        };
        Some(part.status(before.as_ref(), generation, now))
    };
    LMDeploymentStatus {
        phase: Some(match (ready, settled) {
            _ if fatal => Phase::Failed,
            (_, true) if ready == total => Phase::Ready,
            (0, _) => Phase::Pending,
            _ => Phase::Progressing,
        }),
        observed_generation: generation,
        ready_replicas: Some(ready),
        total_replicas: Some(total),
        ready: Some(format!("{ready}/{total}")),
        models_ready: Some(format!("{models_ready}/{}", wanted.len())),
        ollama_status: status_of(ollama::NAME),
        tabby_status: status_of(tabby::NAME).map(|s| ComponentStatus {
            models: tabby_models(stack),
            ..s
        }),
        models: Some(wanted.iter().map(|w| w.status(seen)).collect()),
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

fn parts(stack: &LMDeployment, seen: &Seen<'_>) -> Vec<Part> {
    let ollama = stack.ollama().map(|o| Part {
        name: ollama::NAME,
        replicas: o.replicas(),
        live: ollama::workload(seen).cloned(),
        waits: false,
    });
    let tabby = stack.tabby().map(|t| Part {
        name: tabby::NAME,
        replicas: t.replicas(),
        live: find::<Deployment>(seen.live, &format!("{}-{}", seen.owner.name, tabby::NAME)).cloned(),
        waits: true,
    });
    ollama.into_iter().chain(tabby).collect()
}

impl Part {
    fn count(&self, field: &str) -> i32 {
        let value = self.live.as_ref().and_then(|l| l.data["status"][field].as_i64());
        value.and_then(|n| i32::try_from(n).ok()).unwrap_or(0)
    }

    /// The workload's controller has seen the newest template, and all replicas run it and are ready.
    fn is_settled(&self) -> bool {
        let Some(live) = &self.live else {
            return self.replicas == 0;
        };
        let seen = live.data["status"]["observedGeneration"].as_i64() >= live.metadata.generation;
        let asked = live.data["spec"]["replicas"].as_i64() == Some(i64::from(self.replicas));
        let rolled = [self.count("updatedReplicas"), self.count("readyReplicas")]
            .iter()
            .all(|n| *n >= self.replicas);
        seen && asked && rolled && self.count("replicas") == self.replicas
    }

    fn status(&self, before: Option<&ComponentStatus>, generation: Option<i64>, now: Timestamp) -> ComponentStatus {
        let old = before.and_then(|b| b.conditions.clone()).unwrap_or_default();
        let state = match (&self.live, self.is_settled()) {
            (_, true) => State::new("Available", true, Reason::Reconciled, "all replicas are ready"),
            (None, _) if self.waits => State::new("Available", false, Reason::Pulling, "waits for its models"),
            _ => State::new("Available", false, Reason::RollingOut, "replicas are not ready yet"),
        };
        ComponentStatus {
            available_replicas: self.count("availableReplicas"),
            ready_replicas: self.count("readyReplicas"),
            updated_replicas: self.count("updatedReplicas"),
            models: None,
            conditions: Some(condition::merge(&old, vec![state], generation, now)),
        }
    }
}

impl Wanted {
    fn status(&self, seen: &Seen<'_>) -> ModelStatus {
        let child = find::<crate::kind::ollamamodel::OllamaModel>(seen.live, &self.child);
        let status = child.and_then(crate::kind::ollamamodel::status_of).unwrap_or_default();
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
    let tabby = stack.tabby().map(|t| url(tabby::NAME, t.common.port(tabby::PORT)));
    ollama.into_iter().chain(tabby).collect()
}

fn images(stack: &LMDeployment, seen: &Seen<'_>) -> BTreeMap<String, String> {
    let ollama = stack.ollama().map(|o| (ollama::NAME.to_string(), o.image(seen)));
    let tabby = stack.tabby().map(|t| (tabby::NAME.to_string(), t.image(seen)));
    ollama.into_iter().chain(tabby).collect()
}

/// What a person should know of the pods: an image that cannot be pulled, a crash, no room on any node.
fn trouble(seen: &Seen<'_>) -> Option<String> {
    object::all::<Pod>(seen.live).find_map(|pod| {
        let list = |field: &str| pod.data["status"][field].as_array().cloned().unwrap_or_default();
        let waiting = list("containerStatuses")
            .into_iter()
            .chain(list("initContainerStatuses"))
            .find_map(|c| {
                let waiting = &c["state"]["waiting"];
                let reason = waiting["reason"]
                    .as_str()
                    .filter(|r| !["ContainerCreating", "PodInitializing"].contains(r))?;
                Some(format!("{reason}: {}", first_line(&waiting["message"])))
            });
        let unscheduled = list("conditions").into_iter().find_map(|c| {
            let is = c["type"] == "PodScheduled" && c["reason"] == "Unschedulable";
            is.then(|| format!("Unschedulable: {}", first_line(&c["message"])))
        });
        let what = waiting.or(unscheduled)?;
        Some(format!("Pod {}: {}", pod.name_any(), what.trim_end_matches(": ")))
    })
}

/// Messages of back-offs count seconds; what stands before the times does not change.
fn first_line(message: &Value) -> String {
    let line = message.as_str().unwrap_or_default().lines().next().unwrap_or_default();
    if line.starts_with("back-off ") {
        String::new()
    } else {
        line.into()
    }
}

struct Conditions<'a> {
    outcome: &'a Outcome,
    wanted: &'a [Wanted],
    settled: bool,
    ready: i32,
    total: i32,
    trouble: Option<String>,
}

impl Conditions<'_> {
    fn states(&self) -> Vec<State> {
        let valid = self.valid();
        let models = self.models();
        let stalled = self.stalled();
        let ready = self.ready(&valid, &models, stalled.as_ref());
        let done = ready.status == Some(true);
        let degraded = match (&self.trouble, models.reason) {
            (Some(trouble), _) => State::new("Degraded", true, Reason::PodWaiting, trouble),
            (None, Reason::ModelsReady | Reason::Pulling | Reason::NoModels) => {
                State::new("Degraded", false, Reason::Reconciled, "nothing is known to be wrong")
            }
            (None, reason) => State::new("Degraded", true, reason, &models.message),
        };
        let (progressing, message) = if done {
            (false, "everything is as the manifest says")
        } else {
            (true, &*ready.message)
        };
        vec![
            State::new("Progressing", progressing && stalled.is_none(), ready.reason, message),
            State::new("Reconciling", progressing && stalled.is_none(), ready.reason, message),
            stalled.unwrap_or_else(|| State::new("Stalled", false, Reason::Reconciled, "nothing is stuck")),
            degraded,
            models,
            valid,
            ready,
        ]
    }

    fn valid(&self) -> State {
        let issues = &self.outcome.review.issues;
        if issues.is_empty() {
            return State::new("Valid", true, Reason::Accepted, "the manifest holds to every rule");
        }
        // Paths and rules only where a value may hold a secret: the message of an issue shows values of typed fields.
        let list: Vec<String> = issues.iter().map(ToString::to_string).collect();
        State::new("Valid", false, Reason::Invalid, list.join("; "))
    }

    fn models(&self) -> State {
        let failed = self.wanted.iter().find(|w| w.state == ModelState::Failed);
        let ready = self.wanted.iter().all(|w| w.state == ModelState::Ready);
        let kind = "ModelsReady";
        match failed {
            _ if self.wanted.is_empty() => State::new(kind, true, Reason::NoModels, "no model is named"),
            _ if ready => State::new(kind, true, Reason::ModelsReady, "every model is on every server"),
            Some(w) => State::new(
                kind,
                false,
                w.reason.unwrap_or(Reason::PullFailed),
                format!("model {} failed; see OllamaModel {}", w.item.name, w.child),
            ),
            None => {
                let names: Vec<String> = self
                    .wanted
                    .iter()
                    .filter(|w| w.state != ModelState::Ready)
                    .map(|w| w.item.name.short())
                    .collect();
                State::new(
                    kind,
                    false,
                    Reason::Pulling,
                    format!("not on every server yet: {}", names.join(", ")),
                )
            }
        }
    }

    fn stalled(&self) -> Option<State> {
        let fatal = self.outcome.review.issues.iter().find(|i| i.fatal);
        if let Some(issue) = fatal {
            return Some(State::new(
                "Stalled",
                true,
                Reason::Invalid,
                format!("nothing is touched: {issue}"),
            ));
        }
        let refusal = self.outcome.refused.first()?;
        let reason = if refusal.conflict {
            Reason::Conflict
        } else {
            Reason::Refused
        };
        let all: Vec<&str> = self.outcome.refused.iter().map(|r| r.message.as_str()).collect();
        Some(State::new("Stalled", true, reason, all.join("; ")))
    }

    fn ready(&self, valid: &State, models: &State, stalled: Option<&State>) -> State {
        let no = |reason: Reason, message: &str| State::new("Ready", false, reason, message);
        match stalled {
            Some(stalled) => no(stalled.reason, &stalled.message),
            None if valid.status != Some(true) && !self.settled => no(valid.reason, &valid.message),
            None if models.status != Some(true) => no(models.reason, &models.message),
            None if !self.settled => match &self.trouble {
                Some(trouble) => no(Reason::PodWaiting, trouble),
                None => no(
                    Reason::RollingOut,
                    &format!("{} of {} replicas are ready", self.ready, self.total),
                ),
            },
            None => State::new("Ready", true, Reason::Reconciled, "everything is as the manifest says"),
        }
    }
}
