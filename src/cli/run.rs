//! The operator's process: every replica serves, the one that holds the Lease reconciles.

use super::manifests;
use crate::base::endpoint::ServerUrl;
use crate::base::settings::Settings;
use crate::controller::{self, metrics::Reconciles};
use crate::health::{self, Gates};
use crate::lease::{self, Claim, standing::Terms};
use crate::pki::{self, Serving};
use crate::server::{Limits, Port};
use crate::{metrics, ollama, webhook};
use anyhow::Context;
use kube::Client;
use std::io::IsTerminal;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Arguments of `run`; each is also an environment variable.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The namespace that the operator runs in.
    #[arg(long, env = "POD_NAMESPACE", default_value = "llm-operator-system")]
    namespace: String,
    /// The name of this pod.
    #[arg(long, env = "POD_NAME", default_value = "llm-operator")]
    pod_name: String,
    /// The Service of the webhooks, which their certificate is for.
    #[arg(long, env = "SERVICE_NAME", default_value = "llm-operator-webhook")]
    service_name: String,
    /// The Secret of the certificate authority of the webhooks.
    #[arg(long, env = "CA_SECRET", default_value = "llm-operator-webhook-ca")]
    ca_secret: String,
    /// A Secret with the certificate of the webhooks, which somebody else keeps: tls.crt, tls.key and ca.crt. Default: the
    /// operator keeps an authority of its own in --ca-secret.
    #[arg(long, env = "CERTIFICATE_SECRET")]
    certificate_secret: Option<String>,
    /// Whether the webhook configurations are told to trust the ca.crt of --certificate-secret; not where they get it from
    /// elsewhere.
    #[arg(long, env = "INJECT_CA", default_value_t = true, action = clap::ArgAction::Set)]
    inject_ca: bool,
    /// The Lease by which one replica is chosen.
    #[arg(long, env = "LEASE", default_value = "llm-operator-leader")]
    lease: String,
    /// The MutatingWebhookConfiguration whose caBundle is kept up.
    #[arg(
        long,
        env = "MUTATING_WEBHOOK",
        default_value = "llm-operator-system-llm-operator-mutating"
    )]
    mutating_webhook: String,
    /// The ValidatingWebhookConfiguration whose caBundle is kept up.
    #[arg(
        long,
        env = "VALIDATING_WEBHOOK",
        default_value = "llm-operator-system-llm-operator-validating"
    )]
    validating_webhook: String,
    /// Where the webhooks are served.
    #[arg(long, env = "WEBHOOK_ADDRESS", default_value = "0.0.0.0:10250")]
    webhook_address: SocketAddr,
    /// The Ollama of OllamaModels that name no target, such as http://ollama:11434; bind addresses are read, too. Default:
    /// models.apiUrl of the settings file, which is http://localhost:11434 where it is not given.
    #[arg(long, env = "OLLAMA_API_URL")]
    ollama_api_url: Option<String>,
    /// A URL that spec.target.url of an OllamaModel may be, besides those of the settings file: http://host[:port], or
    /// http://*.domain[:port]. May be given several times.
    #[arg(long = "ollama-allowed-url", env = "OLLAMA_ALLOWED_URLS", value_delimiter = ',')]
    ollama_allowed_urls: Vec<String>,
    /// Where probes are answered.
    #[arg(long, env = "HEALTH_ADDRESS", default_value = "0.0.0.0:8081")]
    health_address: SocketAddr,
    /// Where metrics are served.
    #[arg(long, env = "METRICS_ADDRESS", default_value = "0.0.0.0:8080")]
    metrics_address: SocketAddr,
    /// A namespace to watch; may be given several times. Default: all.
    #[arg(long = "watch-namespace", env = "WATCH_NAMESPACES", value_delimiter = ',')]
    watch_namespaces: Vec<String>,
    /// What is logged: a level, or directives such as `info,kube=debug`.
    #[arg(long, env = "LOG_LEVEL", default_value = "info")]
    log_level: String,
    /// How it is logged.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t = Format::Text)]
    log_format: Format,
    /// The settings file.
    #[arg(long, env = "CONFIG")]
    config: Option<PathBuf>,
    /// Seconds after which an unchanged object is looked at again.
    #[arg(long, env = "RESYNC_SECONDS", default_value_t = 600)]
    resync_seconds: u64,
}

/// Forms of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A line for people.
    Text,
    /// A JSON object a line.
    Json,
}

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
    let client = Client::try_default().await.context("no way to the API server")?;
    // `stop` begins the end; `last` is for what must answer until everything else has ended.
    let (stop, last) = (CancellationToken::new(), CancellationToken::new());
    let gates = Gates::default();
    let mut registry = metrics::registry();
    let reconciles = Reconciles::register(&mut registry);
    let models = ollama::metrics::Metrics::register(&mut registry);
    let webhooks = webhook::Metrics::register(&mut registry);
    let certificates = pki::Metrics::register(&mut registry);
    let inside = [
        Port::inside(
            listen(args.health_address, "health").await?,
            health::router(gates.clone()),
        ),
        Port::inside(
            listen(args.metrics_address, "metrics").await?,
            metrics::router(Arc::new(registry)),
        ),
    ];
    let inside = inside.map(|port| tokio::spawn(port.serve(last.clone())));
    let serving = Arc::new(Serving::default());
    let port = Port {
        listener: listen(args.webhook_address, "the webhooks").await?,
        tls: Some(webhook::tls::config(Arc::clone(&serving) as Arc<_>)?),
        router: webhook::router(Arc::new(settings.clone()), webhooks.clone()),
        limits: Limits::default(),
        failed_handshakes: webhooks.failed_handshakes,
    };
    let (gate, keeping) = (gates.gate("certificate"), args.certificates());
    let admission = tokio::spawn(port.serve(stop.clone()));
    // Until the last request is answered, so that a rollover during the drain fails nobody.
    let keeper = tokio::spawn(pki::run(
        keeping,
        client.clone(),
        serving,
        gate,
        certificates,
        last.clone(),
    ));
    tokio::spawn(signals(stop.clone(), gates.clone()));
    let claim = lease::claim(client.clone(), &args.lease());
    let config = controller::Config {
        client,
        settings,
        namespaces: args.watch_namespaces.clone(),
        pod: args.pod_name.clone(),
        resync: Duration::from_secs(args.resync_seconds),
        metrics: reconciles,
        models,
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

impl Args {
    /// Lays what the command line says of models over the settings file.
    fn models(&self, settings: &mut Settings) -> anyhow::Result<()> {
        let models = &mut settings.models;
        if let Some(url) = &self.ollama_api_url {
            models.api_url.clone_from(url);
        }
        models.allowed_urls.extend(self.ollama_allowed_urls.iter().cloned());
        let url = &models.api_url;
        ServerUrl::lenient(url).map_err(|why| anyhow::anyhow!("the URL of Ollama, {url:?}: {why}"))?;
        Ok(())
    }

    fn certificates(&self) -> pki::Config {
        pki::Config {
            names: pki::Names {
                secret: self.certificate_secret.as_ref().unwrap_or(&self.ca_secret).clone(),
                service: pki::Service {
                    name: self.service_name.clone(),
                    namespace: self.namespace.clone(),
                },
                mutating: self.mutating_webhook.clone(),
                validating: self.validating_webhook.clone(),
            },
            // Every address listens on loopback as well, unless a single one was named.
            dial: match self.webhook_address.ip() {
                ip if ip.is_unspecified() => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), self.webhook_address.port()),
                _ => self.webhook_address,
            },
            pod: self.pod_name.clone(),
            terms: pki::book::Terms::default(),
            source: match self.certificate_secret {
                Some(_) => pki::Source::Given { inject: self.inject_ca },
                None => pki::Source::Own,
            },
        }
    }

    fn lease(&self) -> lease::Config {
        lease::Config {
            namespace: self.namespace.clone(),
            name: self.lease.clone(),
            pod: self.pod_name.clone(),
            terms: Terms::default(),
        }
    }
}
