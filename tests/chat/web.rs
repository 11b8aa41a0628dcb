//! A web server of the test's that pods call: it gives out one file, and keeps what is sent to it.

use anyhow::Result;
use cluster::Cluster;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::JoinHandle;

/// Something that was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Where to.
    pub path: String,
    /// As whom.
    pub authorization: String,
    /// What.
    pub body: Value,
}

/// The server; it ends when it is dropped.
pub struct Web {
    /// Where pods reach it.
    pub address: SocketAddr,
    sent: Arc<Mutex<Vec<Sent>>>,
    task: JoinHandle<()>,
}

impl Web {
    /// A server inside the cluster that gives `file` to every GET.
    ///
    /// # Errors
    /// When the cluster gives no socket.
    pub async fn start(cluster: &Cluster, file: &'static str) -> Result<Self> {
        let listener = cluster.listen(0).await?;
        let address = listener.local_addr()?;
        let sent: Arc<Mutex<Vec<Sent>>> = Arc::default();
        let kept = Arc::clone(&sent);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = Arc::clone(&kept);
                let service = service_fn(move |request| answer(request, file, Arc::clone(&kept)));
                // How a connection ends is no news.
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(Self { address, sent, task })
    }

    /// What was sent so far.
    pub fn sent(&self) -> Vec<Sent> {
        lock(&self.sent).clone()
    }
}

async fn answer(
    request: Request<Incoming>,
    file: &'static str,
    kept: Arc<Mutex<Vec<Sent>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() == Method::GET {
        return Ok(Response::new(Full::from(file)));
    }
    let path = request.uri().path().to_string();
    let authorization = request.headers().get("authorization").and_then(|v| v.to_str().ok());
    let authorization = authorization.unwrap_or_default().to_string();
    let bytes = request
        .into_body()
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes);
    let body = bytes
        .ok()
        .and_then(|b| serde_json::from_slice(&b).ok())
        .unwrap_or_default();
    lock(&kept).push(Sent {
        path,
        authorization,
        body,
    });
    Ok(Response::new(Full::from("{}")))
}

/// Each holder leaves the list whole.
fn lock(sent: &Mutex<Vec<Sent>>) -> MutexGuard<'_, Vec<Sent>> {
    sent.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Web {
    fn drop(&mut self) {
        self.task.abort();
    }
}
