//! The components of a stack as they were seen: how many of their replicas are there, and whether that is all.

use super::LMDeployment;
use super::status::ComponentStatus;
use crate::base::condition::{self, Reason, State};
use crate::base::object::find;
use crate::base::seen::Seen;
use crate::component::{ollama, tabby};
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
    /// Nothing is wrong with its absence: it waits for its models.
    waits: bool,
}

pub(super) fn parts<'a>(stack: &LMDeployment, seen: &Seen<'a>) -> Vec<Part<'a>> {
    let ollama = stack.ollama().map(|o| {
        let (live, other) = o.live(seen);
        Part {
            name: ollama::NAME,
            replicas: o.replicas(),
            live,
            other,
            waits: false,
        }
    });
    let tabby = stack.tabby().map(|t| Part {
        name: tabby::NAME,
        replicas: t.replicas(),
        live: find::<Deployment>(seen.live, &format!("{}-{}", seen.owner.name, tabby::NAME)),
        other: None,
        waits: true,
    });
    ollama.into_iter().chain(tabby).collect()
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
        self.waits && self.live.is_none()
    }

    pub(super) fn status(
        &self,
        old: Option<Vec<Condition>>,
        generation: Option<i64>,
        now: Timestamp,
    ) -> ComponentStatus {
        let state = if self.is_settled() {
            State::new("Available", true, Reason::Reconciled, "all replicas are ready")
        } else if self.is_waiting() {
            State::new("Available", false, Reason::Pulling, "waits for its models")
        } else {
            State::new("Available", false, Reason::RollingOut, "replicas are not ready yet")
        };
        ComponentStatus {
            available_replicas: self.count("availableReplicas"),
            ready_replicas: self.count("readyReplicas"),
            updated_replicas: self.count("updatedReplicas"),
            models: None,
            conditions: Some(condition::merge(&old.unwrap_or_default(), vec![state], generation, now)),
        }
    }

    /// Of both workloads that which has more: while one makes way for the other, either may be the one that serves.
    fn count(&self, field: &str) -> i32 {
        let of = |live: &DynamicObject| live.data["status"][field].as_i64().and_then(|n| i32::try_from(n).ok());
        let counts = [self.live, self.other].into_iter().flatten().filter_map(of);
        counts.max().unwrap_or(0)
    }
}
