//! The accept loop of the test servers, with or without TLS.

use std::{io::ErrorKind, net::SocketAddr};

use anyhow::Context;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use super::body::Body;

/// A server that runs until it is dropped, and its connections with it.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    task: JoinSet<anyhow::Result<()>>,
}

impl Server {
    /// Starts to answer with `service` on a port of the system's choice if `address` has port 0.
    pub(crate) async fn start<S, F>(address: SocketAddr, tls: Option<TlsAcceptor>, service: S) -> anyhow::Result<Self>
    where
        S: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = anyhow::Result<Response<Body>>> + Send + 'static,
    {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("listening on {address}"))?;
        Self::on(listener, tls, service)
    }

    /// The same where a listener is there already, such as one inside a cluster.
    pub(crate) fn on<S, F>(listener: TcpListener, tls: Option<TlsAcceptor>, service: S) -> anyhow::Result<Self>
    where
        S: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = anyhow::Result<Response<Body>>> + Send + 'static,
    {
        let address = listener.local_addr().context("the address of a listener")?;
        let mut task = JoinSet::new();
        task.spawn(accept(listener, tls, service));
        Ok(Self { address, task })
    }

    /// Waits for the end of the server, which only a failure brings.
    pub(crate) async fn ended(mut self) -> anyhow::Result<()> {
        match self.task.join_next().await {
            Some(end) => end.context("the accept loop")?,
            None => Ok(()),
        }
    }
}

async fn accept<S, F>(listener: TcpListener, tls: Option<TlsAcceptor>, service: S) -> anyhow::Result<()>
where
    S: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = anyhow::Result<Response<Body>>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => {
                    connections.spawn(connection(socket, tls.clone(), service.clone()));
                }
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {} // the client left the queue
                Err(error) => return Err(error).context("accepting a connection"),
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one connection. How it ends is no news: broken connections are what these servers are for.
async fn connection<S, F>(socket: TcpStream, tls: Option<TlsAcceptor>, service: S)
where
    S: Fn(Request<Incoming>) -> F,
    F: Future<Output = anyhow::Result<Response<Body>>>,
{
    let _ = socket.set_nodelay(true);
    match tls {
        None => requests(socket, service).await,
        Some(tls) => {
            if let Ok(socket) = tls.accept(socket).await {
                requests(socket, service).await;
            }
        }
    }
}

async fn requests<S, F>(socket: impl AsyncRead + AsyncWrite + Unpin, service: S)
where
    S: Fn(Request<Incoming>) -> F,
    F: Future<Output = anyhow::Result<Response<Body>>>,
{
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(socket), service_fn(service))
        .await;
}
