//! Everything that should exist for Ollama's servers, and the change from one kind of workload to the other.

use super::{Gate, NAME, OllamaSpec, PORT};
use crate::base::object::{Object, Treatment, all, find};
use crate::base::seen::Seen;
use crate::component::common::persistence::Volume;
use crate::component::common::pod::Pod;
use crate::component::common::{AccessMode, NetworkPolicySpec, network};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{Pod as CorePod, Service};
use kube::ResourceExt;
use kube::core::DynamicObject;
use serde_json::{Value, json};

impl OllamaSpec {
    /// Everything that should exist for the servers; `consumers` are the pods of the stack that ask them.
    #[must_use]
    pub fn objects(
        &self,
        seen: &Seen<'_>,
        policy: &NetworkPolicySpec,
        gate: &Gate,
        consumers: &[Value],
    ) -> Vec<Object> {
        let pod = self.pod(seen);
        let mut wiring = consumers.to_vec();
        wiring.extend(network::operator(&seen.settings.namespace));
        let mut objects = vec![gate.object(seen, &pod.name), pod.service(), headless(seen, &pod)];
        objects.extend(pod.account());
        objects.extend(network::policy(&pod, policy, &wiring));
        objects.extend(pod.budget(self.most()));
        objects.extend(self.grown_claims(seen, &pod.name));
        // Last, so that what its pods mount and name exists before them.
        objects.extend(self.workload(seen, &pod));
        objects
    }

    /// The workload with its autoscaler, and the one of the other kind for as long as it must stay.
    fn workload(&self, seen: &Seen<'_>, pod: &Pod<'_>) -> Vec<Object> {
        let (new, old) = match self.volume().filter(Volume::is_ours) {
            Some(volume) => (self.stateful_set(seen, pod, volume), kept::<Deployment>(seen, pod)),
            None => (self.deployment(pod), kept::<StatefulSet>(seen, pod)),
        };
        let (live, former) = self.live(seen);
        let ready = live.is_some_and(|live| ready_replicas(live) >= self.count(Some(live)));
        let stays = !self.is_accelerated() && !ready && !finds_no_room(seen.live, NAME);
        let mut objects: Vec<Object> = old.filter(|_| stays).into_iter().collect();
        match self.scaling() {
            Some(scaling) => {
                objects.push(scaling.object(pod, &new.resource.kind, false));
                objects.push(new.counted(scaling.counted(former)));
            }
            None => objects.push(new),
        }
        objects
    }

    /// The live workload of the kind that is wanted now, and that of the other kind.
    #[must_use]
    pub fn live<'a>(&self, seen: &Seen<'a>) -> (Option<&'a DynamicObject>, Option<&'a DynamicObject>) {
        let name = workload_name(seen);
        let set = find::<StatefulSet>(seen.live, &name);
        let deployment = find::<Deployment>(seen.live, &name);
        if self.volume().is_some_and(|v| v.is_ours()) {
            (set, deployment)
        } else {
            (deployment, set)
        }
    }

    fn deployment(&self, pod: &Pod<'_>) -> Object {
        let one_node = self
            .volume()
            .is_some_and(|v| !v.spec.modes().contains(&AccessMode::ReadWriteMany));
        let strategy = if one_node {
            // The new pod could not mount the claim while the old one has it.
            json!({"type": "Recreate"})
        } else if self.is_accelerated() {
            // A spare GPU is not to be counted on.
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}})
        } else {
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})
        };
        // A day: what is pulled is large, and the gate is closed meanwhile.
        pod.deployment(self.replicas(), &strategy, 86400)
    }
}

/// Names for the pods. Each has one before its gate opens, so that its models can be pulled to it.
fn headless(seen: &Seen<'_>, pod: &Pod<'_>) -> Object {
    let spec = json!({
        "type": "ClusterIP",
        "clusterIP": "None",
        "publishNotReadyAddresses": true,
        "selector": seen.owner.selector(NAME),
        "ports": [{"name": "http", "port": PORT, "targetPort": "http", "protocol": "TCP"}],
    });
    seen.owner
        .object::<Service>(NAME, &format!("{}-headless", pod.name), json!({"spec": spec}))
}

fn workload_name(seen: &Seen<'_>) -> String {
    format!("{}-{NAME}", seen.owner.name)
}

/// The live workloads of the servers: one, or two while the kind changes.
pub(super) fn workloads<'a>(seen: &Seen<'a>) -> impl Iterator<Item = &'a DynamicObject> {
    let name = workload_name(seen);
    let set = find::<StatefulSet>(seen.live, &name);
    set.into_iter().chain(find::<Deployment>(seen.live, &name))
}

fn kept<K: kube::Resource<DynamicType = ()>>(seen: &Seen<'_>, pod: &Pod<'_>) -> Option<Object> {
    find::<K>(seen.live, &pod.name)?;
    let mut object = pod.object::<K>(json!({}));
    object.treatment = Treatment::Kept;
    Some(object)
}

pub(super) fn ready_replicas(workload: &DynamicObject) -> i32 {
    workload.data["status"]["readyReplicas"]
        .as_i64()
        .and_then(|n| i32::try_from(n).ok())
        .unwrap_or(0)
}

/// What the scheduler says where the old servers are in the way of the new ones. Its other reasons end by themselves, such
/// as a claim that it has not seen yet, or would not end with the old servers.
const NO_ROOM: [&str; 4] = ["Insufficient ", "Too many pods", "anti-affinity", "free ports"];

/// True when a pod of a component finds no room on any node.
#[must_use]
pub fn finds_no_room(live: &[DynamicObject], component: &str) -> bool {
    let pods = all::<CorePod>(live).filter(|pod| {
        let label = pod.labels().get("app.kubernetes.io/component");
        label.is_some_and(|label| label == component)
    });
    let mut conditions = pods.flat_map(|pod| pod.data["status"]["conditions"].as_array().into_iter().flatten());
    conditions.any(|c| {
        let message = c["message"].as_str().unwrap_or_default();
        c["type"] == "PodScheduled" && c["reason"] == "Unschedulable" && NO_ROOM.iter().any(|r| message.contains(r))
    })
}
