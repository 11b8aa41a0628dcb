//! Connections from inside a cluster that are counted, or that end outside of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::cluster::Cluster;

/// A listener whose connections end elsewhere, byte for byte; it ends when it is dropped.
pub struct Relay {
    /// Where it listens, inside the cluster.
    pub address: SocketAddr,
    bytes: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Where connections end.
#[derive(Clone)]
enum Far {
    Inside(Cluster, SocketAddr),
    Outside(SocketAddr),
}

impl Far {
    async fn dial(&self) -> Result<TcpStream> {
        match self {
            Self::Inside(cluster, server) => cluster.dial(*server).await,
            Self::Outside(server) => Ok(TcpStream::connect(server).await?),
        }
    }
}

impl Relay {
    /// To a server inside the cluster, such as the API server.
    ///
    /// # Errors
    /// When it cannot listen there.
    pub async fn inside(cluster: &Cluster, at: SocketAddr, server: SocketAddr) -> Result<Self> {
        let far = Far::Inside(cluster.clone(), server);
        Self::start(cluster.listen_on(at).await?, far)
    }

    /// To a server of this machine.
    ///
    /// # Errors
    /// When it cannot listen there.
    pub async fn outside(cluster: &Cluster, at: SocketAddr, server: SocketAddr) -> Result<Self> {
        Self::start(cluster.listen_on(at).await?, Far::Outside(server))
    }

    /// Bytes in both directions so far, TLS included.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn start(listener: TcpListener, far: Far) -> Result<Self> {
        let address = listener.local_addr()?;
        let bytes = Arc::<AtomicU64>::default();
        let count = Arc::clone(&bytes);
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (count, far) = (Arc::clone(&count), far.clone());
                tokio::spawn(async move {
                    // A connection that breaks is the business of its two ends, which see it break.
                    if let Ok(far) = far.dial().await {
                        join(near, far, count).await;
                    }
                });
            }
        });
        Ok(Self { address, bytes, task })
    }
}

async fn join(near: TcpStream, far: TcpStream, count: Arc<AtomicU64>) {
    let quick = near.set_nodelay(true).and_then(|()| far.set_nodelay(true));
    if quick.is_err() {
        return;
    }
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    let there = pour(near_in, far_out, Arc::clone(&count));
    let back = pour(far_in, near_out, count);
    tokio::join!(there, back);
}

async fn pour(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, count: Arc<AtomicU64>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        count.fetch_add(length as u64, Ordering::Relaxed);
        if to.write_all(&buffer[..length]).await.is_err() {
            break;
        }
    }
    // Where the other end is gone already there is nobody to tell.
    drop(to.shutdown().await);
}
