//! A second way to the API server: through a fault proxy that pods and processes of the cluster reach at the node's address.

use super::relay::Relay;
use anyhow::Result;
use cluster::Cluster;
use cluster::faults::{Leaf, Proxy, Upstream, Wire};
use kube::config::{KubeConfigOptions, Kubeconfig};
use std::fs;
use std::net::SocketAddr;

/// The way; it breaks when it is dropped.
pub struct Detour {
    /// Where it begins.
    pub address: SocketAddr,
    proxy: Proxy,
    _relay: Relay,
}

impl Detour {
    /// A proxy that shows the API server's own certificate, which holds for the node's address.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn start(cluster: &Cluster) -> Result<Self> {
        let kept = |file: &str| fs::read_to_string(cluster.state().path(&format!("pki/{file}")));
        let leaf = Leaf {
            ca_pem: kept("ca.crt")?,
            certificate_pem: kept("apiserver.crt")?,
            key_pem: kept("apiserver.key")?,
        };
        let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig())?;
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        let upstream = Upstream::https(config.cluster_url.to_string().trim_end_matches('/'), &leaf.ca_pem)?;
        let proxy = Proxy::start(upstream, &leaf).await?;
        let relay = Relay::start(cluster, proxy.url().replace("https://", "").parse()?).await?;
        Ok(Self {
            address: relay.address,
            proxy,
            _relay: relay,
        })
    }

    /// Faults on the way, and the log of requests.
    #[must_use]
    pub fn wire(&self) -> &Wire {
        self.proxy.wire()
    }

    /// A kubeconfig for the holder of `token`.
    #[must_use]
    pub fn kubeconfig(&self, token: &str, namespace: &str) -> String {
        let inside = format!("https://{}", self.address);
        self.proxy
            .kubeconfig(token, namespace)
            .replace(&self.proxy.url(), &inside)
    }
}
