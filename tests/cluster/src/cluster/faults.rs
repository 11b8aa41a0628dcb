//! Breaking a cluster on purpose: components that stop, freeze and come back.

use anyhow::{Context, Result};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::DeleteParams;
use tokio::task::spawn_blocking;

use super::Cluster;
use super::audit::Audit;
use crate::components::KWOK;
use crate::control::{self, Request, Status};

/// Where nodes say that they live.
const NODE_LEASES: &str = "kube-node-lease";

impl Cluster {
    /// All components and what they do. Their names are the constants of [`crate::components`].
    ///
    /// # Errors
    /// When the cluster is not running.
    pub async fn components(&self) -> Result<Vec<Status>> {
        self.ask(Request::List).await
    }

    /// Ends a component and waits until it is gone.
    ///
    /// # Errors
    /// When there is no such component.
    pub async fn stop(&self, component: &str) -> Result<()> {
        self.ask(Request::Stop {
            name: component.to_owned(),
            kill: false,
        })
        .await
        .map(drop)
    }

    /// Kills a component and waits until it is gone.
    ///
    /// # Errors
    /// When there is no such component.
    pub async fn kill(&self, component: &str) -> Result<()> {
        self.ask(Request::Stop {
            name: component.to_owned(),
            kill: true,
        })
        .await
        .map(drop)
    }

    /// Starts a stopped component again.
    ///
    /// # Errors
    /// When it is running or cannot be started.
    pub async fn start(&self, component: &str) -> Result<()> {
        self.start_with(component, &[]).await
    }

    /// Starts a stopped component with more arguments, for this time.
    ///
    /// # Errors
    /// When it is running or cannot be started.
    pub async fn start_with(&self, component: &str, arguments: &[&str]) -> Result<()> {
        if component == KWOK {
            self.forget_kwok_leases().await?;
        }
        let extra = arguments.iter().map(|&argument| argument.to_owned()).collect();
        self.ask(Request::Start {
            name: component.to_owned(),
            extra,
        })
        .await
        .map(drop)
    }

    /// Freezes a component: it keeps its connections and answers nothing.
    ///
    /// # Errors
    /// When it is not running.
    pub async fn pause(&self, component: &str) -> Result<()> {
        self.ask(Request::Pause {
            name: component.to_owned(),
        })
        .await
        .map(drop)
    }

    /// Lets a paused component go on.
    ///
    /// # Errors
    /// When it is not running.
    pub async fn resume(&self, component: &str) -> Result<()> {
        self.ask(Request::Resume {
            name: component.to_owned(),
        })
        .await
        .map(drop)
    }

    /// What the API server was asked.
    #[must_use]
    pub fn audit(&self) -> Audit {
        Audit::new(self.state.log("audit"))
    }

    async fn ask(&self, request: Request) -> Result<Vec<Status>> {
        let state = self.state.clone();
        spawn_blocking(move || control::ask(&state, &request))
            .await
            .context("asking a cluster was cut short")?
    }

    /// A new KWOK takes the nodes of the old one over only when their leases have run out.
    async fn forget_kwok_leases(&self) -> Result<()> {
        let leases: Api<Lease> = Api::namespaced(self.client().await?, NODE_LEASES);
        for lease in leases.list(&kube::api::ListParams::default()).await? {
            let name = lease.metadata.name.unwrap_or_default();
            if name.starts_with("kwok-") {
                leases.delete(&name, &DeleteParams::default()).await?;
            }
        }
        Ok(())
    }
}
