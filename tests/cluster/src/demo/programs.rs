//! kubectl and Helm, for one cluster.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::root;
use super::steps::{say, typed};

/// The two programs and what they need to know.
pub(super) struct Programs {
    pub kubectl: PathBuf,
    pub helm: PathBuf,
    /// KUBECONFIG, and where caches go.
    pub environment: Vec<(&'static str, OsString)>,
}

impl Programs {
    /// A command whose output is caught.
    pub fn kubectl(&self, arguments: &[&str]) -> Command {
        self.command(&self.kubectl, arguments)
    }

    /// As [`Programs::kubectl`].
    pub fn helm(&self, arguments: &[&str]) -> Command {
        self.command(&self.helm, arguments)
    }

    fn command(&self, program: &PathBuf, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .envs(self.environment.iter().cloned())
            .current_dir(root())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// The folders of the two, unless they are on PATH already.
    pub fn search_path(&self) -> Option<OsString> {
        let folders = [&self.kubectl, &self.helm].map(|program| program.parent().unwrap_or(Path::new(".")));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let known: Vec<PathBuf> = std::env::split_paths(&path).collect();
        if folders.iter().all(|folder| known.iter().any(|k| k == folder)) {
            return None;
        }
        std::env::join_paths(folders).ok()
    }

    /// What kubectl prints; its failure is an error.
    pub async fn get(&self, arguments: &[&str]) -> Result<String> {
        let output = self.kubectl(arguments).output().await.context("cannot run kubectl")?;
        if !output.status.success() {
            bail!("kubectl {}: {}", arguments.join(" "), text(&output.stderr));
        }
        Ok(text(&output.stdout))
    }

    /// The same, read as JSON.
    pub async fn json<T: DeserializeOwned>(&self, arguments: &[&str]) -> Result<T> {
        let text = self.get(&[arguments, &["--output=json"]].concat()).await?;
        serde_json::from_str(&text).with_context(|| format!("not what was expected of kubectl: {text}"))
    }

    /// Shows a kubectl command and all that it prints, and returns how it ended.
    pub async fn show(&self, arguments: &[&str]) -> Result<Output> {
        typed(&format!("kubectl {}", arguments.join(" ")));
        let output = self.kubectl(arguments).output().await.context("cannot run kubectl")?;
        say(text(&output.stdout));
        say(text(&output.stderr));
        Ok(output)
    }

    /// Starts kubectl with a text on its stdin.
    pub async fn feed(&self, arguments: &[&str], stdin: &str) -> Result<tokio::process::Child> {
        let mut command = self.kubectl(arguments);
        let mut child = command.stdin(Stdio::piped()).spawn().context("cannot run kubectl")?;
        let mut input = child.stdin.take().context("kubectl has no stdin")?;
        input.write_all(stdin.as_bytes()).await?;
        Ok(child)
    }
}

/// Output as text, without the line break at its end.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_owned()
}
