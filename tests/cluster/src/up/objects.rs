//! The objects that a cluster has from the start, and KWOK's nodes.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::components;
use crate::control::{self, Request};
use crate::state::{Kind, State};
use crate::tools::{self, Tool};

pub(super) fn base_objects(kind: Kind) -> Vec<Value> {
    if kind == Kind::Node {
        return components::base_objects();
    }
    let metadata = json!({"name": "kwok", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}});
    vec![
        json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": metadata,
        "provisioner": "kwok.test/volumes", "volumeBindingMode": "WaitForFirstConsumer", "reclaimPolicy": "Delete"}),
    ]
}

/// Adds nodes that KWOK plays, and starts KWOK if it does not run yet. Their names are `kwok-0`, `kwok-1`, ...
///
/// # Errors
/// When KWOK cannot be built or started.
pub(crate) async fn add_kwok_nodes(state: &State, kind: Kind, count: u32) -> Result<()> {
    let running = control::ask(state, &Request::List)?
        .iter()
        .any(|status| status.name == components::KWOK);
    if !running {
        control::ask(
            state,
            &Request::Run {
                component: components::kwok(state)?,
            },
        )?;
    }
    let nodes = (0..count).map(|n| components::node_object(&format!("kwok-{n}"), kind == Kind::Node));
    apply(state, &nodes.collect::<Vec<_>>()).await
}

pub(super) async fn apply(state: &State, objects: &[Value]) -> Result<()> {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    let kubectl = tools::path(Tool::Kubectl)?;
    let (state, text) = (state.clone(), list.to_string());
    tokio::task::spawn_blocking(move || apply_text(&state, &kubectl, &text)).await?
}

fn apply_text(state: &State, kubectl: &Path, text: &str) -> Result<()> {
    let mut child = Command::new(kubectl)
        .args(["apply", "--server-side", "-f", "-"])
        .env("KUBECONFIG", state.kubeconfig())
        .env("KUBECACHEDIR", state.path("cache/kubectl"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run kubectl")?;
    child
        .stdin
        .take()
        .context("kubectl has no stdin")?
        .write_all(text.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(
        output.status.success(),
        "kubectl apply: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
