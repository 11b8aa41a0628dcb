//! The cluster that a section is measured in: a real control plane with KWOK nodes and the chart, whose pods are played and
//! whose program the benchmark runs at their addresses.

use std::fs::File;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use serde_json::json;
use tokio::task::spawn_blocking;

use super::say;
use crate::cluster::{Cluster, Helm};
use crate::components::{CONTROLLER_MANAGER, SCHEDULER};
use crate::down;
use crate::keeper::USERS;
use crate::state::{Kind, State};
use crate::test::until;
use crate::up::{self, Options};

/// The name of the release.
pub const RELEASE: &str = "llm-operator";
/// Its namespace.
pub const NAMESPACE: &str = "llm-operator-system";
/// The user that the operator is to the API server.
pub const USER: &str = "system:serviceaccount:llm-operator-system:llm-operator";
/// A namespace with this label is not admitted by the webhooks.
pub const UNADMITTED: &str = "bench.test/unadmitted";
/// Long enough for a busy machine.
pub const LIMIT: Duration = Duration::from_secs(120);
/// Ten nodes of 64 CPUs each: what stacks request of these fills them first, with some 1400.
const NODES: u32 = 10;
/// Seconds after which the cluster goes by itself when this process was killed.
const LINGER: u64 = 5;

/// A running cluster; it goes down when this is dropped.
pub struct Bed {
    /// The cluster.
    pub cluster: Cluster,
    /// The operator's program.
    pub program: PathBuf,
    state: State,
    _users: File,
}

impl Drop for Bed {
    fn drop(&mut self) {
        if let Err(error) = down::down(&self.state) {
            eprintln!("cluster {:?} did not go down: {error:#}", self.state.name());
        }
    }
}

impl Bed {
    /// Starts a cluster and installs the chart with that many replicas.
    ///
    /// # Errors
    /// What is missing, or what did not come up.
    pub async fn start(name: &str, program: &Path, replicas: u32) -> Result<Self> {
        say("starting a control plane with KWOK nodes");
        let state = State::of(name)?;
        let lock = {
            let state = state.clone();
            spawn_blocking(move || state.lock()).await??
        };
        ensure!(
            !up::is_up(&state),
            "cluster {name:?} is up already: `cluster --name {name} down` ends it"
        );
        let options = Options {
            kind: Some(Kind::Kwok),
            kwok_nodes: NODES,
            linger: Some(LINGER),
            program: std::env::current_exe()?,
        };
        up::up(&state, &lock, &options).await?;
        let users = File::open(state.path(USERS))?;
        users.lock_shared()?;
        drop(lock);
        let bed = Self {
            cluster: Cluster::attach(name)?,
            program: program.to_owned(),
            state,
            _users: users,
        };
        bed.install(replicas).await?;
        Ok(bed)
    }

    /// The chart as users have it; the images are nowhere, since no pod runs. Its webhooks leave namespaces alone that say so.
    async fn install(&self, replicas: u32) -> Result<()> {
        let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts/llm-operator");
        let values = json!({"replicas": replicas, "models": {"allowedUrls": []}});
        self.cluster
            .install(Helm::V4, RELEASE, NAMESPACE, &chart, &values)
            .await?;
        let selector = json!({"matchExpressions": [{"key": UNADMITTED, "operator": "DoesNotExist"}]});
        let patch = json!([{"op": "add", "path": "/webhooks/0/namespaceSelector", "value": selector}]).to_string();
        for (kind, name) in [("mutating", "mutating"), ("validating", "validating")] {
            let object = format!("{kind}webhookconfiguration/{NAMESPACE}-{RELEASE}-{name}");
            self.cluster
                .kubectl(&["patch", &object, "--type=json", "--patch", &patch])
                .await?;
        }
        Ok(())
    }

    /// Lets the other controllers of the cluster ask the API server as often as they like, so that their limits (20 requests a
    /// second for each of the controller manager's) do not set the pace.
    ///
    /// # Errors
    /// When one does not come back.
    pub async fn unleash(&self) -> Result<()> {
        for component in [CONTROLLER_MANAGER, SCHEDULER] {
            self.cluster.stop(component).await?;
            let fast = ["--kube-api-qps=2000", "--kube-api-burst=4000"];
            self.cluster.start_with(component, &fast).await?;
        }
        Ok(())
    }

    /// A namespace with these labels.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn namespace(&self, name: &str, labels: &[&str]) -> Result<()> {
        self.cluster.kubectl(&["create", "namespace", name]).await?;
        for label in labels {
            let label = format!("{label}=true");
            self.cluster.kubectl(&["label", "namespace", name, &label]).await?;
        }
        Ok(())
    }

    /// Names and addresses of the operator's pods, once there are that many.
    ///
    /// # Errors
    /// When there are not.
    pub async fn pods(&self, count: usize) -> Result<Vec<(String, IpAddr)>> {
        let labels = format!("app.kubernetes.io/name={RELEASE}");
        self.addresses(NAMESPACE, &labels, count).await
    }

    /// Names and addresses of the pods with those labels, once there are that many.
    ///
    /// # Errors
    /// When there are not.
    pub async fn addresses(&self, namespace: &str, labels: &str, count: usize) -> Result<Vec<(String, IpAddr)>> {
        let api: Api<Pod> = Api::namespaced(self.cluster.client().await?, namespace);
        let selected = ListParams::default().labels(labels);
        until(&format!("{count} pods with {labels}"), LIMIT, async || {
            let pods = api.list(&selected).await?;
            let address = |pod: Pod| Some((pod.metadata.name?, pod.status?.pod_ip?.parse().ok()?));
            let found: Vec<_> = pods.items.into_iter().filter_map(address).collect();
            Ok((found.len() == count).then_some(found))
        })
        .await
    }

    /// A token of the operator's ServiceAccount, and the authority of the API server.
    ///
    /// # Errors
    /// When there is none.
    pub async fn credentials(&self) -> Result<(String, PathBuf)> {
        let token = ["--namespace", NAMESPACE, "create", "token", RELEASE, "--duration=2h"];
        let token = self
            .cluster
            .kubectl(&token)
            .await
            .context("no token for the operator")?;
        Ok((token.trim().to_owned(), self.state.path("pki/ca.crt")))
    }

    /// The API server's port, the same inside and outside.
    ///
    /// # Errors
    /// When the cluster is gone.
    pub fn port(&self) -> Result<u16> {
        Ok(self.state.spec()?.port)
    }
}
