//! The start-up gate: which models must be on a server before it is Ready, and where that list is kept.

use super::NAME;
use super::workloads::{ready_replicas, workloads};
use crate::base::object::{Object, find, merge};
use crate::base::seen::Seen;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use serde_json::json;

/// The annotation that says that the start-up gate has been open once.
pub const GATE_OPENED: &str = "llm.geeper.io/gate-opened";

/// The file of the list, in a ConfigMap.
pub const REQUIRED: &str = "required";

/// What the start-up gate asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gate {
    /// Names that must be on a server before it is Ready.
    pub required: Vec<String>,
    /// It has been open once: what is added now must not take a serving pod out.
    pub opened: bool,
}

impl Gate {
    pub(super) fn object(&self, seen: &Seen<'_>, workload: &str) -> Object {
        let lines: String = self.required.iter().flat_map(|name| [name, "\n"]).collect();
        let mut fields = json!({"data": {REQUIRED: lines}});
        if self.opened {
            merge(&mut fields, json!({"metadata": {"annotations": {GATE_OPENED: "true"}}}));
        }
        seen.owner
            .object::<ConfigMap>(NAME, &format!("{workload}-models"), fields)
    }

    /// The gate as it stands in the cluster.
    #[must_use]
    pub fn live(seen: &Seen<'_>) -> Self {
        let map = find::<ConfigMap>(seen.live, &format!("{}-{NAME}-models", seen.owner.name));
        let lines = map.and_then(|m| m.data["data"][REQUIRED].as_str()).unwrap_or_default();
        let noted = map.is_some_and(|m| m.annotations().contains_key(GATE_OPENED));
        Self {
            required: lines.lines().map(str::to_string).collect(),
            opened: noted || workloads(seen).any(|w| ready_replicas(w) > 0),
        }
    }
}
