//! The arguments of the operator's process, and what they say to each part.

use crate::base::endpoint::ServerUrl;
use crate::base::settings::Settings;
use crate::clock::Clock;
use crate::lease::{self, standing::Terms};
use crate::pki;
use clap::{Args as _, FromArgMatches};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Arguments of `run`; each is also an environment variable.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The namespace that the operator runs in.
    #[arg(long, env = "POD_NAMESPACE", default_value = "llm-operator-system")]
    pub(in crate::cli) namespace: String,
    /// The name of this pod.
    #[arg(long, env = "POD_NAME", default_value = "llm-operator")]
    pub(super) pod_name: String,
    /// The Service of the webhooks, which their certificate is for.
    #[arg(long, env = "SERVICE_NAME", default_value = "llm-operator-webhook")]
    pub(in crate::cli) service_name: String,
    /// The Secret of the certificate authority of the webhooks.
    #[arg(long, env = "CA_SECRET", default_value = "llm-operator-webhook-ca")]
    pub(in crate::cli) ca_secret: String,
    /// A Secret with the certificate of the webhooks, which somebody else keeps: tls.crt, tls.key and ca.crt. Default: the
    /// operator keeps an authority of its own in --ca-secret.
    #[arg(long, env = "CERTIFICATE_SECRET")]
    pub(in crate::cli) certificate_secret: Option<String>,
    /// Whether the webhook configurations are told to trust the ca.crt of --certificate-secret; not where they get it from
    /// elsewhere.
    #[arg(long, env = "INJECT_CA", default_value_t = true, action = clap::ArgAction::Set)]
    pub(in crate::cli) inject_ca: bool,
    /// The Lease by which one replica is chosen.
    #[arg(long, env = "LEASE", default_value = "llm-operator-leader")]
    pub(in crate::cli) lease: String,
    /// The MutatingWebhookConfiguration whose caBundle is kept up.
    #[arg(
        long,
        env = "MUTATING_WEBHOOK",
        default_value = "llm-operator-system-llm-operator-mutating"
    )]
    pub(in crate::cli) mutating_webhook: String,
    /// The ValidatingWebhookConfiguration whose caBundle is kept up.
    #[arg(
        long,
        env = "VALIDATING_WEBHOOK",
        default_value = "llm-operator-system-llm-operator-validating"
    )]
    pub(in crate::cli) validating_webhook: String,
    /// Where the webhooks are served.
    #[arg(long, env = "WEBHOOK_ADDRESS", default_value = "0.0.0.0:10250")]
    pub(super) webhook_address: SocketAddr,
    /// The Ollama of OllamaModels that name no target, such as http://ollama:11434; bind addresses are read, too. Default:
    /// models.apiUrl of the settings file, which is http://localhost:11434 where it is not given.
    #[arg(long, env = "OLLAMA_API_URL")]
    pub(super) ollama_api_url: Option<String>,
    /// A URL that spec.target.url of an OllamaModel may be, besides those of the settings file: http://host[:port], or
    /// http://*.domain[:port]. May be given several times.
    #[arg(long = "ollama-allowed-url", env = "OLLAMA_ALLOWED_URLS", value_delimiter = ',')]
    pub(super) ollama_allowed_urls: Vec<String>,
    /// Where probes are answered.
    #[arg(long, env = "HEALTH_ADDRESS", default_value = "0.0.0.0:8081")]
    pub(super) health_address: SocketAddr,
    /// Where metrics are served.
    #[arg(long, env = "METRICS_ADDRESS", default_value = "0.0.0.0:8080")]
    pub(super) metrics_address: SocketAddr,
    /// A namespace to watch; may be given several times. Default: all.
    #[arg(long = "watch-namespace", env = "WATCH_NAMESPACES", value_delimiter = ',')]
    pub(in crate::cli) watch_namespaces: Vec<String>,
    /// What is logged: a level, or directives such as `info,kube=debug`.
    #[arg(long, env = "LOG_LEVEL", default_value = "info")]
    pub(super) log_level: String,
    /// How it is logged.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t = Format::Text)]
    pub(super) log_format: Format,
    /// The settings file.
    #[arg(long, env = "CONFIG")]
    pub(super) config: Option<PathBuf>,
    /// Seconds after which an unchanged object is looked at again.
    #[arg(long, env = "RESYNC_SECONDS", default_value_t = 600)]
    pub(super) resync_seconds: u64,
    /// How wrong this machine's clock is.
    #[cfg(feature = "test-clock")]
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    pub(super) test_clock_shift: i64,
    /// How long an authority lives; every other time of certificates is as much shorter.
    #[cfg(feature = "test-clock")]
    #[arg(long)]
    pub(super) test_authority_seconds: Option<i64>,
}

/// Forms of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// A line for people.
    Text,
    /// A JSON object a line.
    Json,
}

impl Args {
    /// The arguments as a container has them. What this version does not know is passed over: it may be another's.
    ///
    /// # Errors
    /// When a value that is known cannot be read.
    pub(in crate::cli) fn read(arguments: &[String]) -> Result<Self, clap::Error> {
        let command = Self::augment_args(clap::Command::new("run")).no_binary_name(true);
        Self::from_arg_matches(&command.ignore_errors(true).try_get_matches_from(arguments)?)
    }

    /// Lays what the command line says of models over the settings file.
    pub(super) fn models(&self, settings: &mut Settings) -> anyhow::Result<()> {
        let models = &mut settings.models;
        if let Some(url) = &self.ollama_api_url {
            models.api_url.clone_from(url);
        }
        models.allowed_urls.extend(self.ollama_allowed_urls.iter().cloned());
        let url = &models.api_url;
        ServerUrl::lenient(url).map_err(|why| anyhow::anyhow!("the URL of Ollama, {url:?}: {why}"))?;
        Ok(())
    }

    /// What the keeper of the certificate needs to know.
    pub(super) fn certificates(&self, clock: Clock) -> pki::Config {
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
            terms: self.terms(),
            clock,
            source: match self.certificate_secret {
                Some(_) => pki::Source::Given { inject: self.inject_ca },
                None => pki::Source::Own,
            },
        }
    }

    /// The clock, which may be wrong in tests.
    #[cfg(not(feature = "test-clock"))]
    #[allow(clippy::unused_self)] // in the other build it has something to say
    pub(super) fn clock(&self, clock: Clock) -> Clock {
        clock
    }

    #[cfg(not(feature = "test-clock"))]
    #[allow(clippy::unused_self)] // in the other build it has something to say
    fn terms(&self) -> pki::book::Terms {
        pki::book::Terms::default()
    }

    #[cfg(feature = "test-clock")]
    pub(super) fn clock(&self, clock: Clock) -> Clock {
        clock.shifted(jiff::SignedDuration::from_secs(self.test_clock_shift))
    }

    #[cfg(feature = "test-clock")]
    fn terms(&self) -> pki::book::Terms {
        let short = |seconds| pki::book::Terms::short(jiff::SignedDuration::from_secs(seconds));
        self.test_authority_seconds.map(short).unwrap_or_default()
    }

    /// The Lease.
    pub(super) fn lease(&self) -> lease::Config {
        lease::Config {
            namespace: self.namespace.clone(),
            name: self.lease.clone(),
            pod: self.pod_name.clone(),
            terms: Terms::default(),
        }
    }
}
