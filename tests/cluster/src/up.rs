//! Starts a cluster, step by step, each after the condition it depends on.

mod objects;
mod ready;

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use nix::unistd::geteuid;
use sha2::{Digest, Sha256};

use crate::components::{self, Component, Plan};
use crate::control::{self, Request};
use crate::images;
use crate::keeper::USERS;
use crate::load;
use crate::packages::{self, Need};
use crate::state::{Kind, Lock, Spec, State};
use crate::tools::{self, Tool};
use crate::{cgroup, down, pki, sysctl};
use objects::{apply, base_objects};
use ready::Waiting;

pub(crate) use objects::add_kwok_nodes;

/// Written last: without it a start was cut short, and the cluster is not one.
const READY: &str = "ready";

/// What kind of cluster to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// The real node or KWOK's; by default the real node where it can run.
    pub kind: Option<Kind>,
    /// How many nodes KWOK plays; a control plane without a real node has at least one.
    pub kwok_nodes: u32,
    /// The cluster goes down by itself once no process has used it for this many seconds.
    pub linger: Option<u64>,
    /// The `cluster` program, which the cluster's own processes are started from.
    pub program: PathBuf,
}

impl Kind {
    /// The real node needs root on Linux.
    #[must_use]
    pub fn possible() -> Self {
        if geteuid().is_root() { Kind::Node } else { Kind::Kwok }
    }
}

/// Whether the cluster is up and was started to the end.
#[must_use]
pub fn is_up(state: &State) -> bool {
    state.keeper().is_some() && state.init().is_some() && state.path(READY).exists()
}

/// Starts the cluster and returns when its nodes are ready. What an earlier one left is removed first; when
/// the start fails, everything is removed again.
///
/// # Errors
/// What is missing, or which component did not come up, with the end of its log.
pub async fn up(state: &State, lock: &Lock, options: &Options) -> Result<()> {
    let result = start(state, lock, options).await;
    if result.is_err()
        && let Err(error) = down::remove(state, lock)
    {
        eprintln!("after a failed start: {error:#}");
    }
    result
}

async fn start(state: &State, lock: &Lock, options: &Options) -> Result<()> {
    let begin = Instant::now();
    let kind = options.kind.unwrap_or_else(Kind::possible);
    check(kind)?;
    down::clear(state, lock)?;
    let port = TcpListener::bind("127.0.0.1:0").context("cannot open a port on 127.0.0.1 for the API server")?;
    let spec = spec(state, kind, &port, options)?;
    let plan = prepare(state, &spec)?;
    let images = if kind == Kind::Node { base_images()? } else { Vec::new() };
    progress(begin, "starting the control plane");
    let keeper_ended = start_keeper(state, &spec, port)?;
    let waiting = Waiting::new(state, spec.port);
    waiting.for_init(&keeper_ended).await?;
    run_all(state, plan.first)?;
    for image in &images {
        waiting.for_containerd().await?;
        load::import(state, image).await?;
    }
    waiting.for_api_server().await?;
    apply(state, &base_objects(kind)).await?;
    run_all(state, plan.second)?;
    progress(begin, "API server ready; waiting for the node and the controllers");
    let nodes = if kind == Kind::Kwok {
        options.kwok_nodes.max(1)
    } else {
        options.kwok_nodes
    };
    waiting.for_default_account().await?;
    if nodes > 0 {
        add_kwok_nodes(state, kind, nodes).await?;
    }
    waiting
        .for_nodes(if kind == Kind::Node { nodes + 1 } else { nodes })
        .await?;
    fs::write(state.path(READY), "")?;
    progress(begin, &format!("cluster {:?} is up", state.name()));
    Ok(())
}

fn progress(begin: Instant, what: &str) {
    eprintln!("[{:5.1} s] {what}", begin.elapsed().as_secs_f32());
}

fn check(kind: Kind) -> Result<()> {
    ensure!(
        cfg!(target_os = "linux"),
        "clusters need Linux; with one of your own, set KUBECONFIG instead"
    );
    if kind == Kind::Node {
        ensure!(
            geteuid().is_root(),
            "the real node needs root; run this with sudo, or start a control plane with KWOK nodes by `cluster up --kwok`"
        );
        return packages::require(Need::Node);
    }
    packages::require(Need::ControlPlane)
}

fn spec(state: &State, kind: Kind, port: &TcpListener, options: &Options) -> Result<Spec> {
    let hash = Sha256::digest(state.dir().as_os_str().as_encoded_bytes());
    let spec = Spec {
        kind,
        port: port.local_addr()?.port(),
        linger: options.linger,
        cgroup: format!(
            "llm-operator-{}-{:02x}{:02x}{:02x}",
            state.name(),
            hash[0],
            hash[1],
            hash[2]
        ),
        program: options.program.clone(),
    };
    state.write("cluster.json", &spec)?;
    Ok(spec)
}

/// Everything that can be done before a process runs.
fn prepare(state: &State, spec: &Spec) -> Result<Plan> {
    for folder in ["log", "cache"] {
        fs::create_dir_all(state.path(folder))?;
    }
    if !state.path(USERS).exists() {
        File::create(state.path(USERS))?;
    }
    let plan = components::plan(state, spec)?;
    pki::write(state, spec.port)?;
    if spec.kind == Kind::Node {
        sysctl::save(state)?;
        cgroup::create(&spec.cgroup)?;
    }
    Ok(plan)
}

/// What every node has: the holder of pods' namespaces, and a shell.
fn base_images() -> Result<Vec<PathBuf>> {
    Ok(vec![
        images::pause(&tools::path(Tool::Pause)?)?.archive,
        images::busybox()?.archive,
    ])
}

/// Returns a mark that is set when the keeper ends.
fn start_keeper(state: &State, spec: &Spec, port: TcpListener) -> Result<Arc<AtomicBool>> {
    let log = File::create(state.log("keeper"))?;
    let mut keeper = Command::new(&spec.program)
        .args(["--name", state.name(), "__keeper"])
        .stdin(Stdio::from(OwnedFd::from(port)))
        .stdout(log.try_clone()?)
        .stderr(log)
        .current_dir("/")
        .spawn()
        .with_context(|| format!("cannot run {}", spec.program.display()))?;
    // It lives on when this process ends; if it ends before, it must not stay a zombie.
    let ended = Arc::new(AtomicBool::new(false));
    let mark = ended.clone();
    std::thread::spawn(move || {
        if let Err(error) = keeper.wait() {
            eprintln!("cannot wait for the keeper of the cluster: {error}");
        }
        mark.store(true, Ordering::Release);
    });
    Ok(ended)
}

fn run_all(state: &State, components: Vec<Component>) -> Result<()> {
    for component in components {
        control::ask(state, &Request::Run { component })?;
    }
    Ok(())
}
