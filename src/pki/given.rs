//! A certificate that somebody else keeps: read from their Secret, proved, served, and trusted by the webhook
//! configurations where that is ours to do. Their Secret is never written.

use crate::health::Gate;
use crate::pki::book::Certificate;
use crate::pki::cluster::{Cluster, Seen};
use crate::pki::guests::Guests;
use crate::pki::keeper::Config;
use crate::pki::metrics::Metrics;
use crate::pki::readiness::Readiness;
use crate::pki::report::Reporter;
use crate::pki::serving::Serving;
use crate::pki::vigil::{self, Changes, Look};
use crate::pki::{secret, x509};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use rustls::sign::CertifiedKey;
use std::sync::Arc;
use std::time::Duration;

/// What the Secret holds.
struct Pair {
    certified: Arc<CertifiedKey>,
    not_after: Timestamp,
    /// Who vouches for it, as `ca.crt` says; empty where the configurations get that from elsewhere.
    trusted: Vec<Certificate>,
}

/// Looks after it.
pub(super) struct Given {
    config: Config,
    cluster: Cluster,
    serving: Arc<Serving>,
    /// When what is served ends.
    end: Option<Timestamp>,
    readiness: Readiness,
    metrics: Metrics,
    reporter: Reporter,
    guests: Guests,
    changes: Changes,
    failures: u32,
    /// What was said last of a Secret that cannot be used.
    complaint: Option<String>,
}

impl Given {
    pub(super) fn new(config: Config, client: Client, serving: Arc<Serving>, gate: Gate, metrics: Metrics) -> Self {
        Self {
            cluster: Cluster::new(client.clone(), config.names.clone()),
            reporter: Reporter::new(client, &config.names, &config.pod, metrics.clone()),
            config,
            serving,
            end: None,
            readiness: Readiness::new(gate),
            metrics,
            guests: Guests::default(),
            changes: Changes::default(),
            failures: 0,
            complaint: None,
        }
    }

    fn read(&self, secret: Option<&Secret>) -> Result<Pair, String> {
        let secret = secret.ok_or("it does not exist")?;
        let field = |key| secret::field(secret, key);
        let (certified, not_after) = x509::read_pair(field("tls.crt"), field("tls.key"))?;
        let trusted = if self.config.injects() {
            x509::read_bundle(field("ca.crt"))
        } else {
            vec![]
        };
        if self.config.injects() && trusted.is_empty() {
            return Err("it has no ca.crt with the certificate of the authority".into());
        }
        Ok(Pair {
            certified,
            not_after,
            trusted,
        })
    }

    /// Trust comes first, and the new certificate when the API server has it.
    async fn take(&mut self, pair: &Pair, seen: &Seen) -> Result<(), String> {
        if self.inject(pair, seen).await? && self.is_serving() {
            return Ok(());
        }
        let service = &self.config.names.service;
        let now = self.config.clock.now();
        let live = seen.live();
        let bundles = live.iter().chain((!pair.trusted.is_empty()).then_some(&pair.trusted));
        let verdict = bundles
            .map(|trusted| x509::verify(&pair.certified, service, trusted, now))
            .collect::<Result<Vec<()>, String>>();
        let served = self.serving.current();
        if served.is_some_and(|served| served.cert == pair.certified.cert) {
            return verdict.map(drop);
        }
        if verdict.is_ok() || !self.is_serving() {
            self.serving.swap(Arc::clone(&pair.certified));
            self.end = Some(pair.not_after);
            self.reporter.taken(pair.not_after).await;
        }
        verdict.map(drop)
    }

    fn is_serving(&self) -> bool {
        self.end.is_some_and(|end| end > self.config.clock.now())
    }

    /// True when a bundle was changed: the API server knows it a moment later.
    async fn inject(&mut self, pair: &Pair, seen: &Seen) -> Result<bool, String> {
        let mut changed = false;
        if !self.config.injects() {
            return Ok(false);
        }
        let guests = self.guests.meet(&pair.trusted, &seen.live(), self.config.clock.now());
        for configuration in seen.configurations().filter(|c| !c.trusts(&pair.trusted, &guests)) {
            if !self.changes.may_change() {
                break;
            }
            let written = self.cluster.inject(configuration, &pair.trusted, &guests).await;
            if written.map_err(|e| e.to_string())? {
                self.reporter.injected(configuration, &pair.trusted).await;
                changed = true;
            }
        }
        Ok(changed)
    }

    /// Said once, until something else is wrong.
    async fn complain(&mut self, why: String) {
        self.failed(&why);
        if self.complaint.as_ref() != Some(&why) {
            self.reporter.unusable(&why, self.is_serving()).await;
            self.complaint = Some(why);
        }
    }
}

impl Look for Given {
    fn pause(&self) -> Duration {
        let pause = vigil::pause(self.readiness.is_proven(), self.failures, self.config.terms.tick);
        self.changes.pause(pause)
    }

    fn failed(&mut self, error: &str) {
        self.failures += 1;
        self.metrics.errors.inc();
        self.readiness.failed(error);
    }

    async fn look(&mut self, heard: Seen) {
        let name = self.config.names.secret.clone();
        let outcome = match self.read(heard.secret.as_ref()) {
            Ok(pair) => self.take(&pair, &heard).await.map(|()| pair),
            Err(why) => Err(why),
        };
        let in_sync = outcome.is_ok();
        match outcome {
            Ok(_) => (self.failures, self.complaint) = (0, None),
            Err(why) => self.complain(format!("Secret {name} cannot be used: {why}")).await,
        }
        self.metrics.given(self.end, in_sync);
        if in_sync || self.readiness.is_proven() {
            let end = self
                .end
                .ok_or_else(|| format!("the Secret {name} holds no certificate"));
            self.readiness.judge(&self.config, &self.serving, end, &heard).await;
        }
    }
}
