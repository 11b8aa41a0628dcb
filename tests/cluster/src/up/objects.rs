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

/// A pod of KWOK's.
const FIRST: &str = "kwok-first";
/// How long kubectl waits.
const LIMIT: &str = "--timeout=120s";

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
    apply(state, &nodes.collect::<Vec<_>>()).await?;
    if running { Ok(()) } else { play_first_pod(state).await }
}

/// KWOK makes its pool of addresses when the first pod asks for one. Two that ask at once get a pool each, and the same address
/// (`ipPool` of its pod controller, 0.8.0): so one pod comes and goes before all others.
async fn play_first_pod(state: &State) -> Result<()> {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": FIRST, "namespace": "default"},
        "spec": {
            "nodeName": "kwok-0", "tolerations": [{"operator": "Exists"}], "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "none", "image": "none"}],
        },
    });
    apply(state, &[pod]).await?;
    kubectl(
        state,
        &["wait", "pod", FIRST, "--for=jsonpath={.status.podIP}", LIMIT],
        "",
    )
    .await?;
    kubectl(state, &["delete", "pod", FIRST, LIMIT], "").await
}

pub(super) async fn apply(state: &State, objects: &[Value]) -> Result<()> {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    kubectl(state, &["apply", "--server-side", "-f", "-"], &list.to_string()).await
}

async fn kubectl(state: &State, args: &'static [&str], input: &str) -> Result<()> {
    let program = tools::path(Tool::Kubectl)?;
    let (state, input) = (state.clone(), input.to_owned());
    tokio::task::spawn_blocking(move || run(&state, &program, args, &input)).await?
}

fn run(state: &State, kubectl: &Path, args: &[&str], input: &str) -> Result<()> {
    let mut child = Command::new(kubectl)
        .args(args)
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
        .write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(
        output.status.success(),
        "kubectl {}: {}",
        args[0],
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
