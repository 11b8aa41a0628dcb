//! NetworkPolicies on the wire: a small enforcer for the node of a test cluster, which has none of its own.
//!
//! It reads policies, pods and namespaces, and writes one table of nftables into the cluster's network namespace. What it
//! refuses is rejected at once, where real ones let a client wait. What the node itself sends, such as the kubelet's
//! probes, is never filtered, as with real ones.

mod rules;
mod selector;

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::Api;
use kube::api::ListParams;
use tokio::io::AsyncWriteExt;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::cluster::Cluster;
use crate::network;

/// How often policies, pods and namespaces are read: between two readings a new pod has no rules.
const PACE: Duration = Duration::from_millis(500);

/// Enforces the NetworkPolicies of a cluster until it is dropped.
#[derive(Debug)]
pub struct Enforcer {
    cluster: Cluster,
    /// The rules that are in force.
    written: Arc<Mutex<String>>,
    task: JoinHandle<()>,
}

impl Enforcer {
    /// Starts to enforce; the policies that are there are in force when this returns.
    ///
    /// # Errors
    /// When the cluster has no real node, or its kernel lets bridged traffic pass by the packet filter.
    pub async fn start(cluster: &Cluster) -> Result<Self> {
        ensure!(
            network::bridge_filter().exists(),
            "NetworkPolicies between pods of one bridge need the kernel's br_netfilter: load it with `modprobe br_netfilter`"
        );
        let written = Arc::new(Mutex::new(String::new()));
        write(cluster, &written).await?;
        let (place, rules) = (cluster.clone(), Arc::clone(&written));
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(PACE).await;
                // The API server may be away in between; the test sees what that leads to.
                if let Err(error) = write(&place, &rules).await {
                    eprintln!("NetworkPolicies are not read: {error:#}");
                }
            }
        });
        Ok(Self {
            cluster: cluster.clone(),
            written,
            task,
        })
    }

    /// Returns when everything that the API server has now is in force.
    ///
    /// # Errors
    /// What the API server or nftables says.
    pub async fn settle(&self) -> Result<()> {
        write(&self.cluster, &self.written).await
    }
}

impl Drop for Enforcer {
    fn drop(&mut self) {
        self.task.abort();
        let removed = self.cluster.entrance().map(|command| {
            let mut command = command.into_std();
            command.args(["nft", "delete", "table", "inet", rules::TABLE]);
            command.stdin(Stdio::null()).status()
        });
        // The cluster may have gone before, with its rules.
        drop(removed);
    }
}

/// Reads what there is and, where that changes anything, writes the rules, all at once.
async fn write(cluster: &Cluster, written: &Mutex<String>) -> Result<()> {
    let mut written = written.lock().await;
    let client = cluster.client().await?;
    let all = ListParams::default();
    let policies = Api::<NetworkPolicy>::all(client.clone()).list(&all).await?;
    let pods = Api::<Pod>::all(client.clone()).list(&all).await?;
    let namespaces = Api::<Namespace>::all(client).list(&all).await?;
    let rules = rules::ruleset(&policies.items, &pods.items, &namespaces.items);
    if rules == *written {
        return Ok(());
    }
    let mut nft = cluster.entrance()?;
    nft.args(["nft", "--file", "-"]);
    let mut nft = nft
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut input = nft.stdin.take().context("nft has no stdin")?;
    input.write_all(rules.as_bytes()).await?;
    drop(input);
    let output = nft.wait_with_output().await?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "nft refuses the rules: {said}\n{rules}");
    *written = rules;
    Ok(())
}
