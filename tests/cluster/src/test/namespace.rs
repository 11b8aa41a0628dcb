//! A namespace of one test's own.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace as Object, ServiceAccount};
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::tools::{self, Tool};

/// A fresh namespace under Pod Security `restricted`. When it is dropped it is deleted, without waiting; in a
/// panic its objects, events and logs are printed first.
#[derive(Debug)]
pub struct Namespace {
    cluster: Cluster,
    name: String,
    dumped: AtomicBool,
}

/// What the API server made of an object.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// The object with all that was filled in.
    pub object: Value,
    /// The warnings that came with it.
    pub warnings: Vec<String>,
}

impl Cluster {
    /// A fresh namespace for the test called `test`.
    ///
    /// # Errors
    /// When the API server refuses it.
    pub async fn namespace(&self, test: &str) -> Result<Namespace> {
        let name = unique(test);
        let labels = json!({"pod-security.kubernetes.io/enforce": "restricted", "llm-operator.test/test": label(test)});
        let object = json!({"metadata": {"name": name, "labels": labels}});
        let client = self.client().await?;
        let object: Object = serde_json::from_value(object)?;
        Api::<Object>::all(client.clone())
            .create(&PostParams::default(), &object)
            .await?;
        let namespace = Namespace {
            cluster: self.clone(),
            name,
            dumped: AtomicBool::new(false),
        };
        // A pod that comes before the account it runs as is refused.
        let accounts: Api<ServiceAccount> = Api::namespaced(client, &namespace.name);
        super::until("the default ServiceAccount", Duration::from_secs(30), async || {
            Ok(accounts.get_opt("default").await?)
        })
        .await?;
        Ok(namespace)
    }
}

fn label(test: &str) -> String {
    let letters = test.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let short: String = letters.chars().take(40).collect();
    short.trim_matches('-').to_owned()
}

/// Deleting a namespace takes 5 s and nobody waits for it, so a second run needs another name.
fn unique(test: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let run = (u64::from(std::process::id()) << 20) ^ Timestamp::now().as_millisecond().unsigned_abs();
    format!("{}-{:x}{count}", label(test), run & 0xff_ffff)
}

impl Namespace {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The cluster it is in.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Runs kubectl in this namespace.
    ///
    /// # Errors
    /// What kubectl says, when it fails.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.cluster
            .kubectl(&[&["--namespace", &self.name], arguments].concat())
            .await
    }

    /// Applies a manifest in this namespace as `kubectl apply` does.
    ///
    /// # Errors
    /// What kubectl says, when it is refused.
    pub async fn apply(&self, yaml: &str) -> Result<String> {
        self.cluster
            .kubectl_with(&["--namespace", &self.name, "apply", "-f", "-"], yaml)
            .await
    }

    /// What the API server would make of a manifest; nothing is stored.
    ///
    /// # Errors
    /// What kubectl says, when it is refused.
    pub async fn accepts(&self, yaml: &str) -> Result<Accepted> {
        let output = self.dry_run(yaml).await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            bail!("refused: {}", said.trim());
        }
        let object = serde_json::from_slice(&output.stdout).context("kubectl did not print an object")?;
        let warnings = said
            .lines()
            .filter_map(|line| line.strip_prefix("Warning: ").map(str::to_owned))
            .collect();
        Ok(Accepted { object, warnings })
    }

    /// Why the API server refuses a manifest, as kubectl prints it.
    ///
    /// # Errors
    /// When it is accepted.
    pub async fn refuses(&self, yaml: &str) -> Result<String> {
        let output = self.dry_run(yaml).await?;
        if output.status.success() {
            bail!("accepted, and should have been refused: {yaml}");
        }
        Ok(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }

    async fn dry_run(&self, yaml: &str) -> Result<std::process::Output> {
        let arguments = [
            "--namespace",
            &self.name,
            "apply",
            "--dry-run=server",
            "--output=json",
            "-f",
            "-",
        ];
        self.cluster.kubectl_output(&arguments, yaml).await
    }

    /// Asks every 100 ms until there is an answer; when there is none, prints all that is in the namespace.
    ///
    /// # Errors
    /// When there is no answer within `limit`.
    pub async fn until<T>(
        &self,
        what: &str,
        limit: Duration,
        check: impl AsyncFnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let result = super::until(what, limit, check).await;
        if result.is_err() {
            self.dump();
        }
        result
    }

    /// Prints objects, events and logs to stderr, once.
    pub fn dump(&self) {
        if !self.dumped.swap(true, Ordering::Relaxed) {
            super::dump(&self.cluster, &self.name);
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.dump();
        }
        if let Err(error) = delete(&self.cluster, &self.name) {
            eprintln!("namespace {} was not deleted: {error:#}", self.name);
        }
    }
}

/// Not async: a value that is dropped cannot wait for a future.
fn delete(cluster: &Cluster, name: &str) -> Result<()> {
    let output = Command::new(tools::path(Tool::Kubectl)?)
        .args(["delete", "namespace", name, "--wait=false", "--ignore-not-found"])
        .env("KUBECONFIG", cluster.kubeconfig())
        .env("KUBECACHEDIR", cluster.state().path("cache/kubectl"))
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_of_one_test_have_different_names() {
        let (one, two) = (unique("Models::a pull_resumes"), unique("Models::a pull_resumes"));
        assert!(one.starts_with("models--a-pull-resumes-") && one != two, "{one} {two}");
        assert!(unique(&"x".repeat(100)).len() <= 63);
    }
}
