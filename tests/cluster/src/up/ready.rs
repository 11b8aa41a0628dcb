//! The conditions that a start waits for. A component that dies meanwhile ends the wait with its log.

use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::api::ListParams;
use kube::{Api, Client};

use crate::connect;
use crate::control::{self, Condition, Request};
use crate::state::State;
use crate::text::last_lines;

const LIMIT: Duration = Duration::from_secs(120);

/// Waits for one cluster's conditions.
pub(super) struct Waiting<'a> {
    state: &'a State,
    port: u16,
}

impl<'a> Waiting<'a> {
    pub fn new(state: &'a State, port: u16) -> Self {
        Self { state, port }
    }

    /// The namespaces are set up when their first process answers.
    pub async fn for_init(&self, keeper_ended: &AtomicBool) -> Result<()> {
        let end = Instant::now() + Duration::from_secs(20);
        while control::ask(self.state, &Request::List).is_err() {
            if Instant::now() > end || keeper_ended.load(Ordering::Acquire) {
                bail!("the namespaces of the cluster were not set up:\n{}", self.log("keeper"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// containerd takes requests.
    pub async fn for_containerd(&self) -> Result<()> {
        let socket = self.state.path("containerd.sock");
        self.until("containerd", async || Ok(UnixStream::connect(&socket).is_ok()))
            .await
    }

    /// The API server says that it is ready.
    pub async fn for_api_server(&self) -> Result<()> {
        let client = self.client().await?;
        self.until("the API server", async || {
            let request = hyper::Request::get("/readyz").body(Vec::new())?;
            Ok(client.request_text(request).await? == "ok")
        })
        .await
    }

    /// That many nodes are Ready.
    pub async fn for_nodes(&self, count: u32) -> Result<()> {
        let nodes: Api<Node> = Api::all(self.client().await?);
        self.until("the nodes", async || {
            let found = nodes.list(&ListParams::default()).await?;
            Ok(found.items.iter().filter(|node| ready(node)).count() >= count as usize)
        })
        .await
    }

    /// A pod that is created before its service account exists is refused.
    pub async fn for_default_account(&self) -> Result<()> {
        let accounts: Api<ServiceAccount> = Api::default_namespaced(self.client().await?);
        self.until("the controllers", async || {
            Ok(accounts.get_opt("default").await?.is_some())
        })
        .await
    }

    async fn client(&self) -> Result<Client> {
        connect::client(self.state).await
    }

    async fn until(&self, what: &str, mut check: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
        let end = Instant::now() + LIMIT;
        loop {
            let last = check().await;
            if matches!(last, Ok(true)) {
                return Ok(());
            }
            self.check_components()?;
            if Instant::now() > end {
                let logs = self.logs();
                let last = last
                    .err()
                    .map(|error| format!("; the last answer: {error:#}"))
                    .unwrap_or_default();
                bail!(
                    "{what} did not become ready within {LIMIT:?} (port {}){last}\n{logs}",
                    self.port
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn check_components(&self) -> Result<()> {
        for status in control::ask(self.state, &Request::List).context("while the cluster was starting")? {
            if let Condition::Died(how) = status.condition {
                bail!(
                    "{} died while the cluster was starting ({how}):\n{}",
                    status.name,
                    self.log(&status.name)
                );
            }
        }
        Ok(())
    }

    fn logs(&self) -> String {
        let names = control::ask(self.state, &Request::List).unwrap_or_default();
        let log = |s: &control::Status| {
            format!(
                "--- {} ({})
{}",
                s.name,
                s.condition,
                self.log(&s.name)
            )
        };
        names.iter().map(log).collect::<Vec<_>>().join(
            "
",
        )
    }

    fn log(&self, component: &str) -> String {
        let text = std::fs::read_to_string(self.state.log(component)).unwrap_or_else(|error| error.to_string());
        last_lines(&text, 20)
    }
}

fn ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|c| c.type_ == "Ready" && c.status == "True"))
}
