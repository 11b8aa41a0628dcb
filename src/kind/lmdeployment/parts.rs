//! The components of a stack as they were seen: how many of their replicas are there, and whether that is all.

use super::LMDeployment;
use super::status::ComponentStatus;
use crate::base::condition::{self, Reason, State};
use crate::base::object::find;
use crate::base::seen::Seen;
use crate::component::common::{AutoscalingSpec, autoscaling};
use crate::component::{ollama, openwebui, pipelines, postgres, redis, tabby};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::DynamicObject;

/// One component as it was seen.
pub(super) struct Part<'a> {
    pub(super) name: &'static str,
    /// Replicas that are asked for.
    pub(super) replicas: i32,
    live: Option<&'a DynamicObject>,
    /// A workload of another kind that has not made way yet: its pods still answer.
    other: Option<&'a DynamicObject>,
    /// Nothing is wrong with its absence: it waits.
    waits: Option<Wait>,
    /// What is said of its autoscaler, where load decides how many replicas there are.
    scaling: Option<State>,
}

fn scaling(spec: Option<&AutoscalingSpec>, seen: &Seen<'_>, component: &str) -> Option<State> {
    let trouble = autoscaling::trouble(seen, &format!("{}-{component}", seen.owner.name));
    spec.map(|_| match trouble {
        Some(text) => State::new("Scaling", false, Reason::NotScaling, text),
        None => State::new("Scaling", true, Reason::Accepted, "load decides how many replicas run"),
    })
}

/// What a component waits for before its first start.
enum Wait {
    /// Its models.
    Models,
    /// An Ollama that is not the stack's own; why, in words.
    Other(Reason, String),
    /// Other parts of the stack; which, in words.
    Parts(&'static str),
}

pub(super) fn parts<'a>(stack: &LMDeployment, seen: &Seen<'a>) -> Vec<Part<'a>> {
    let ollama = stack.ollama().map(|o| {
        let (live, other) = o.live(seen);
        Part {
            name: ollama::NAME,
            replicas: o.count(live),
            live,
            other,
            waits: None,
            scaling: scaling(o.scaling(), seen, ollama::NAME),
        }
    });
    let mut parts: Vec<Part<'a>> = ollama.into_iter().collect();
    let mut add = |name: &'static str, replicas: i32, waits: Option<Wait>| {
        parts.push(Part {
            name,
            replicas,
            live: find::<Deployment>(seen.live, &format!("{}-{name}", seen.owner.name)),
            other: None,
            waits,
            scaling: None,
        });
    };
    if let Some(chat) = stack.chat() {
        if stack.postgres(chat, seen).is_some() {
            add(postgres::NAME, 1, None);
        }
        if chat.redis().is_some() {
            add(redis::NAME, 1, None);
        }
        if let Some(pipelines) = chat.pipelines() {
            add(pipelines::NAME, pipelines.replicas(), None);
        }
        let waits = stack.chat_waits(chat, seen).map(Wait::Parts);
        let live = find::<Deployment>(seen.live, &format!("{}-{}", seen.owner.name, openwebui::NAME));
        add(openwebui::NAME, chat.web.count(live), waits);
    }
    if let Some(tabby) = stack.tabby() {
        let other = stack.tabby_waits(seen).map(|(reason, text)| Wait::Other(reason, text));
        let waits = if stack.other_ollama().is_some() {
            other
        } else {
            Some(Wait::Models)
        };
        add(tabby::NAME, tabby.replicas(), waits);
    }
    let web = stack.chat().and_then(|chat| chat.web.scaling());
    for part in parts.iter_mut().filter(|part| part.name == openwebui::NAME) {
        part.scaling = scaling(web, seen, openwebui::NAME);
    }
    if stack.is_suspended() {
        for part in &mut parts {
            part.replicas = 0;
            part.scaling = None;
        }
    }
    parts
}

impl Part<'_> {
    /// Replicas that are ready, no more than asked for.
    pub(super) fn ready(&self) -> i32 {
        self.count("readyReplicas").min(self.replicas)
    }

    /// The workload's controller has seen the newest template, and all replicas run it and are ready.
    pub(super) fn is_settled(&self) -> bool {
        let Some(live) = self.live.filter(|_| self.other.is_none()) else {
            return self.replicas == 0;
        };
        let seen = live.data["status"]["observedGeneration"].as_i64() >= live.metadata.generation;
        let asked = live.data["spec"]["replicas"].as_i64() == Some(i64::from(self.replicas));
        let rolled = ["updatedReplicas", "readyReplicas"]
            .iter()
            .all(|field| self.count(field) >= self.replicas);
        seen && asked && rolled && self.count("replicas") == self.replicas
    }

    /// It is not there, since its models are not.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.waits, Some(Wait::Models | Wait::Other(..))) && self.live.is_none()
    }

    pub(super) fn status(
        &self,
        old: Option<Vec<Condition>>,
        generation: Option<i64>,
        now: Timestamp,
    ) -> ComponentStatus {
        let state = if self.is_settled() {
            State::new("Available", true, Reason::Reconciled, "all replicas are ready")
        } else if let Some(wait) = self.waits.as_ref().filter(|_| self.live.is_none()) {
            let (reason, text) = match wait {
                Wait::Models => (Reason::Pulling, "waits for its models"),
                Wait::Other(reason, text) => (*reason, text.as_str()),
                Wait::Parts(text) => (Reason::RollingOut, *text),
            };
            State::new("Available", false, reason, text)
        } else {
            State::new("Available", false, Reason::RollingOut, "replicas are not ready yet")
        };
        let mut states = vec![state];
        states.extend(self.scaling.clone());
        ComponentStatus {
            available_replicas: self.count("availableReplicas"),
            ready_replicas: self.count("readyReplicas"),
            updated_replicas: self.count("updatedReplicas"),
            models: None,
            database: None,
            conditions: Some(condition::merge(&old.unwrap_or_default(), states, generation, now)),
        }
    }

    /// Of both workloads that which has more: while one makes way for the other, either may be the one that serves.
    fn count(&self, field: &str) -> i32 {
        let of = |live: &DynamicObject| live.data["status"][field].as_i64().and_then(|n| i32::try_from(n).ok());
        let counts = [self.live, self.other].into_iter().flatten().filter_map(of);
        counts.max().unwrap_or(0)
    }
}
