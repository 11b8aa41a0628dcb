//! A registry of toy models, and real Ollama servers at the addresses of pods that KWOK plays.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Mutex;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Child;
use tokio::task::spawn_blocking;

use crate::bench::bed::{Bed, LIMIT};
use crate::bench::relay::Relay;
use crate::cluster::Cluster;
use crate::gguf::Model;
use crate::network::NODE_IP;
use crate::registry::{Registry, Running};
use crate::test::until;
use crate::tools::{self, Tool};

/// The port of Ollama.
const PORT: u16 = 11434;

/// The registry and the servers; they end when this is dropped.
pub struct Models {
    cluster: Cluster,
    registry: Running,
    relay: Relay,
    servers: Mutex<Vec<(Child, TempDir)>>,
}

impl Models {
    /// Serves so many different toy models.
    ///
    /// # Errors
    /// When nothing can listen inside the cluster.
    pub async fn serve(bed: &Bed, number: u64) -> Result<Self> {
        let registry = Registry::default();
        for index in 0..number {
            registry.add(&name(index), Model::llama().seed(index))?;
        }
        let registry = registry.start_local().await?;
        let at = SocketAddr::new(NODE_IP.parse()?, 0);
        let relay = Relay::outside(&bed.cluster, at, registry.host().parse()?).await?;
        Ok(Self {
            cluster: bed.cluster.clone(),
            registry,
            relay,
            servers: Mutex::default(),
        })
    }

    /// One more model, of that many MiB, under that number.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn add(&self, index: u64, mib: usize) -> Result<()> {
        let registry = self.registry.registry().clone();
        spawn_blocking(move || registry.add(&name(index), Model::llama().seed(index).pad_mib(mib))).await??;
        Ok(())
    }

    /// An item of `spec.ollama.models`.
    #[must_use]
    pub fn item(&self, index: u64) -> Value {
        json!({"name": format!("{}/{}", self.relay.address, name(index)), "insecure": true})
    }

    /// Starts a real Ollama with a folder of its own at an address inside the cluster, and waits until it answers.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn ollama(&self, address: &str) -> Result<()> {
        let program = spawn_blocking(|| tools::path(Tool::Ollama)).await??;
        let home = tempfile::tempdir()?;
        let mut command = self.cluster.entrance()?;
        command.args(["setpriv", "--pdeathsig", "KILL", "env", "--ignore-environment"]);
        command.arg(format!("HOME={}", home.path().display()));
        command.arg(format!("OLLAMA_HOST={address}:{PORT}"));
        command
            .args(["OLLAMA_NO_CLOUD=1", "OLLAMA_NOPRUNE=1"])
            .arg(program)
            .arg("serve");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().context("cannot start Ollama")?;
        self.servers
            .lock()
            .map_err(|e| anyhow::anyhow!("{e}"))?
            .push((child, home));
        let asked = if address == "0.0.0.0" { "127.0.0.1" } else { address };
        let url = format!("http://{asked}:{PORT}/api/version");
        until("Ollama answers", LIMIT, async || {
            Ok((self.cluster.http("GET", &url, None).await?.status == 200).then_some(()))
        })
        .await
    }
}

impl Models {
    /// Has the Ollama at an address pull a model, and waits until it has it. Servers that are one process would otherwise pull
    /// the same model at the same time, which no servers with folders of their own do.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn pull(&self, address: &str, index: u64) -> Result<()> {
        let url = format!("http://{address}:{PORT}/api/pull");
        let order = json!({"model": self.item(index)["name"], "insecure": true, "stream": false});
        let reply = self.cluster.http("POST", &url, Some(&order)).await?;
        let status = reply.status;
        let said = reply.text().await?;
        ensure!(
            status == 200 && said.contains("success"),
            "Ollama cannot pull: {status}: {said}"
        );
        Ok(())
    }
}

fn name(index: u64) -> String {
    format!("library/m{index}:latest")
}
