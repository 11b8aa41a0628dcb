//! What a person should know of the pods of a stack: an image that cannot be pulled, a crash, no room on any node.

use crate::base::object::all;
use crate::base::seen::Seen;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::core::DynamicObject;
use serde_json::Value;

/// Reasons of waiting that pass by themselves.
const HARMLESS: [&str; 2] = ["ContainerCreating", "PodInitializing"];

/// The trouble of the first pod by name that has any, so that the sentence does not change from pass to pass.
pub(super) fn trouble(seen: &Seen<'_>) -> Option<String> {
    let mut pods: Vec<&DynamicObject> = all::<Pod>(seen.live)
        .filter(|pod| pod.metadata.deletion_timestamp.is_none())
        .collect();
    pods.sort_by_key(|pod| pod.name_any());
    pods.into_iter()
        .find_map(|pod| of(pod).map(|what| format!("Pod {}: {what}", pod.name_any())))
}

fn of(pod: &DynamicObject) -> Option<String> {
    let list = |field: &str| pod.data["status"][field].as_array().into_iter().flatten();
    let mut containers = list("initContainerStatuses").chain(list("containerStatuses"));
    let waiting = containers.find_map(|c| {
        let waiting = &c["state"]["waiting"];
        let reason = waiting["reason"].as_str().filter(|r| !HARMLESS.contains(r))?;
        Some(sentence(reason, &waiting["message"]))
    });
    let unscheduled = || {
        let condition = list("conditions").find(|c| c["type"] == "PodScheduled" && c["reason"] == "Unschedulable")?;
        Some(sentence("Unschedulable", &condition["message"]))
    };
    waiting.or_else(unscheduled)
}

/// The reason, and what is said of it without what changes at each attempt: a kubelet that cannot pull says so in two
/// ways in turn, and one that waits before a restart counts the seconds.
fn sentence(reason: &str, message: &Value) -> String {
    let line = message.as_str().unwrap_or_default().lines().next().unwrap_or_default();
    let (reason, line) = match reason {
        "ErrImagePull" | "ImagePullBackOff" => (
            "ImagePullBackOff",
            line.split_once("ErrImagePull: ").map_or(line, |(_, cause)| cause),
        ),
        "CrashLoopBackOff" => (reason, ""),
        _ => (reason, line),
    };
    if line.is_empty() {
        reason.to_string()
    } else {
        format!("{reason}: {line}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_two_ways_of_saying_that_an_image_cannot_be_pulled_are_one() {
        let cause = "rpc error: code = NotFound desc = no such image";
        let now = sentence("ErrImagePull", &json!(cause));
        let later = sentence(
            "ImagePullBackOff",
            &json!(format!("Back-off pulling image \"x\": ErrImagePull: {cause}")),
        );
        assert_eq!(now, later);
        assert_eq!(now, format!("ImagePullBackOff: {cause}"));
    }

    #[test]
    fn seconds_are_not_repeated() {
        let message = json!("back-off 40s restarting failed container=ollama pod=x");
        assert_eq!(sentence("CrashLoopBackOff", &message), "CrashLoopBackOff");
    }
}
