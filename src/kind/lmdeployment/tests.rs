//! What becomes of a stack as its models come, its pods start, and its manifest changes.

use super::*;
use crate::base::condition::Reason;
use crate::base::object::{Owner, Treatment, find};
use crate::base::secret::Secrets;
use crate::base::seen::{ModelState, Other};
use crate::component::ollama::GATE_OPENED;
use crate::kind::{Refusal, ollamamodel};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::core::DynamicObject;

#[cfg(test)]
mod chat;
#[cfg(test)]
mod data;
#[cfg(test)]
mod gate;
#[cfg(test)]
mod network;
#[cfg(test)]
mod other;
#[cfg(test)]
mod pods;
#[cfg(test)]
mod reach;
#[cfg(test)]
mod status;
#[cfg(test)]
mod storage;
#[cfg(test)]
mod switching;
#[cfg(test)]
mod tabby;
#[cfg(test)]
mod trouble;

fn stack(spec: &str) -> LMDeployment {
    let spec: Value = serde_saphyr::from_str(spec).unwrap();
    let mut object = json!({
        "apiVersion": "llm.geeper.io/v1alpha1", "kind": "LMDeployment", "spec": spec,
        "metadata": {"name": "chat", "namespace": "team", "uid": "u1", "generation": 3},
    });
    LMDeployment::fill(&mut object);
    serde_json::from_value(object).unwrap()
}

/// A cluster as one stack sees it.
#[derive(Default)]
struct Cluster {
    live: Vec<DynamicObject>,
    outcome: Outcome,
    secrets: Secrets,
    other: Option<Other>,
    now: Timestamp,
}

impl Cluster {
    fn with(mut self, version: &str, kind: &str, name: &str, fields: Value) -> Self {
        let labels = json!({"app.kubernetes.io/component": name.rsplit('-').next()});
        let mut object =
            json!({"apiVersion": version, "kind": kind, "metadata": {"name": name, "generation": 1, "labels": labels}});
        crate::base::object::merge(&mut object, fields);
        self.live.push(serde_json::from_value(object).unwrap());
        self
    }

    fn workload(self, kind: &str, name: &str, replicas: i32, ready: i32) -> Self {
        let status = json!({
            "observedGeneration": 1, "replicas": replicas, "readyReplicas": ready, "updatedReplicas": ready,
        });
        self.with(
            "apps/v1",
            kind,
            name,
            json!({"spec": {"replicas": replicas}, "status": status}),
        )
    }

    /// A model in a state, failed for that reason where one is given.
    fn model(self, name: &str, state: ModelState, reason: Option<Reason>) -> Self {
        let child = ollamamodel::child_name(&owner(), &ModelName::parse(name).unwrap());
        let status = if reason.is_none() { "True" } else { "False" };
        let reason = reason.unwrap_or(Reason::ModelsReady).name();
        let condition = json!({
            "type": "Ready", "status": status, "reason": reason, "message": "m",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        });
        let fields = json!({"status": {"state": state, "conditions": [condition]}});
        self.with("ollama.smithforge.dev/v1alpha1", "OllamaModel", &child, fields)
    }

    fn gate(self, required: &str, opened: bool) -> Self {
        let annotations = if opened {
            json!({GATE_OPENED: "true"})
        } else {
            json!({})
        };
        let fields = json!({"data": {"required": required}, "metadata": {"annotations": annotations}});
        self.with("v1", "ConfigMap", "chat-ollama-models", fields)
    }

    fn pod(self, name: &str, component: &str, status: &Value) -> Self {
        let labels = json!({"app.kubernetes.io/component": component});
        self.with(
            "v1",
            "Pod",
            name,
            json!({"metadata": {"labels": labels}, "status": status}),
        )
    }

    fn claim(self, name: &str, size: &str, class: &str) -> Self {
        let spec = json!({
            "accessModes": ["ReadWriteOnce"], "storageClassName": class, "resources": {"requests": {"storage": size}},
        });
        self.with("v1", "PersistentVolumeClaim", name, json!({"spec": spec}))
    }

    fn desired(&self, stack: &LMDeployment) -> Vec<Object> {
        let settings = Settings {
            namespace: "system".into(),
            ..Settings::default()
        };
        stack.desired(&self.seen(&settings, &owner()))
    }

    fn status(&self, stack: &LMDeployment) -> Value {
        let settings = Settings::default();
        stack.status(&self.seen(&settings, &owner()), &self.outcome, self.now)
    }

    fn seen<'a>(&'a self, settings: &'a Settings, owner: &'a Owner) -> Seen<'a> {
        Seen {
            settings,
            owner,
            live: &self.live,
            replicas: &[],
            secrets: &self.secrets,
            other: self.other.as_ref(),
            now: self.now,
        }
    }

    fn required(&self, stack: &LMDeployment) -> String {
        let objects = self.desired(stack);
        text(&get(&objects, "ConfigMap", "chat-ollama-models").body["data"]["required"])
    }
}

fn owner() -> Owner {
    Owner {
        api_version: "llm.geeper.io/v1alpha1".into(),
        kind: "LMDeployment".into(),
        name: "chat".into(),
        namespace: "team".into(),
        uid: "u1".into(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().into()
}

fn has(objects: &[Object], title: &str) -> bool {
    objects.iter().any(|o| o.title() == title)
}

fn get<'a>(objects: &'a [Object], kind: &str, name: &str) -> &'a Object {
    let title = format!("{kind} {name}");
    let found = objects.iter().find(|o| o.title() == title);
    found.unwrap_or_else(|| panic!("no {title}"))
}

fn condition<'a>(status: &'a Value, kind: &str) -> (&'a str, &'a str, &'a str) {
    let all = status["conditions"].as_array().unwrap();
    let condition = all.iter().find(|c| c["type"] == kind).unwrap();
    let of = |field: &str| condition[field].as_str().unwrap();
    (of("status"), of("reason"), of("message"))
}

fn variable<'a>(object: &'a Object, name: &str) -> Vec<&'a Value> {
    let env = &object.body["spec"]["template"]["spec"]["containers"][0]["env"];
    env.as_array()
        .unwrap()
        .iter()
        .filter(|v| v["name"] == name)
        .map(|v| &v["value"])
        .collect()
}
