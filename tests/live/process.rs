//! The operator as a process of this machine inside a cluster's network, with the rights of the chart's ServiceAccount and
//! a fault proxy between it and the API server.

use super::detour::Detour;
use super::operator::{Alone, NAMESPACE, RELEASE, binary};
use anyhow::{Context, Result, ensure};
use cluster::faults::Wire;
use serde_json::json;
use std::fs;
use std::process::Stdio;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// A running operator. It is killed when this is dropped.
pub struct Process {
    child: Child,
    detour: Detour,
    files: TempDir,
}

impl Process {
    /// Starts an operator called `name`. Its release should run no replica, and its webhooks should not be asked.
    ///
    /// # Errors
    /// When proxy or process cannot be started.
    pub async fn start(alone: &Alone, name: &str) -> Result<Self> {
        let detour = Detour::start(alone).await?;
        let token = alone.kubectl(&["-n", NAMESPACE, "create", "token", RELEASE]).await?;
        let files = tempfile::tempdir()?;
        fs::write(
            files.path().join("kubeconfig"),
            detour.kubeconfig(token.trim(), NAMESPACE),
        )?;
        let settings = json!({"defaults": {"images": {
            "ollama": cluster::images::OLLAMA, "tabby": cluster::images::TABBY,
        }}});
        fs::write(files.path().join("settings.yaml"), settings.to_string())?;
        let child = command(alone, name, &files)
            .await?
            .spawn()
            .context("cannot start the operator")?;
        Ok(Self { child, detour, files })
    }

    /// Faults between it and the API server, and the log of its requests.
    #[must_use]
    pub fn wire(&self) -> &Wire {
        self.detour.wire()
    }

    /// How many writes it has sent, its Lease aside.
    #[must_use]
    pub fn writes(&self) -> usize {
        let requests = self.wire().requests();
        let written = requests
            .iter()
            .filter(|r| r.method != "GET" && !r.path.contains("/leases"));
        written.filter(|r| !r.path.contains("selfsubject")).count()
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    /// When it does not end well.
    pub async fn stop(mut self) -> Result<()> {
        self.signal("TERM").await?;
        let status = self.child.wait().await?;
        ensure!(status.success(), "it ended with {status}: {}", self.log());
        Ok(())
    }

    /// Kills it at once.
    ///
    /// # Errors
    /// When it is not running.
    pub async fn kill(mut self) -> Result<()> {
        self.signal("KILL").await?;
        self.child.wait().await?;
        Ok(())
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.files.path().join("log")).unwrap_or_else(|error| error.to_string())
    }

    /// The process that entered the cluster waits for the operator, its only child.
    async fn signal(&self, signal: &str) -> Result<()> {
        let id = self.child.id().context("the operator has ended")?;
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
        let operator = children.split_whitespace().next().context("the operator has ended")?;
        let sent = Command::new("kill").args(["-s", signal, operator]).status().await?;
        ensure!(sent.success(), "the operator cannot be signalled");
        Ok(())
    }
}

/// With the parent goes the operator, whatever ends the test.
async fn command(alone: &Alone, name: &str, files: &TempDir) -> Result<Command> {
    let log = fs::File::create(files.path().join("log"))?;
    let path = |file: &str| files.path().join(file).display().to_string();
    let mut command = alone.entrance()?;
    command.args(["setpriv", "--pdeathsig", "KILL", "env"]);
    command
        .arg(format!("KUBECONFIG={}", path("kubeconfig")))
        .arg(binary().await?);
    command.args([
        "run",
        "--namespace",
        NAMESPACE,
        "--pod-name",
        name,
        "--resync-seconds",
        "5",
    ]);
    for port in ["webhook", "health", "metrics"] {
        command.arg(format!("--{port}-address=127.0.0.1:0"));
    }
    command.arg("--config").arg(path("settings.yaml"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    Ok(command)
}
