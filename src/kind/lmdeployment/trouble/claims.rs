//! Claims that pods wait for, and claims that cannot grow.

use super::{Trouble, condition, path, text, told, words};
use crate::base::condition::Reason;
use crate::base::object::{all, find};
use crate::base::seen::Seen;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;
use kube::core::DynamicObject;

/// What the scheduler says of a pod whose claims are not bound.
const UNBOUND: &str = "unbound immediate PersistentVolumeClaims";

/// The pod has no node, since a claim of it is not bound.
pub(super) fn unbound(seen: &Seen<'_>, pod: &DynamicObject, path: &str) -> Option<Trouble> {
    let scheduled = condition(pod, "PodScheduled");
    if scheduled.is_some_and(|c| c["status"] == "True") {
        return None;
    }
    let waits = scheduled.is_some_and(|c| text(&c["message"]).contains(UNBOUND));
    names(pod).find_map(|name| {
        let bound = find::<PersistentVolumeClaim>(seen.live, name).is_some_and(is_bound);
        let event = told(seen, "PersistentVolumeClaim", name, |_| true);
        let failed = event.is_some_and(|event| event.data["type"] == "Warning");
        if bound || !waits && !failed {
            return None;
        }
        let cause = event.map_or("", |event| words::line(text(&event.data["message"])));
        let way_out = words::way_out(cause, path, words::BINDING)
            .unwrap_or_else(|| format!("kubectl describe pvc {name} tells more"));
        let what = format!("PersistentVolumeClaim {name} is not bound");
        Some((Reason::ClaimPending, words::sentence(&what, cause, Some(way_out))))
    })
}

/// The names of the claims of a pod.
pub(super) fn names(pod: &DynamicObject) -> impl Iterator<Item = &str> {
    let volumes = pod.data["spec"]["volumes"].as_array().into_iter().flatten();
    volumes.filter_map(|v| v["persistentVolumeClaim"]["claimName"].as_str())
}

fn is_bound(claim: &DynamicObject) -> bool {
    claim.data["status"]["phase"] == "Bound"
}

/// A claim that was told to grow, and whose driver says that it cannot.
pub(super) fn trouble(seen: &Seen<'_>) -> Option<Trouble> {
    let mut claims: Vec<_> = all::<PersistentVolumeClaim>(seen.live).collect();
    claims.sort_by_key(|claim| claim.name_any());
    claims.into_iter().find_map(|claim| {
        let failed = ["ControllerResizeError", "NodeResizeError"]
            .into_iter()
            .find_map(|kind| condition(claim, kind));
        let failed = failed.filter(|c| c["status"] == "True")?;
        let what = format!("PersistentVolumeClaim {} cannot grow", claim.name_any());
        let way_out = format!(
            "make room where it is stored, or set {}.persistence.size to what it has",
            path(claim)
        );
        let cause = words::line(text(&failed["message"]));
        Some((Reason::ClaimPending, words::sentence(&what, cause, Some(way_out))))
    })
}
