//! Keeps the certificate and the trust in it alive: looks, decides by the plan, does one thing, looks again.
//! Every replica does this; none needs the lease.

use crate::clock::Clock;
use crate::health::Gate;
use crate::pki::book::{Book, Certificate, Terms};
use crate::pki::cluster::{Cluster, Names, Seen};
use crate::pki::guests::Guests;
use crate::pki::leaves::Leaves;
use crate::pki::metrics::Metrics;
use crate::pki::plan::{self, Action, Sighting, Stored, View};
use crate::pki::readiness::Readiness;
use crate::pki::report::Reporter;
use crate::pki::serving::Serving;
use crate::pki::vigil::{self, Changes, Look};
use crate::pki::{secret, x509};
use jiff::Timestamp;
use kube::Client;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Steps in one go: at the first start there are two, an authority and its injection.
const STEPS: usize = 5;
/// What the keeper is to keep.
#[derive(Clone, Debug)]
pub struct Config {
    /// The objects.
    pub names: Names,
    /// Where our own webhook port is, for calling ourselves.
    pub dial: SocketAddr,
    /// This replica, as events name it.
    pub pod: String,
    /// Lifetimes.
    pub terms: Terms,
    /// What they are measured by.
    pub clock: Clock,
    /// Who keeps the certificate.
    pub source: Source,
}

/// Who keeps the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The operator: the Secret holds an authority of its own.
    Own,
    /// Somebody else, in a Secret with `tls.crt`, `tls.key` and `ca.crt`.
    Given {
        /// The webhook configurations are told to trust `ca.crt`; otherwise somebody else tells them.
        inject: bool,
    },
}

impl Config {
    /// True when the configurations get their trust from here.
    pub(super) fn injects(&self) -> bool {
        self.source != Source::Given { inject: false }
    }
}

/// Why a look came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The API server.
    #[error("{0}")]
    Kube(#[from] kube::Error),
    /// Certificates.
    #[error("{0}")]
    Unmade(#[from] x509::Unmade),
}

/// Looks after an authority of our own.
pub(super) struct Keeper {
    config: Config,
    cluster: Cluster,
    leaves: Leaves,
    serving: Arc<Serving>,
    readiness: Readiness,
    metrics: Metrics,
    reporter: Reporter,
    memory: Option<Book>,
    seen: Option<Sighting>,
    emergency: Option<Timestamp>,
    guests: Guests,
    /// Of them, those that may stay for now.
    welcome: Vec<Certificate>,
    changes: Changes,
    failures: u32,
}

impl Keeper {
    pub(super) fn new(config: Config, client: Client, serving: Arc<Serving>, gate: Gate, metrics: Metrics) -> Self {
        Self {
            cluster: Cluster::new(client.clone(), config.names.clone()),
            reporter: Reporter::new(client, &config.names, &config.pod, metrics.clone()),
            config,
            leaves: Leaves::new(Arc::clone(&serving)),
            serving,
            readiness: Readiness::new(gate),
            metrics,
            memory: None,
            seen: None,
            emergency: None,
            guests: Guests::default(),
            welcome: vec![],
            changes: Changes::default(),
            failures: 0,
        }
    }

    /// Does what there is to do, one step after the other, each decided from a fresh read: what the watches told may
    /// be old. Returns the last read, if there was any.
    async fn mend(&mut self, heard: &Seen) -> Result<Option<Seen>, Trouble> {
        let stored = self.read(heard);
        let action = self.decide(&stored, heard);
        if rests(action) {
            return Ok(None);
        }
        if action.is_leisurely() {
            sleep(self.config.terms.leisure.mul_f64(rand::random_range(0.0..=1.0))).await;
        }
        let mut seen = self.cluster.read().await?;
        for _ in 0..STEPS {
            let stored = self.read(&seen);
            let action = self.decide(&stored, &seen);
            if rests(action) || !self.changes.may_change() {
                break;
            }
            self.carry_out(action, &stored, &seen).await?;
            seen = self.cluster.read().await?;
        }
        Ok(Some(seen))
    }

    /// Signs a new serving certificate when it is time, whatever else failed: one that has ended is good for nobody.
    fn renew(&mut self, stored: &Stored) {
        let Config {
            names, terms, clock, ..
        } = &self.config;
        let renewed = stored
            .book()
            .map(|book| self.leaves.renew(book, clock.now(), &names.service, terms));
        if let Some(Err(error)) = renewed {
            self.failed(&format!("cannot make a serving certificate: {error}"));
        }
    }

    fn is_due(&self, stored: &Stored, seen: &Seen) -> bool {
        let Config { terms, clock, .. } = &self.config;
        let due = |book| self.leaves.are_due(book, &seen.live(), clock.now(), terms);
        stored.book().is_some_and(due)
    }

    /// The Secret as it was seen, remembered if it is good.
    fn read(&mut self, seen: &Seen) -> Stored {
        let stored = secret::read(seen.secret.as_ref(), &self.config.names.service, &self.config.terms);
        let before = self.seen.take();
        if let Some(book) = stored.book() {
            let (live, now) = (seen.live(), self.config.clock.now());
            self.seen = plan::sighted(before, book, &live, now);
            self.welcome = self.guests.meet(&book.trusted, &live, now);
            self.memory = Some(book.clone());
        }
        stored
    }

    fn decide(&self, stored: &Stored, seen: &Seen) -> Action {
        plan::plan(&self.view(stored, &seen.live()), &self.config.terms)
    }

    fn view<'a>(&'a self, stored: &'a Stored, live: &'a [Vec<Certificate>]) -> View<'a> {
        let (memory, seen, emergency) = (self.memory.as_ref(), self.seen.as_ref(), self.emergency);
        View {
            stored,
            live,
            guests: &self.welcome,
            memory,
            seen,
            emergency,
            now: self.config.clock.now(),
        }
    }

    /// One step. That someone else was faster is no error: the next read shows what they did.
    async fn carry_out(&mut self, action: Action, stored: &Stored, seen: &Seen) -> Result<(), Trouble> {
        if action == Action::Inject {
            return self.inject(stored, seen).await;
        }
        let Config { names, terms, .. } = &self.config;
        let live = seen.live();
        let view = self.view(stored, &live);
        let new = |generation| x509::authority(&names.service, generation, view.now, terms);
        let Some(book) = plan::carried_out(action, &view, terms, new)? else {
            return Ok(());
        };
        if self.cluster.write(seen.secret.clone(), &book).await? {
            if action == Action::Open {
                self.emergency = Some(self.config.clock.now());
            }
            self.reporter.wrote(action, stored, &book).await;
        }
        Ok(())
    }

    async fn inject(&self, stored: &Stored, seen: &Seen) -> Result<(), Trouble> {
        let Some(book) = stored.book() else { return Ok(()) };
        for configuration in seen
            .configurations()
            .filter(|c| !c.trusts(&book.trusted, &self.welcome))
        {
            if self.cluster.inject(configuration, &book.trusted, &self.welcome).await? {
                self.reporter.injected(configuration, &book.trusted).await;
            }
        }
        Ok(())
    }
}

impl Look for Keeper {
    fn pause(&self) -> Duration {
        let pause = vigil::pause(self.readiness.is_proven(), self.failures, self.config.terms.tick);
        self.changes.pause(pause)
    }

    fn failed(&mut self, error: &str) {
        self.failures += 1;
        self.metrics.errors.inc();
        tracing::warn!(error, failures = self.failures, "cannot look after the certificates");
        self.readiness.failed(error);
    }

    async fn look(&mut self, heard: Seen) {
        let fresh = self.mend(&heard).await;
        match &fresh {
            Ok(_) => self.failures = 0,
            Err(error) => self.failed(&error.to_string()),
        }
        let fresh = fresh.ok().flatten();
        let is_old = fresh.is_none();
        let mut seen = fresh.unwrap_or(heard);
        let mut stored = self.read(&seen);
        if is_old && self.is_due(&stored, &seen) {
            // A clock that was compared a moment ago signs better; without an answer this one has to do.
            match self.cluster.read().await {
                Ok(now) => {
                    seen = now;
                    stored = self.read(&seen);
                }
                Err(error) => self.failed(&error.to_string()),
            }
        }
        if self.is_due(&stored, &seen) {
            self.renew(&stored);
        }
        self.metrics
            .measure(stored.book(), self.leaves.current(), &seen, &self.welcome);
        // Before the first proof, what failed is the best reason that can be given.
        if self.failures == 0 || self.readiness.is_proven() {
            let secret = &self.config.names.secret;
            let absent = || format!("the Secret {secret} holds no authority that can be used");
            let end = self.leaves.current().map(|leaf| leaf.not_after).ok_or_else(absent);
            self.readiness.judge(&self.config, &self.serving, end, &seen).await;
        }
    }
}

fn rests(action: Action) -> bool {
    matches!(action, Action::Rest | Action::Hold)
}
