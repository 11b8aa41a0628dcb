//! Containers that do not start, or end as soon as they have: the image, the configuration, a crash, the memory.

use super::{Trouble, text, told, words};
use crate::base::condition::Reason;
use crate::base::seen::Seen;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use kube::core::DynamicObject;
use serde_json::Value;

/// Reasons of waiting that pass by themselves, unless an event says otherwise.
const HARMLESS: [&str; 2] = ["ContainerCreating", "PodInitializing"];
/// What the kubelet tells of in events only: volumes, networks, devices.
const PREPARING: [&str; 5] = [
    "FailedMount",
    "FailedAttachVolume",
    "FailedMapVolume",
    "FailedCreatePodSandBox",
    "FailedPrepareDynamicResources",
];
/// A container that was restarted longer ago has another reason not to be ready.
const RECENT: SignedDuration = SignedDuration::from_secs(600);

/// The trouble of the first container that has any.
pub(super) fn trouble(seen: &Seen<'_>, pod: &DynamicObject, path: &str) -> Option<Trouble> {
    let list = |field: &str| pod.data["status"][field].as_array().into_iter().flatten();
    let mut containers = list("initContainerStatuses").chain(list("containerStatuses"));
    containers.find_map(|container| of(seen, pod, container, path))
}

fn of(seen: &Seen<'_>, pod: &DynamicObject, container: &Value, path: &str) -> Option<Trouble> {
    if let Some(end) = end(container, seen.now) {
        return Some(ended(pod, container, end, path));
    }
    let waiting = &container["state"]["waiting"];
    let (reason, message) = (waiting["reason"].as_str()?, text(&waiting["message"]));
    match reason {
        "CrashLoopBackOff" => Some((Reason::ContainerCrashed, reason.to_string())),
        "ErrImagePull" | "ImagePullBackOff" => Some(not_pulled(seen, pod, container, message, path)),
        "ErrImageNeverPull" => {
            let way_out = format!("bring it there, or change {path}.imagePullPolicy");
            let said = words::sentence("the node has not got the image", words::line(message), Some(way_out));
            Some((Reason::ImagePullFailed, said))
        }
        "InvalidImageName" => {
            let said = words::sentence(
                "its image has no possible name",
                words::line(message),
                Some(format!("correct {path}.image")),
            );
            Some((Reason::ImagePullFailed, said))
        }
        harmless if HARMLESS.contains(&harmless) => {
            let event = told(seen, "Pod", &pod.name_any(), |reason| PREPARING.contains(&reason))?;
            let cause = words::line(text(&event.data["message"]));
            let way_out = cause
                .contains("not found")
                .then(|| format!("make it, or correct {path}.volumes"));
            Some((
                Reason::PodWaiting,
                words::sentence(text(&event.data["reason"]), cause, way_out),
            ))
        }
        _ => Some((
            Reason::PodWaiting,
            words::sentence(reason, words::line(message), configured(reason, message, path)),
        )),
    }
}

/// How a container ended that is not well again: now, or a moment ago and again and again.
fn end(container: &Value, now: Timestamp) -> Option<&Value> {
    let bad = |end: &&Value| end.is_object() && (end["exitCode"] != 0 || end["reason"] == "OOMKilled");
    let state = &container["state"];
    let now_ended = Some(&state["terminated"]).filter(bad);
    let before = Some(&container["lastState"]["terminated"]).filter(bad);
    let loops = state["waiting"]["reason"] == "CrashLoopBackOff";
    let recent = |end: &&Value| {
        let at = end["finishedAt"].as_str().and_then(|at| at.parse::<Timestamp>().ok());
        at.is_some_and(|at| now.duration_since(at) < RECENT)
    };
    let unready = container["ready"] != true && !state["running"].is_null();
    now_ended.or_else(|| before.filter(|end| loops || unready && recent(end)))
}

fn ended(pod: &DynamicObject, container: &Value, end: &Value, path: &str) -> Trouble {
    let name = text(&container["name"]);
    if end["reason"] == "OOMKilled" {
        let limit = container["resources"]["limits"]["memory"].as_str();
        let limit = limit.map_or_else(String::new, |limit| format!(" of {limit}"));
        let said = format!(
            "container {name} was killed at its limit{limit} of memory (OOMKilled); raise {path}.resources.limits.memory"
        );
        return (Reason::OutOfMemory, said);
    }
    let what = format!("container {name} ended with exit code {}", end["exitCode"]);
    let way_out = format!("kubectl logs {} -c {name} --previous tells more", pod.name_any());
    let cause = words::last(text(&end["message"]));
    (Reason::ContainerCrashed, words::sentence(&what, &cause, Some(way_out)))
}

/// A kubelet that cannot pull says so in two ways in turn; here it is one.
fn not_pulled(seen: &Seen<'_>, pod: &DynamicObject, container: &Value, message: &str, path: &str) -> Trouble {
    let line = words::line(message);
    let cause = line.split_once("ErrImagePull: ").map_or(line, |(_, cause)| cause);
    let lacks = told(seen, "Pod", &pod.name_any(), |reason| {
        reason == "FailedToRetrieveImagePullSecret"
    });
    let way_out = lacks.map(|_| format!("a Secret of {path}.imagePullSecrets does not exist: make it"));
    let way_out = way_out.or_else(|| words::way_out(cause, path, words::PULLING));
    let way_out = way_out.unwrap_or_else(|| "it is tried again: see that the node reaches the registry".into());
    let what = format!("image {} cannot be pulled", text(&container["image"]));
    (Reason::ImagePullFailed, words::sentence(&what, cause, Some(way_out)))
}

/// What to do about what the kubelet could not make a container of.
fn configured(reason: &str, message: &str, path: &str) -> Option<String> {
    let config = reason == "CreateContainerConfigError";
    if config && message.contains("runAsNonRoot") {
        return Some(format!(
            "give {path}.podSecurityContext a runAsUser that the image works with"
        ));
    }
    let named = message.contains("not found") || message.contains("couldn't find key");
    (config && named).then(|| format!("make it, or correct {path}.env and {path}.envFrom"))
}
