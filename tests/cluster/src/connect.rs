//! Clients of a cluster's API.

use anyhow::{Context, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::state::State;

/// A client with the administrator's rights. Make one per async runtime: its connections end with the runtime
/// they were made in.
///
/// # Errors
/// When the cluster has no kubeconfig.
pub async fn client(state: &State) -> Result<Client> {
    let path = state.kubeconfig();
    let kubeconfig = Kubeconfig::read_from(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}
