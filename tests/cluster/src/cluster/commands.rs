//! kubectl, Helm and programs inside the cluster.

use std::ffi::OsStr;
use std::fmt;
use std::path::Path;
use std::process::{Output, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::task::spawn_blocking;

use super::Cluster;
use crate::tools::{self, Tool};

/// A major version of Helm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Helm {
    /// Helm 3, which merges on the client.
    V3,
    /// Helm 4, which applies on the server.
    V4,
}

impl fmt::Display for Helm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Helm::V3 => "Helm 3",
            Helm::V4 => "Helm 4",
        })
    }
}

impl Cluster {
    /// Runs kubectl and returns what it prints.
    ///
    /// # Errors
    /// What kubectl says, when it fails.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.kubectl_with(arguments, "").await
    }

    /// Runs kubectl with a text on its stdin.
    ///
    /// # Errors
    /// What kubectl says, when it fails.
    pub async fn kubectl_with(&self, arguments: &[&str], stdin: &str) -> Result<String> {
        let output = self.kubectl_output(arguments, stdin).await?;
        printed("kubectl", arguments, &output)
    }

    /// Runs kubectl and returns its output and its end, also when it fails.
    ///
    /// # Errors
    /// When kubectl cannot be run.
    pub async fn kubectl_output(&self, arguments: &[&str], stdin: &str) -> Result<Output> {
        self.run(Tool::Kubectl, arguments, stdin).await
    }

    /// Runs Helm and returns what it prints.
    ///
    /// # Errors
    /// What Helm says, when it fails.
    pub async fn helm(&self, version: Helm, arguments: &[&str]) -> Result<String> {
        self.helm_with(version, arguments, "").await
    }

    /// Installs or upgrades a release of the chart in the folder `chart` and waits until it is ready, up to
    /// 2 minutes. The namespace is made if need be.
    ///
    /// # Errors
    /// What Helm says, when it fails.
    pub async fn install(
        &self,
        version: Helm,
        release: &str,
        namespace: &str,
        chart: &Path,
        values: &Value,
    ) -> Result<String> {
        let chart = chart.to_str().context("the chart's path is not UTF-8")?;
        let place = ["--namespace", namespace, "--create-namespace"];
        let wait = ["--wait", "--timeout", "2m", "--values", "-"];
        let arguments = [&["upgrade", "--install", release, chart][..], &place, &wait].concat();
        self.helm_with(version, &arguments, &values.to_string()).await
    }

    async fn helm_with(&self, version: Helm, arguments: &[&str], stdin: &str) -> Result<String> {
        let tool = match version {
            Helm::V3 => Tool::Helm3,
            Helm::V4 => Tool::Helm4,
        };
        let output = self.run(tool, arguments, stdin).await?;
        printed(tool.name(), arguments, &output)
    }

    /// Runs a command inside the cluster's namespaces: it reaches pods and Services by address.
    ///
    /// # Errors
    /// When it cannot be run. How it ended is in the output.
    pub async fn enter(&self, command: &[&str]) -> Result<Output> {
        let output = self.entrance()?.args(command).stdin(Stdio::null()).output().await;
        output.with_context(|| format!("cannot run {command:?} inside the cluster"))
    }

    /// A command that, with a program and its arguments added, runs inside the cluster's namespaces.
    ///
    /// # Errors
    /// When the cluster is not running.
    pub fn entrance(&self) -> Result<Command> {
        let mut command = Command::new(&self.state.spec()?.program);
        command.args(["--name", self.name(), "enter", "--"]).kill_on_drop(true);
        Ok(command)
    }

    async fn run(&self, tool: Tool, arguments: &[&str], stdin: &str) -> Result<Output> {
        let program = spawn_blocking(move || tools::path(tool)).await??;
        let cache = self.state.path("cache");
        // Both cache what the API offers by host and port, and the next cluster may get the same port.
        let mut child = Command::new(program)
            .args(arguments.iter().map(OsStr::new))
            .env("KUBECONFIG", self.kubeconfig())
            .env("KUBECACHEDIR", cache.join("kubectl"))
            .env("HELM_CACHE_HOME", cache.join("helm/cache"))
            .env("HELM_CONFIG_HOME", cache.join("helm/config"))
            .env("HELM_DATA_HOME", cache.join("helm/data"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot run {}", tool.name()))?;
        let mut input = child.stdin.take().context("the program has no stdin")?;
        let text = stdin.to_owned();
        // A program that fails early does not read to the end; what it says matters then, not the broken pipe.
        let writing = tokio::spawn(async move { input.write_all(text.as_bytes()).await });
        let output = child.wait_with_output().await?;
        writing.abort();
        Ok(output)
    }
}

fn printed(program: &str, arguments: &[&str], output: &Output) -> Result<String> {
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout.clone())?);
    }
    // What a command in a pod has found is on its stdout.
    let (found, said) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    bail!("{program} {}: {} {}", arguments.join(" "), said.trim(), found.trim())
}
