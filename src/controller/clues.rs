//! Events that say why something does not come about, where no status does: read while it does not, and never at rest.

use super::Context;
use crate::base::object::{Owner, all};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Event, PersistentVolumeClaim, Pod};
use kube::api::ListParams;
use kube::core::DynamicObject;
use kube::discovery::ApiResource;
use kube::{Api, Resource};
use serde_json::Value;
use std::collections::BTreeSet;

/// What takes longer than this to begin has a reason that somebody has told by now.
const YOUNG: SignedDuration = SignedDuration::from_secs(5);
/// Reasons of waiting of which the status of a pod does not tell enough.
const SILENT: [&str; 4] = [
    "ContainerCreating",
    "PodInitializing",
    "ErrImagePull",
    "ImagePullBackOff",
];
/// More than that of one kind are not needed to find a cause.
const MOST: u32 = 200;

/// The events about what does not come about in a stack. They only explain, so where they cannot be had it goes on.
pub(super) async fn clues(context: &Context, owner: &Owner, live: &[DynamicObject]) -> Vec<DynamicObject> {
    let resource = ApiResource::erase::<Event>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), &owner.namespace, &resource);
    let mut found = vec![];
    for kind in puzzling(live, context.now()) {
        let about = ListParams::default()
            .fields(&format!("involvedObject.kind={kind}"))
            .limit(MOST);
        match api.list(&about).await {
            Ok(events) => found.extend(events.items.into_iter().map(|mut event| {
                event.types = Some(kube::core::TypeMeta::resource::<Event>());
                event.metadata.managed_fields = None;
                event
            })),
            Err(error) => tracing::warn!(namespace = owner.namespace, kind, %error, "events cannot be read"),
        }
    }
    found
}

/// The kinds of objects of which something does not come about without saying why.
fn puzzling(live: &[DynamicObject], now: Timestamp) -> BTreeSet<String> {
    let old = |object: &&DynamicObject| {
        let made = object.metadata.creation_timestamp.as_ref();
        made.is_none_or(|made| now.duration_since(made.0) > YOUNG)
    };
    let mut kinds = BTreeSet::new();
    let fewer = |set: &&DynamicObject| {
        set.data["status"]["replicas"].as_i64().unwrap_or(0) < set.data["spec"]["replicas"].as_i64().unwrap_or(1)
    };
    if all::<StatefulSet>(live).filter(fewer).any(|set| old(&set)) {
        kinds.insert(StatefulSet::kind(&()).into_owned());
    }
    for pod in all::<Pod>(live).filter(old) {
        if waits_for_claims(pod) {
            kinds.insert(PersistentVolumeClaim::kind(&()).into_owned());
        }
        if is_silent(pod) {
            kinds.insert(Pod::kind(&()).into_owned());
        }
    }
    kinds
}

fn waits_for_claims(pod: &DynamicObject) -> bool {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut volumes = list(&pod.data["spec"]["volumes"]).into_iter();
    let mut conditions = list(&pod.data["status"]["conditions"]).into_iter();
    volumes.any(|v| !v["persistentVolumeClaim"].is_null())
        && pod.data["status"]["phase"] == "Pending"
        && !conditions.any(|c| c["type"] == "PodScheduled" && c["status"] == "True")
}

fn is_silent(pod: &DynamicObject) -> bool {
    let list = |field: &str| pod.data["status"][field].as_array().into_iter().flatten();
    let mut containers = list("initContainerStatuses").chain(list("containerStatuses"));
    containers.any(|c| {
        c["state"]["waiting"]["reason"]
            .as_str()
            .is_some_and(|r| SILENT.contains(&r))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn live(object: Value) -> DynamicObject {
        serde_json::from_value(object).unwrap()
    }

    fn pod(made: &str, volumes: &Value, status: &Value) -> DynamicObject {
        let meta = json!({"name": "a", "creationTimestamp": made});
        live(
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"volumes": volumes}, "status": status}),
        )
    }

    #[test]
    fn events_are_read_only_for_what_does_not_come_about() {
        let old = "2020-01-01T00:00:00Z";
        let claim = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "c"}}]);
        let pending = json!({"phase": "Pending"});
        let creating =
            json!({"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]});
        let running = json!({"phase": "Running", "containerStatuses": [{"state": {"running": {}}}]});
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let kinds = |objects: &[DynamicObject]| puzzling(objects, now).into_iter().collect::<Vec<_>>();
        assert_eq!(kinds(&[pod(old, &claim, &pending)]), ["PersistentVolumeClaim"]);
        assert_eq!(kinds(&[pod(old, &json!([]), &creating)]), ["Pod"]);
        assert_eq!(kinds(&[pod(&now.to_string(), &claim, &creating)]), [""; 0]);
        assert_eq!(
            kinds(&[pod(old, &claim, &running), pod(old, &json!([]), &pending)]),
            [""; 0]
        );
        let set = |replicas: i64| {
            live(json!({
                "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "a", "creationTimestamp": old},
                "spec": {"replicas": 2}, "status": {"replicas": replicas},
            }))
        };
        assert_eq!(kinds(&[set(1)]), ["StatefulSet"]);
        assert_eq!(kinds(&[set(2)]), [""; 0]);
    }
}
