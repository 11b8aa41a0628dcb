//! What a person should know of the pods of a stack: why one does not start or does not stay, and what to do about it.

mod claims;
mod containers;
mod nodes;
mod refusals;
mod words;

use crate::base::condition::Reason;
use crate::base::object::all;
use crate::base::seen::Seen;
use crate::component::{ollama, openwebui, pipelines, postgres, redis, tabby};
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::ResourceExt;
use kube::core::DynamicObject;
use serde_json::Value;

/// A reason of the one list, and the sentence: what it is about, the cause, the way out. It stays the same for as long
/// as the cause does.
pub(super) type Trouble = (Reason, String);

/// The trouble of the first object by name that has any, so that the sentence does not change from pass to pass. Pods that
/// the API server refuses come first, since what is not there cannot say anything.
pub(super) fn trouble(seen: &Seen<'_>, settled: bool) -> Option<Trouble> {
    let mut pods: Vec<&DynamicObject> = all::<Pod>(seen.live).collect();
    pods.sort_by_key(|pod| pod.name_any());
    let of_pod = |pod: &&DynamicObject| {
        let (reason, text) = of(seen, pod)?;
        Some((reason, format!("Pod {}: {text}", pod.name_any())))
    };
    let (reason, text) = refusals::trouble(seen)
        .or_else(|| pods.iter().find_map(of_pod))
        .or_else(|| claims::trouble(seen))
        .or_else(|| pods.iter().filter(|_| !settled).find_map(|pod| evicted(pod)))?;
    Some((reason, seen.secrets.redacted(&words::without_passwords(&text))))
}

fn of(seen: &Seen<'_>, pod: &DynamicObject) -> Option<Trouble> {
    if pod.metadata.deletion_timestamp.is_some() {
        return nodes::does_not_end(pod, seen.now);
    }
    if is_over(pod) {
        return None;
    }
    let path = path(pod);
    containers::trouble(seen, pod, path)
        .or_else(|| claims::unbound(seen, pod, path))
        .or_else(|| unschedulable(pod, path))
        .or_else(|| nodes::is_silent(pod))
}

fn unschedulable(pod: &DynamicObject, path: &str) -> Option<Trouble> {
    let condition = condition(pod, "PodScheduled").filter(|c| c["reason"] == "Unschedulable")?;
    let cause = words::scheduler(text(&condition["message"]));
    let way_out = words::way_out(cause, path, words::SCHEDULING);
    Some((
        Reason::Unschedulable,
        words::sentence("no node takes it", cause, way_out),
    ))
}

/// A node has put the pod out. Another one is made in its place, so this matters only while that is not there.
fn evicted(pod: &DynamicObject) -> Option<Trouble> {
    let status = &pod.data["status"];
    let reason = status["reason"].as_str().filter(|_| status["phase"] == "Failed")?;
    let said = words::sentence(reason, text(&status["message"]), None);
    Some((Reason::PodWaiting, format!("Pod {}: {said}", pod.name_any())))
}

fn is_over(pod: &DynamicObject) -> bool {
    matches!(pod.data["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

/// The block of the manifest that a pod, a workload or a claim comes from.
fn path(object: &DynamicObject) -> &'static str {
    let component = object.labels().get("app.kubernetes.io/component");
    component.map_or("spec", |component| block(component))
}

/// The block of a component.
pub(super) fn block(component: &str) -> &'static str {
    match component {
        openwebui::NAME => "spec.openwebui",
        redis::NAME => "spec.openwebui.redis",
        postgres::NAME => "spec.openwebui.database",
        pipelines::NAME => "spec.openwebui.pipelines",
        tabby::NAME => "spec.tabby",
        ollama::NAME => "spec.ollama",
        _ => "spec",
    }
}

/// What was said last in an event about the object; a warning counts more. Events outlive what they are about, so one of
/// that name that is gone does not count.
fn told<'a>(seen: &Seen<'a>, about: &str, name: &str, is: impl Fn(&str) -> bool) -> Option<&'a DynamicObject> {
    let named = |o: &&DynamicObject| o.name_any() == name && o.types.as_ref().is_some_and(|t| t.kind == about);
    let uid = seen.live.iter().find(named).and_then(ResourceExt::uid);
    let events = all::<Event>(seen.live).filter(|event| {
        let of = &event.data["involvedObject"];
        let former = uid.as_ref().is_some_and(|uid| of["uid"] != uid.as_str());
        of["kind"] == about && of["name"] == name && !former && is(text(&event.data["reason"]))
    });
    let rank = |event: &&DynamicObject| {
        let at = ["lastTimestamp", "eventTime", "firstTimestamp"];
        let at = at.into_iter().find_map(|field| event.data[field].as_str());
        (
            event.data["type"] == "Warning",
            at.map(str::to_string),
            event.name_any(),
        )
    };
    events.max_by_key(rank)
}

fn condition<'a>(object: &'a DynamicObject, kind: &str) -> Option<&'a Value> {
    let all = object.data["status"]["conditions"].as_array()?;
    all.iter().find(|c| c["type"] == kind)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
