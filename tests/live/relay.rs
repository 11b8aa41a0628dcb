//! Lets pods reach a server of the test: a listener inside the cluster whose connections end at an address outside.

use anyhow::Result;
use cluster::Cluster;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// A relay; it ends when it is dropped.
pub struct Relay {
    /// Where pods reach it.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Relay {
    /// A relay on the node's address, to a server on this machine.
    ///
    /// # Errors
    /// When the cluster gives no socket.
    pub async fn start(cluster: &Cluster, server: SocketAddr) -> Result<Self> {
        let listener = cluster.listen(0).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            while let Ok((mut inside, _)) = listener.accept().await {
                tokio::spawn(async move {
                    // How a connection ends is no news: broken ones are what some tests are for.
                    if let Ok(mut outside) = TcpStream::connect(server).await {
                        drop(tokio::io::copy_bidirectional(&mut inside, &mut outside).await);
                    }
                });
            }
        });
        Ok(Self { address, task })
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}
