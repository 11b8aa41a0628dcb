//! The operator as users get it: a static binary in the image of the Dockerfile, installed by Helm with the chart.

use anyhow::{Context, Result, ensure};
use cluster::images::{self, Image};
use cluster::tools::{self, Tool};
use cluster::{Cluster, Helm, Kind};
use serde_json::{Value, json};
use std::env;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use tokio::sync::{Mutex, MutexGuard, OnceCell};
use tokio::task::spawn_blocking;

/// The name of the release, as the older documents print it.
pub const RELEASE: &str = "llm-operator";
/// Its namespace.
pub const NAMESPACE: &str = "llm-operator-system";
/// What its pods are of.
const DEPLOYMENT: &str = "deployment/llm-operator-controller-manager";
/// The user that the operator is to the API server.
pub const USER: &str = "system:serviceaccount:llm-operator-system:llm-operator";
/// Names a static binary of the operator that is tested in place of the one built here.
pub const BINARY: &str = "LLM_OPERATOR_BINARY";

/// The folder of the chart.
#[must_use]
pub fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/llm-operator")
}

/// The operator's binary, linked statically: the one that `LLM_OPERATOR_BINARY` names, or the one that the tests are
/// built with where everything is static (`make test`), or one that is built now.
///
/// # Errors
/// What cargo says.
pub async fn binary() -> Result<PathBuf> {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    let path = BUILT.get_or_try_init(async || match env::var_os(BINARY) {
        Some(path) => Ok(path.into()),
        None if cfg!(target_feature = "crt-static") => Ok(env!("CARGO_BIN_EXE_llm-operator").into()),
        None => spawn_blocking(build).await?,
    });
    Ok(path.await?.clone())
}

/// An explicit target keeps crt-static from build scripts and macros, which cannot be static.
fn build() -> Result<PathBuf> {
    let target = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--quiet", "--package", "llm-operator", "--bin", "llm-operator"])
        .args(["--target", &target, "--message-format", "json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .output()
        .context("cannot run cargo to build the operator")?;
    ensure!(
        output.status.success(),
        "the operator does not build: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let said = String::from_utf8_lossy(&output.stdout);
    let messages = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut binaries = messages.filter_map(|m| m["executable"].as_str().map(PathBuf::from));
    binaries.next_back().context("cargo does not say where the operator is")
}

/// The operator's image. Its tag changes with the binary, so that a release that stands rolls to a new one.
///
/// # Errors
/// When it cannot be built.
pub async fn image() -> Result<Image> {
    imaged(binary().await?).await
}

async fn imaged(binary: PathBuf) -> Result<Image> {
    spawn_blocking(move || cluster::operator::image(&binary)).await?
}

/// Brings the operator with the clock of the tests into the cluster's node, and gives the name of its image.
///
/// # Errors
/// When it cannot be built or loaded.
pub async fn test_clock(cluster: &Cluster) -> Result<String> {
    static BUILT: OnceCell<Image> = OnceCell::const_new();
    let image = BUILT.get_or_try_init(async || {
        let with_clock = binary().await?.with_file_name("llm-operator-test-clock");
        ensure!(
            with_clock.exists(),
            "{} is not built: make test-programs",
            with_clock.display()
        );
        imaged(with_clock).await
    });
    let image = image.await?;
    let archive = image.archive.to_str().context("the image's path is not UTF-8")?;
    cluster.load(archive).await?;
    Ok(image.name.clone())
}

/// Brings every image of the tests into the cluster's node, and gives the name of the operator's.
///
/// # Errors
/// When one cannot be made or loaded.
pub async fn load(cluster: &Cluster) -> Result<String> {
    let operator = image().await?;
    let others = spawn_blocking(|| {
        let ollama = images::ollama(&tools::path(Tool::Ollama)?)?;
        let tabby = images::tabby(&tools::path(Tool::Tabby)?)?;
        anyhow::Ok([ollama, tabby])
    })
    .await??;
    for image in [&operator].into_iter().chain(&others) {
        let archive = image.archive.to_str().context("the image's path is not UTF-8")?;
        cluster.load(archive).await?;
    }
    Ok(operator.name)
}

/// The values of a release in tests: images that are in the node already.
#[must_use]
pub fn values(image: &str) -> Value {
    let (repository, tag) = image.rsplit_once(':').unwrap_or((image, ""));
    json!({
        "image": {"registry": "", "repository": repository, "tag": tag, "pullPolicy": "Never"},
        "defaults": {"images": {
            "ollama": images::OLLAMA, "tabby": images::TABBY, "openwebui": images::OPENWEBUI,
            "redis": images::REDIS, "postgres": images::POSTGRES, "pipelines": images::PIPELINES,
        }},
        // What takes minutes at a user's takes seconds here, and stand-ins at the node's address may be asked.
        "models": {
            "verifySeconds": 5, "stallSeconds": 8, "releaseSeconds": 15,
            "allowedUrls": [format!("http://{}", cluster::network::NODE_IP)],
        },
    })
}

/// Installs the release, or upgrades it, and waits until it is ready.
///
/// # Errors
/// What Helm says, and why the pods are not ready.
pub async fn install(cluster: &Cluster, helm: Helm, values: &Value) -> Result<()> {
    install_chart(cluster, helm, &chart(), values).await
}

/// The same with a chart that may be another version's.
///
/// # Errors
/// As [`install`].
pub async fn install_chart(cluster: &Cluster, helm: Helm, chart: &Path, values: &Value) -> Result<()> {
    let installed = cluster.install(helm, RELEASE, NAMESPACE, chart, values).await;
    if let Err(error) = installed {
        let pods = cluster.kubectl(&["-n", NAMESPACE, "describe", "pods"]).await;
        let logs = logs(cluster).await;
        eprintln!("{}\n{logs}", pods.unwrap_or_else(|error| error.to_string()));
        return Err(error);
    }
    Ok(())
}

/// The end of the logs of all replicas.
pub async fn logs(cluster: &Cluster) -> String {
    let selector = "--selector=app.kubernetes.io/name=llm-operator";
    let arguments = ["-n", NAMESPACE, "logs", selector, "--prefix", "--tail=80"];
    cluster
        .kubectl(&arguments)
        .await
        .unwrap_or_else(|error| error.to_string())
}

/// The release that tests share, installed once in each process: a release that stands already stays.
///
/// # Errors
/// When it cannot be installed.
pub async fn shared() -> Result<&'static Cluster> {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    let cluster = Cluster::shared().await?;
    INSTALLED
        .get_or_try_init(async || {
            let image = load(cluster).await?;
            install(cluster, Helm::V4, &values(&image)).await
        })
        .await?;
    Ok(cluster)
}

/// A cluster of a test's own with a release of its own: for what others would notice. Tests of one binary use the same,
/// one after another; each finds the release as the chart installs it.
pub struct Alone {
    cluster: Cluster,
    image: String,
    _turn: MutexGuard<'static, ()>,
}

/// The cluster of its own, when it is this test's turn.
///
/// # Errors
/// When it cannot be started, or the release not installed.
pub async fn alone(name: &str) -> Result<Alone> {
    static TURN: Mutex<()> = Mutex::const_new(());
    static STARTED: OnceCell<(Cluster, String)> = OnceCell::const_new();
    let turn = TURN.lock().await;
    let started = STARTED.get_or_try_init(async || {
        let cluster = Cluster::separate(name, Kind::Node, 0).await?;
        let image = load(&cluster).await?;
        anyhow::Ok((cluster, image))
    });
    let (cluster, image) = started.await?.clone();
    let alone = Alone {
        cluster,
        image,
        _turn: turn,
    };
    alone.install().await?;
    Ok(alone)
}

impl Deref for Alone {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl Alone {
    /// The values of its release.
    #[must_use]
    pub fn values(&self) -> Value {
        values(&self.image)
    }

    /// Brings the release to what the chart makes of its values, whatever a test did to it.
    ///
    /// # Errors
    /// What Helm says.
    pub async fn install(&self) -> Result<()> {
        self.install_with(&json!({})).await
    }

    /// The same with more values.
    ///
    /// # Errors
    /// What Helm says.
    pub async fn install_with(&self, more: &Value) -> Result<()> {
        let mut values = self.values();
        llm_operator::base::object::merge(&mut values, more.clone());
        install(&self.cluster, Helm::V4, &values).await
    }

    /// What the doctor in one of its pods says, with the operator's rights.
    ///
    /// # Errors
    /// When it finds a problem.
    pub async fn doctor(&self) -> Result<String> {
        let inside = ["-n", NAMESPACE, "exec", DEPLOYMENT, "--", "/llm-operator", "doctor"];
        self.kubectl(&inside).await
    }

    /// Runs that many replicas, and returns when there are as many.
    ///
    /// # Errors
    /// What kubectl says.
    pub async fn scale(&self, replicas: u32) -> Result<()> {
        let count = format!("--replicas={replicas}");
        self.kubectl(&["-n", NAMESPACE, "scale", DEPLOYMENT, &count]).await?;
        let selector = "--selector=app.kubernetes.io/name=llm-operator,app.kubernetes.io/component!=selfcheck";
        if replicas == 0 {
            let wait = [
                "-n",
                NAMESPACE,
                "wait",
                "pod",
                selector,
                "--for=delete",
                "--timeout=60s",
            ];
            self.kubectl(&wait).await?;
        } else {
            self.kubectl(&["-n", NAMESPACE, "rollout", "status", DEPLOYMENT, "--timeout=120s"])
                .await?;
        }
        Ok(())
    }
}
