//! cert-manager beside a cluster: its controllers and its injector as one process of this machine.

use super::live::LIMIT;
use anyhow::{Context, Result, ensure};
use cluster::Cluster;
use cluster::test::until;
use cluster::tools::{self, Tool};
use std::fs::File;
use std::process::Stdio;
use tempfile::NamedTempFile;
use tokio::process::{Child, Command};
use tokio::task::spawn_blocking;

/// A running cert-manager. It is killed when this is dropped.
pub struct CertManager {
    _child: Child,
    log: NamedTempFile,
}

impl CertManager {
    /// Installs its kinds and starts it.
    ///
    /// # Errors
    /// When it cannot be built, or its kinds are refused.
    pub async fn start(cluster: &Cluster) -> Result<Self> {
        let source = || tools::source("cert-manager", "github.com/cert-manager/cert-manager");
        let (program, kinds) =
            spawn_blocking(move || anyhow::Ok((tools::path(Tool::CertManager)?, source()?.join("deploy/crds"))))
                .await??;
        let kinds = kinds.to_str().context("the folder of its kinds is not UTF-8")?;
        cluster
            .kubectl(&["apply", "--server-side", "--force-conflicts", "-f", kinds])
            .await?;
        let established = ["wait", "--for=condition=Established", "--timeout=60s", "-f", kinds];
        cluster.kubectl(&established).await?;
        let log = NamedTempFile::new()?;
        let child = Command::new(program)
            .arg("--kubeconfig")
            .arg(cluster.kubeconfig())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::options().append(true).open(log.path())?)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start cert-manager")?;
        Ok(Self { _child: child, log })
    }

    /// Returns when a Certificate is there.
    ///
    /// # Errors
    /// When it is not within [`LIMIT`]; the log says why.
    pub async fn issues(&self, cluster: &Cluster, namespace: &str, certificate: &str) -> Result<()> {
        let name = format!("certificate/{certificate}");
        let ready = async || {
            let path = r#"jsonpath={.status.conditions[?(@.type=="Ready")].status}"#;
            let said = cluster.kubectl(&["-n", namespace, "get", &name, "-o", path]).await?;
            ensure!(said == "True", "Ready is {said:?}");
            Ok(Some(()))
        };
        let issued = until("cert-manager issues the certificate", LIMIT, ready).await;
        issued.with_context(|| std::fs::read_to_string(self.log.path()).unwrap_or_default())
    }
}
