//! A cluster of the demonstration's own: built, started, with its images and a model registry.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::unistd::geteuid;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::programs::Programs;
use super::steps::{Steps, say};
use super::{Model, Stage};
use crate::cluster::Cluster;
use crate::components::{Component, NODE_TOOLS};
use crate::control::{self, Condition, Request};
use crate::images::{self, Image};
use crate::packages::{self, Need};
use crate::state::State;
use crate::test::until;
use crate::tools::{self, Tool};
use crate::up::{self, Options};
use crate::{Kind, down, network, operator};

/// The component that serves models, and the name by which pods know it.
const REGISTRY: &str = "registry";
const REGISTRY_HOST: &str = "registry.test";
const REGISTRY_PORT: u16 = 5000;
/// 40 MiB at 3 MB/s: slow enough that progress can be seen.
const MODEL: &str = "library/tiny:latest=llama,pad-mib=40";
const SECOND: &str = "library/second:latest=llama,seed=2,pad-mib=24";
const RATE: &str = "3000000";

pub(super) async fn prepare(name: &str, program: &Path) -> Result<(Steps, Stage)> {
    check(name)?;
    println!("From nothing to the answer of a model, on a Kubernetes cluster of this demonstration's own.");
    println!("Ctrl-C ends it at any time; `make demo-down` removes what is there by then.");
    let mut steps = Steps::of(9);
    steps.next("Programs: Kubernetes, Helm and Ollama from source, Debian packages");
    say(
        "Only what is missing is made: about 20 min on 2 cores the first time, then it comes from ~/.cache/llm-operator.",
    );
    let tools = spawn_blocking(build).await??;
    steps.next("Kubernetes: API server, scheduler, controllers, kubelet, containerd, in namespaces of their own");
    let cluster = start(name).await?;
    steps.next("Images into the node, and a model registry beside it");
    let program = program.to_owned();
    let images = spawn_blocking(move || -> Result<_> {
        Ok([operator::image(&program)?, images::ollama(&tools::path(Tool::Ollama)?)?])
    });
    let images = images.await??;
    for image in &images {
        load(&cluster, image).await?;
    }
    serve_models(&cluster).await?;
    let [operator, ollama] = images;
    let stage = Stage {
        programs: programs(&cluster, tools),
        namespace: None,
        model: Model::Toy,
        values: values(&operator, &ollama),
    };
    Ok((steps, stage))
}

fn check(name: &str) -> Result<()> {
    const OTHERWISE: &str = "with a cluster of your own, say: make demo KUBECONFIG=FILE IMG=IMAGE";
    ensure!(cfg!(target_os = "linux"), "a real node needs Linux; {OTHERWISE}");
    ensure!(
        geteuid().is_root(),
        "a real node with real pods needs root: sudo env \"PATH=$PATH\" make demo; {OTHERWISE}"
    );
    // Fails where the node cannot be, before anything is built.
    State::of(name)?.lock().map(drop)
}

/// kubectl and Helm.
struct Tools {
    kubectl: PathBuf,
    helm: PathBuf,
}

fn build() -> Result<Tools> {
    for need in [Need::Node, Need::Images, Need::CompilingOllama] {
        packages::require(need)?;
    }
    let wanted = [&NODE_TOOLS[..], &[Tool::Helm4, Tool::Ollama]].concat();
    tools::paths(&wanted)?;
    Ok(Tools {
        kubectl: tools::path(Tool::Kubectl)?,
        helm: tools::path(Tool::Helm4)?,
    })
}

async fn start(name: &str) -> Result<Cluster> {
    let state = State::of(name)?;
    let lock = state.lock()?;
    if up::is_up(&state) {
        say("It is up since an earlier demonstration, which this one begins anew.");
        return Cluster::attach(name);
    }
    let options = Options {
        kind: Some(Kind::Node),
        kwok_nodes: 0,
        linger: None,
        program: std::env::current_exe()?,
    };
    up::up(&state, &lock, &options).await?;
    Cluster::attach(name)
}

async fn load(cluster: &Cluster, image: &Image) -> Result<()> {
    let archive = image.archive.to_str().context("the path of the cache is not UTF-8")?;
    cluster.load(archive).await?;
    let size = std::fs::metadata(&image.archive)?.len() / (1024 * 1024);
    say(format_args!("{} ({size} MiB)", image.name));
    Ok(())
}

/// The registry is a component of the cluster, in its namespaces: it goes when the cluster goes.
async fn serve_models(cluster: &Cluster) -> Result<()> {
    let state = cluster.state();
    let components = control::ask(state, &Request::List)?;
    let there = components.iter().find(|c| c.name == REGISTRY);
    if there.is_none_or(|c| c.condition != Condition::Running) {
        let address = format!("{}:{REGISTRY_PORT}", network::NODE_IP);
        let arguments = [
            "registry", "--listen", &address, "--model", MODEL, "--model", SECOND, "--rate", RATE,
        ];
        let component = Component {
            name: REGISTRY.to_owned(),
            program: state.spec()?.program,
            args: arguments.map(str::to_owned).to_vec(),
        };
        control::ask(state, &Request::Run { component })?;
    }
    cluster.add_host(REGISTRY_HOST)?;
    let url = format!("http://{}:{REGISTRY_PORT}/v2/", network::NODE_IP);
    let answers = async || Ok((cluster.http("GET", &url, None).await?.status == 200).then_some(()));
    until("the model registry answers", Duration::from_secs(30), answers).await?;
    say(format_args!(
        "{REGISTRY_HOST}:{REGISTRY_PORT}, a stand-in for the registries outside, with two toy models"
    ));
    Ok(())
}

fn programs(cluster: &Cluster, tools: Tools) -> Programs {
    Programs {
        kubectl: tools.kubectl,
        helm: tools.helm,
        kubeconfig: cluster.kubeconfig(),
        caches: Some(cluster.state().path("cache")),
    }
}

/// The chart's settings for images that are in the node and nowhere else.
fn values(operator: &Image, ollama: &Image) -> Value {
    let mut values = operator::values(operator);
    values["defaults"] = json!({"images": {"ollama": ollama.name}});
    values
}

pub(super) fn remove(name: &str) -> Result<()> {
    let there = down::down(&State::of(name)?)?;
    println!(
        "{}",
        if there {
            "The cluster of the demonstration is gone, with everything in it."
        } else {
            "There is no cluster of a demonstration."
        }
    );
    println!(
        "The tools and images stay in {}; remove that folder to have them built again.",
        crate::dirs::cache_home()?.display()
    );
    Ok(())
}
