//! Pods whose node does not answer any more: nobody knows whether they run.

use super::{Trouble, condition};
use crate::base::condition::Reason;
use jiff::{SignedDuration, Timestamp};
use kube::core::DynamicObject;

/// A node that answers takes a pod away within this, once its grace is over.
const PATIENCE: SignedDuration = SignedDuration::from_secs(60);

/// The pod was told to end, and its node has not said that it did.
pub(super) fn does_not_end(pod: &DynamicObject, now: Timestamp) -> Option<Trouble> {
    let node = node(pod)?;
    // The time at which its grace is over.
    let end = pod.metadata.deletion_timestamp.as_ref()?.0;
    (now.duration_since(end) > PATIENCE).then(|| {
        let text = format!(
            "it is to end, and node {node} does not say that it did; if that node is gone for good, delete it with kubectl \
             delete node {node}, so that the pod can be replaced"
        );
        (Reason::NodeLost, text)
    })
}

/// The pod is not Ready although all of its containers were when its node last said so: that is what the control plane
/// writes for a node that does not answer.
pub(super) fn is_silent(pod: &DynamicObject) -> Option<Trouble> {
    let node = node(pod)?;
    let ready = condition(pod, "Ready")?;
    let containers = pod.data["status"]["containerStatuses"].as_array()?;
    let were = !containers.is_empty() && containers.iter().all(|c| c["ready"] == true);
    // A kubelet gives a reason.
    let told = ready["reason"].as_str().is_some_and(|reason| !reason.is_empty());
    (were && ready["status"] == "False" && !told).then(|| {
        let text =
            format!("node {node} does not answer, so nobody knows whether it runs; it is replaced after a while");
        (Reason::NodeLost, text)
    })
}

fn node(pod: &DynamicObject) -> Option<&str> {
    pod.data["spec"]["nodeName"].as_str()
}
