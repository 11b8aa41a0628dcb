//! The accept loop behind every port: limits, timeouts, TLS where a port has it, and an end that loses no request.

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::middleware::map_response;
use axum::response::Response;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use prometheus_client::metrics::counter::Counter;
use rustls::ServerConfig;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Enough for every header an API server sends; hyper would take 400 KiB for each connection.
const LARGEST_BUFFER: usize = 64 * 1024;
/// Without a pause, a process that has run out of file descriptors would spin on accepting.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// How long and how much a port bears with its clients.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the first byte to the end of the TLS handshake.
    pub handshake: Duration,
    /// Between two requests of a connection. The API server keeps idle connections for 90 s, and a POST that meets
    /// a connection just closed here is lost to it, so this must be longer.
    pub idle: Duration,
    /// Connections at a time; more wait to be accepted.
    pub connections: usize,
    /// How long requests are still taken after the stop, each answered with `Connection: close`, until every client
    /// has learnt that this replica is gone.
    pub drain: Duration,
    /// How long the requests in flight may take after that.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            idle: Duration::from_secs(120),
            connections: 512,
            drain: Duration::from_secs(10),
            grace: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// For ports that probes and scrapers ask: few connections, and an end without a drain, since they are told
    /// about the drain and not by it.
    #[must_use]
    pub fn inside() -> Self {
        Self {
            connections: 64,
            drain: Duration::ZERO,
            grace: Duration::from_secs(1),
            ..Self::default()
        }
    }
}

/// One port and what it serves.
pub struct Port {
    /// Where connections come from.
    pub listener: TcpListener,
    /// TLS, or none for a plain port.
    pub tls: Option<Arc<ServerConfig>>,
    /// What is served.
    pub router: Router,
    /// See [`Limits`].
    pub limits: Limits,
    /// Counts handshakes that failed or took too long.
    pub failed_handshakes: Counter,
}

/// What a connection's task needs.
#[derive(Clone)]
struct Service {
    tls: Option<TlsAcceptor>,
    router: Router,
    limits: Limits,
    failed_handshakes: Counter,
}

impl Port {
    /// A plain port with [`Limits::inside`].
    #[must_use]
    pub fn inside(listener: TcpListener, router: Router) -> Self {
        Self {
            listener,
            tls: None,
            router,
            limits: Limits::inside(),
            failed_handshakes: Counter::default(),
        }
    }

    /// Serves until `stop`, then drains: at first as before but closing each connection after its answer, then
    /// without new connections until the last request is answered or the grace is over.
    pub async fn serve(self, stop: CancellationToken) {
        let Self {
            listener,
            tls,
            router,
            limits,
            failed_handshakes,
        } = self;
        let router = router.layer(map_response(closing(stop.clone())));
        let service = Service {
            tls: tls.map(TlsAcceptor::from),
            router,
            limits,
            failed_handshakes,
        };
        let permits = Arc::new(Semaphore::new(limits.connections));
        let graceful = GracefulShutdown::new();
        let mut tasks = JoinSet::new();
        let drained = async {
            stop.cancelled().await;
            sleep(limits.drain).await;
        };
        tokio::pin!(drained);
        loop {
            tokio::select! {
                () = &mut drained => break,
                (stream, permit) = accept(&listener, &permits) => {
                    tasks.spawn(service.clone().connection(stream, permit, graceful.watcher()));
                }
                Some(_) = tasks.join_next() => {}
            }
        }
        drop(listener);
        if timeout(limits.grace, graceful.shutdown()).await.is_err() {
            tracing::warn!(
                connections = tasks.len(),
                "requests were still running at the end of the grace period"
            );
        }
    }
}

impl Service {
    async fn connection(self, stream: TcpStream, _permit: OwnedSemaphorePermit, watcher: Watcher) {
        let Some(tls) = &self.tls else {
            return self.requests(stream, watcher).await;
        };
        match timeout(self.limits.handshake, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.requests(stream, watcher).await,
            Ok(Err(error)) => {
                self.failed_handshakes.inc();
                tracing::debug!(%error, "TLS handshake failed");
            }
            Err(_) => {
                self.failed_handshakes.inc();
                tracing::debug!("TLS handshake took too long");
            }
        }
    }

    async fn requests<S: AsyncRead + AsyncWrite + Unpin + 'static>(&self, stream: S, watcher: Watcher) {
        // Not hyper-util's `auto`: that waits without a limit for the first byte, to tell HTTP/2 from HTTP/1.
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.idle)
            .max_buf_size(LARGEST_BUFFER)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(self.router.clone()));
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%error, "connection ended");
        }
    }
}

/// The next connection, when there is room for it.
async fn accept(listener: &TcpListener, permits: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    let permit = Arc::clone(permits)
        .acquire_owned()
        .await
        .expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are small and single: waiting to fill a segment only adds 40 ms.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY");
                }
                return (stream, permit);
            }
            Err(error) if is_clients(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
}

/// True where the client went away before it was accepted.
fn is_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Adds `Connection: close` to answers once the stop was asked for, so that clients with pooled connections go
/// elsewhere while there is still someone here to answer.
fn closing(stop: CancellationToken) -> impl Fn(Response) -> std::future::Ready<Response> + Clone {
    move |mut response: Response| {
        if stop.is_cancelled() {
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        std::future::ready(response)
    }
}
