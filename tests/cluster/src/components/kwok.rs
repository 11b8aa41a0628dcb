//! KWOK: nodes and pods that are played, for scale and for pods that misbehave on cue.

use std::fs;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use super::Component;
use crate::network;
use crate::state::State;

/// Name of the KWOK component.
pub const KWOK: &str = "kwok";
/// The label that makes a node KWOK's. Select it (with the toleration) to have a pod played.
pub const NODE_LABEL: (&str, &str) = ("kwok.test/node", "true");
/// The taint that keeps other pods away where there is a real node too.
pub const NODE_TAINT: &str = "kwok.test/node";

/// How nodes, pods and volumes behave, and the annotations that steer them.
const STAGES: &str = include_str!("kwok/stages.yaml");

pub(super) fn component(state: &State, program: &Path) -> Result<Component> {
    fs::write(state.path("kwok.yaml"), STAGES)?;
    Ok(Component::new(KWOK, program)
        .file("kubeconfig", &state.path("kwok.kubeconfig"))
        .file("config", &state.path("kwok.yaml"))
        .flag("manage-all-nodes", "false")
        .flag(
            "manage-nodes-with-label-selector",
            format!("{}={}", NODE_LABEL.0, NODE_LABEL.1),
        )
        .flag("node-ip", network::KWOK_NODE_IP)
        .flag("cidr", network::KWOK_PODS)
        .flag("node-lease-duration-seconds", "40")
        .flag("server-address", "127.0.0.1:10247"))
}

/// A node for KWOK to play; `tainted` where ordinary pods have a real node.
#[must_use]
pub fn node_object(name: &str, tainted: bool) -> Value {
    let taints = json!([{"key": NODE_TAINT, "value": "true", "effect": "NoSchedule"}]);
    let resources = json!({"cpu": "64", "memory": "512Gi", "pods": "1000", "ephemeral-storage": "4Ti"});
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {"node.alpha.kubernetes.io/ttl": "0"},
            "labels": {
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/os": "linux",
                "kubernetes.io/hostname": name,
                NODE_LABEL.0: NODE_LABEL.1,
            },
        },
        "spec": {"taints": if tainted { taints } else { json!([]) }},
        "status": {
            "allocatable": resources,
            "capacity": resources,
            "nodeInfo": {
                "architecture": "amd64", "operatingSystem": "linux", "osImage": "KWOK", "kernelVersion": "none",
                "kubeletVersion": "v1.37.0", "kubeProxyVersion": "", "containerRuntimeVersion": "kwok://1",
                "machineID": name, "systemUUID": name, "bootID": name,
            },
        },
    })
}
