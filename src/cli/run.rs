//! The operator's process: every replica serves, the one that holds the Lease reconciles.

mod args;
mod meters;

use super::manifests;
use crate::clock::Clock;
use crate::controller;
use crate::health::{self, Gates};
use crate::lease::{self, Claim};
use crate::pki::{self, Serving};
use crate::server::{Limits, Port};
use crate::{metrics, webhook};
use anyhow::Context;
pub(super) use args::Args;
use args::Format;
use axum::http::Response;
use kube::Client;
use kube::client::ClientBuilder;
pub use meters::Meters;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tower::util::MapResponseLayer;
use tracing_subscriber::EnvFilter;

/// Runs until a signal, or until something that must not end has ended.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    logging(args);
    // Two providers in one binary would leave rustls without a default; the first one installed is it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(operate(args))?;
    Ok(ExitCode::SUCCESS)
}

async fn operate(args: &Args) -> anyhow::Result<()> {
    let mut settings = manifests::settings(args.config.as_deref())?;
    settings.namespace.clone_from(&args.namespace);
    args.models(&mut settings)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), pod = args.pod_name, "starting");
    // `stop` begins the end; `last` is for what must answer until everything else has ended.
    let (stop, last) = (CancellationToken::new(), CancellationToken::new());
    let gates = Gates::default();
    let meters = Meters::default();
    let clock = args.clock(meters.clock);
    let client = client(&clock).await.context("no way to the API server")?;
    let inside = [
        Port::inside(
            listen(args.health_address, "health").await?,
            health::router(gates.clone()),
        ),
        Port::inside(
            listen(args.metrics_address, "metrics").await?,
            metrics::router(Arc::new(meters.registry)),
        ),
    ];
    let inside = inside.map(|port| tokio::spawn(port.serve(last.clone())));
    let serving = Arc::new(Serving::default());
    let port = Port {
        listener: listen(args.webhook_address, "the webhooks").await?,
        tls: Some(webhook::tls::config(Arc::clone(&serving) as Arc<_>)?),
        router: webhook::router(Arc::new(settings.clone()), meters.webhooks.clone()),
        limits: Limits::default(),
        failed_handshakes: meters.webhooks.failed_handshakes,
    };
    let (gate, keeping) = (gates.gate("certificate"), args.certificates(clock.clone()));
    let admission = tokio::spawn(port.serve(stop.clone()));
    // Until the last request is answered, so that a rollover during the drain fails nobody.
    let keeper = tokio::spawn(pki::run(
        keeping,
        client.clone(),
        serving,
        gate,
        meters.certificates,
        last.clone(),
    ));
    tokio::spawn(signals(stop.clone(), gates.clone()));
    let claim = lease::claim(client.clone(), &args.lease());
    let config = controller::Config {
        client,
        clock,
        settings,
        namespaces: args.watch_namespaces.clone(),
        pod: args.pod_name.clone(),
        resync: Duration::from_secs(args.resync_seconds),
        metrics: meters.reconciles,
        models: meters.models,
    };
    let result = lead(claim, config, stop.clone()).await;
    gates.drain();
    stop.cancel();
    admission.await?;
    last.cancel();
    keeper.await?;
    for port in inside {
        port.await?;
    }
    result
}

/// The API server, whose answers also tell the time.
async fn client(clock: &Clock) -> anyhow::Result<Client> {
    let clock = clock.clone();
    let listen = MapResponseLayer::new(move |answer: Response<_>| {
        clock.hear(answer.headers());
        answer
    });
    let builder = ClientBuilder::try_from(kube::Config::infer().await?)?;
    Ok(builder.with_layer(&listen).build())
}

/// Reconciles for as long as this replica holds the Lease. Ends with the stop; an error when the Lease is lost, after
/// which nothing may be written, so the process must end.
async fn lead(mut claim: Claim, config: controller::Config, stop: CancellationToken) -> anyhow::Result<()> {
    let led = tokio::select! {
        led = claim.led() => { led?; true }
        () = stop.cancelled() => false,
    };
    if led {
        tokio::select! {
            biased;
            lost = claim.lost() => return Err(lost.into()),
            result = controller::run(config, stop) => result?,
        }
    }
    claim.release().await;
    Ok(())
}

/// Begins the end at SIGTERM, or Ctrl-C.
async fn signals(stop: CancellationToken, gates: Gates) {
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        },
        Err(error) => {
            tracing::error!(%error, "signals cannot be received: the process would never end cleanly");
        }
    }
    tracing::info!("stopping");
    gates.drain();
    stop.cancel();
}

async fn listen(address: SocketAddr, what: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} for {what}"))
}

fn logging(args: &Args) {
    let filter = EnvFilter::try_new(&args.log_level).unwrap_or_else(|error| {
        eprintln!("warning: --log-level {}: {error}; info is used", args.log_level);
        EnvFilter::new("info")
    });
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match args.log_format {
        Format::Json => log.json().flatten_event(true).init(),
        Format::Text => log.with_ansi(std::io::stderr().is_terminal()).init(),
    }
}
