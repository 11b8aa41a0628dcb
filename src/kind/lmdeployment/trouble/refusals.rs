//! Workloads whose pods the API server refuses: a quota, a LimitRange, the Pod Security level of the namespace.

use super::{Trouble, condition, path, text, told, words};
use crate::base::condition::Reason;
use crate::base::object::all;
use crate::base::seen::Seen;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use kube::ResourceExt;
use kube::core::DynamicObject;

/// A Deployment says so in a condition, a `StatefulSet` in an event only.
pub(super) fn trouble(seen: &Seen<'_>) -> Option<Trouble> {
    let deployments = all::<Deployment>(seen.live).filter_map(|live| {
        let failure = condition(live, "ReplicaFailure").filter(|c| c["status"] == "True")?;
        Some((live, "a pod of Deployment", text(&failure["message"])))
    });
    let sets = all::<StatefulSet>(seen.live).filter(|live| lacks_pods(live));
    let sets = sets.filter_map(|live| {
        let event = told(seen, "StatefulSet", &live.name_any(), |reason| reason == "FailedCreate")?;
        Some((live, "a pod of StatefulSet", text(&event.data["message"])))
    });
    let mut refused: Vec<_> = deployments.chain(sets).collect();
    refused.sort_by_key(|(live, ..)| live.name_any());
    let (live, what, message) = refused.into_iter().next()?;
    let cause = words::refusal(message);
    let what = format!("{what} {} is refused", live.name_any());
    let way_out = words::way_out(cause, path(live), words::REFUSING);
    Some((Reason::Refused, words::sentence(&what, cause, way_out)))
}

/// It has fewer pods than it was told to make.
pub(super) fn lacks_pods(set: &DynamicObject) -> bool {
    set.data["status"]["replicas"].as_i64().unwrap_or(0) < set.data["spec"]["replicas"].as_i64().unwrap_or(1)
}
