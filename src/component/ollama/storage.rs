//! Servers that keep their models: the `StatefulSet`, its claims, and claims that grow.

use super::{NAME, OllamaSpec};
use crate::base::object::{Object, RETAINED_FOR, all, find};
use crate::base::quantity::Quantity;
use crate::base::seen::Seen;
use crate::component::common::persistence::Volume;
use crate::component::common::pod::Pod;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;
use kube::core::DynamicObject;
use serde_json::{Value, json};

impl OllamaSpec {
    pub(super) fn stateful_set(&self, seen: &Seen<'_>, pod: &Pod<'_>, volume: Volume<'_>) -> Object {
        pod.object::<StatefulSet>(json!({"spec": {
            "replicas": self.replicas(),
            "serviceName": format!("{}-headless", pod.name),
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": seen.owner.selector(NAME)},
            "revisionHistoryLimit": 3,
            "persistentVolumeClaimRetentionPolicy": {
                "whenDeleted": if volume.spec.retains() { "Retain" } else { "Delete" },
                "whenScaled": "Retain",
            },
            "volumeClaimTemplates": [claim_template(seen, &pod.name, volume)],
            "template": pod.template(),
        }}))
    }

    /// Claims that are smaller than the manifest says, with their new size.
    pub(super) fn grown_claims(&self, seen: &Seen<'_>, workload: &str) -> Vec<Object> {
        let Some(volume) = self.volume().filter(Volume::is_ours) else {
            return vec![];
        };
        let size = volume.size();
        let Ok(wanted) = Quantity::parse(&size) else {
            return vec![];
        };
        let prefix = format!("data-{workload}-");
        let small = all::<PersistentVolumeClaim>(seen.live).filter(|claim| {
            let has = Quantity::parse(&claim.data["spec"]["resources"]["requests"]["storage"]);
            claim.name_any().starts_with(&prefix) && has.is_ok_and(|has| has < wanted)
        });
        let grow = |claim: &DynamicObject| {
            let fields = json!({"spec": {"resources": {"requests": {"storage": size}}}});
            seen.owner
                .object::<PersistentVolumeClaim>(NAME, &claim.name_any(), fields)
                .retained(seen.owner)
        };
        small.map(grow).collect()
    }
}

/// The template of claims. Templates never change: claims that should be larger are grown one by one.
fn claim_template(seen: &Seen<'_>, workload: &str, volume: Volume<'_>) -> Value {
    let live = find::<StatefulSet>(seen.live, workload).map(|set| &set.data["spec"]["volumeClaimTemplates"][0]["spec"]);
    let live = live.filter(|spec| spec.is_object());
    let mut spec = volume.claim(live);
    if let Some(live) = live {
        spec["resources"] = live["resources"].clone();
    }
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": "data",
            "labels": seen.owner.labels(NAME),
            "annotations": {RETAINED_FOR: seen.owner.reference()},
        },
        "spec": spec,
    })
}
