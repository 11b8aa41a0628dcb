//! What is kept of an object: only what some part of the operator reads. That is less to remember, and what changes besides
//! is no news.

use super::AUTOSCALER;
use crate::base::object::RETAINED_FOR;
use crate::component::ollama::REQUIRED;
use kube::ResourceExt;
use kube::core::{DynamicObject, TypeMeta};
use kube::discovery::ApiResource;
use serde_json::{Map, Value};

/// How much of a kind is watched.
#[derive(Clone, Copy)]
pub(in crate::controller) enum Keep {
    /// The metadata only: nothing else is even sent.
    Metadata,
    /// The metadata and these top-level fields; of a workload's spec also what is compared.
    Fields(&'static [&'static str]),
}

/// Of a ConfigMap.
const FILES: &[&str] = &[REQUIRED];
/// Of the status of a workload.
const COUNTS: &[&str] = &[
    "availableReplicas",
    "conditions",
    "observedGeneration",
    "readyReplicas",
    "replicas",
    "updatedReplicas",
];
/// Of the status of a pod.
const POD: &[&str] = &[
    "conditions",
    "containerStatuses",
    "initContainerStatuses",
    "message",
    "phase",
    "podIP",
    "reason",
];
/// Of the status of a model, what its stack reads: how a pull gets on is the model's own.
const MODEL: &[&str] = &["conditions", "digest", "on", "size", "state"];
/// Of a container of a pod.
const CONTAINER: &[&str] = &[
    "image",
    "lastState",
    "name",
    "ready",
    "resources",
    "restartCount",
    "started",
    "state",
];
/// Conditions of pods and workloads, and what is read of one. A workload of which a condition says that it gets on changes
/// several times with each rollout, and its counts say the same.
const CONDITIONS: [&str; 3] = ["PodScheduled", "Ready", "ReplicaFailure"];
const CONDITION: &[&str] = &["message", "reason", "status", "type"];
/// What an autoscaler measured last changes four times a minute.
const SCALING: &[&str] = &["conditions"];

/// Drops everything that nobody reads: most of an object is its managed fields and its spec.
pub(super) fn slim(object: &mut DynamicObject, resource: &ApiResource, keep: Keep) {
    object.types = Some(TypeMeta {
        api_version: resource.api_version.clone(),
        kind: resource.kind.clone(),
    });
    (object.metadata.managed_fields, object.metadata.generate_name) = (None, None);
    object
        .annotations_mut()
        .retain(|key, _| key.starts_with("llm.geeper.io/") || key == RETAINED_FOR);
    let Keep::Fields(fields) = keep else {
        object.metadata.creation_timestamp = None;
        return;
    };
    let Some(data) = object.data.as_object_mut() else {
        return;
    };
    let spec = data.get("spec").map(|spec| {
        let kept = ["replicas", "volumeClaimTemplates", "nodeName"]
            .into_iter()
            .filter_map(|f| Some((f.to_string(), spec.get(f)?.clone())));
        let mut kept: Map<String, Value> = kept.collect();
        if let Some(claims) = claims(spec) {
            kept.insert("volumes".into(), claims);
        }
        Value::Object(kept)
    });
    data.retain(|field, _| fields.contains(&field.as_str()));
    if let Some(files) = data.get_mut("data") {
        only(files, FILES);
    }
    if let Some(status) = data.get_mut("status") {
        slim_status(status, &resource.kind);
    }
    if let Some(spec) = spec.filter(|_| !fields.contains(&"spec")) {
        data.insert("spec".into(), spec);
    }
}

/// True when nothing that is read differs. Others than these may have changed in what is not kept or not even sent, and
/// without a generation only the version tells.
pub(super) fn is_same(one: &DynamicObject, two: &DynamicObject) -> bool {
    let whole = |kind: &str| ["Pod", AUTOSCALER].contains(&kind);
    let told = two.metadata.generation.is_some() || two.types.as_ref().is_some_and(|t| whole(&t.kind));
    let mut before = one.metadata.clone();
    before.resource_version.clone_from(&two.metadata.resource_version);
    told && before == two.metadata && one.data == two.data
}

fn slim_status(status: &mut Value, kind: &str) {
    match kind {
        "Deployment" | "StatefulSet" => only(status, COUNTS),
        "Pod" => only(status, POD),
        "OllamaModel" => only(status, MODEL),
        AUTOSCALER => return only(status, SCALING),
        _ => return,
    }
    for container in ["containerStatuses", "initContainerStatuses"] {
        each(&mut status[container], |container| only(container, CONTAINER));
    }
    if let Some(conditions) = status["conditions"].as_array_mut() {
        conditions.retain(|c| c["type"].as_str().is_some_and(|t| CONDITIONS.contains(&t)));
    }
    // That of a model is read by its type, which wants all of it.
    if kind != "OllamaModel" {
        each(&mut status["conditions"], |condition| only(condition, CONDITION));
    }
    // Asking for a field has made it.
    if let Some(status) = status.as_object_mut() {
        status.retain(|_, value| !value.is_null());
    }
}

fn only(value: &mut Value, fields: &[&str]) {
    if let Some(object) = value.as_object_mut() {
        object.retain(|field, _| fields.contains(&field.as_str()));
    }
}

fn each(list: &mut Value, change: impl Fn(&mut Value)) {
    list.as_array_mut().into_iter().flatten().for_each(change);
}

/// The volumes of a pod that are claims: pods with the same one write to the same files.
fn claims(spec: &Value) -> Option<Value> {
    let volumes = spec.get("volumes")?.as_array()?.iter();
    let claims = volumes.filter(|v| !v["persistentVolumeClaim"].is_null());
    Some(claims.cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::condition::Reason;
    use crate::kind::ollamamodel::{OllamaModel, status_of};
    use k8s_openapi::api::apps::v1::Deployment;
    use k8s_openapi::api::core::v1::{Pod, Secret};
    use kube::Resource;
    use serde_json::json;

    fn slimmed<K: Resource<DynamicType = ()>>(object: Value, keep: Keep) -> DynamicObject {
        let mut object: DynamicObject = serde_json::from_value(object).unwrap();
        slim(&mut object, &ApiResource::erase::<K>(&()), keep);
        object
    }

    fn pod(version: &str, ready: bool) -> DynamicObject {
        let container = json!({
            "name": "ollama", "image": "ollama/ollama", "imageID": "sha256:0", "containerID": "c", "ready": ready,
            "started": true, "restartCount": 1, "state": {"running": {}}, "volumeMounts": [],
            "resources": {"limits": {"memory": "1Gi"}},
        });
        let condition = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": version});
        let object = json!({
            "metadata": {"name": "a", "resourceVersion": version, "annotations": {"other": "x", "llm.geeper.io/x": "y"}},
            "spec": {"nodeName": "n", "containers": [], "volumes": [{"emptyDir": {}}, {"persistentVolumeClaim": {}}]},
            "status": {
                "phase": "Running", "podIP": "10.0.0.1", "podIPs": [], "hostIP": version,
                "conditions": [condition("Ready"), condition("Initialized")], "containerStatuses": [container],
            },
        });
        slimmed::<Pod>(object, Keep::Fields(&["status"]))
    }

    #[test]
    fn only_what_is_read_is_kept() {
        let kept = pod("1", true);
        let status = json!({
            "phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{
                "name": "ollama", "image": "ollama/ollama", "ready": true, "started": true, "restartCount": 1,
                "state": {"running": {}}, "resources": {"limits": {"memory": "1Gi"}},
            }],
        });
        let spec = json!({"nodeName": "n", "volumes": [{"persistentVolumeClaim": {}}]});
        assert_eq!(kept.data, json!({"status": status, "spec": spec}));
        assert_eq!(kept.annotations().keys().collect::<Vec<_>>(), ["llm.geeper.io/x"]);
    }

    #[test]
    fn what_nobody_reads_is_no_news() {
        assert!(is_same(&pod("1", true), &pod("2", true)));
        assert!(!is_same(&pod("1", true), &pod("2", false)));
        let deployment = |version: &str, generation: i64, ready: i64| {
            let condition = json!({"type": "Progressing", "reason": version});
            let object = json!({
                "metadata": {"name": "a", "resourceVersion": version, "generation": generation},
                "status": {"conditions": [condition], "readyReplicas": ready, "unavailableReplicas": version},
            });
            slimmed::<Deployment>(object, Keep::Fields(&["status"]))
        };
        assert!(is_same(&deployment("1", 1, 0), &deployment("2", 1, 0)));
        assert!(!is_same(&deployment("1", 1, 0), &deployment("2", 2, 0)));
        assert!(!is_same(&deployment("1", 1, 0), &deployment("2", 1, 1)));
    }

    #[test]
    fn how_a_pull_gets_on_is_no_news_for_a_stack() {
        let model = |progress: i64, reason: &str| {
            let condition = |kind: &str, reason: &str| {
                let time = "2026-03-04T05:06:07Z";
                json!({"type": kind, "status": "False", "reason": reason, "message": "m", "lastTransitionTime": time})
            };
            let conditions = [condition("Ready", reason), condition("Stalled", &progress.to_string())];
            let object = json!({
                "metadata": {"name": "a", "generation": 1, "resourceVersion": progress.to_string()},
                "status": {"state": "failed", "on": "0/1", "progress": progress, "conditions": conditions},
            });
            slimmed::<OllamaModel>(object, Keep::Fields(&["status"]))
        };
        assert!(is_same(&model(5, "PullFailed"), &model(10, "PullFailed")));
        assert!(!is_same(&model(5, "PullFailed"), &model(5, "UnknownModel")));
        let read = status_of(&model(5, "UnknownModel")).unwrap();
        assert_eq!(read.failure(), Some(Reason::UnknownModel));
    }

    #[test]
    fn what_is_not_sent_may_have_changed() {
        let secret = |version: &str| {
            let object = json!({"metadata": {"name": "a", "resourceVersion": version}});
            slimmed::<Secret>(object, Keep::Metadata)
        };
        assert!(!is_same(&secret("1"), &secret("2")));
        assert!(
            !is_same(&secret("1"), &secret("1")),
            "without a generation nothing is told"
        );
    }
}
