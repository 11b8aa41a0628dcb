//! The Lease: of all replicas, one writes. Every write is a compare-and-swap by resourceVersion.

mod object;
pub mod standing;

use crate::lease::object::{blank, claimed, record, released};
use crate::lease::standing::{Standing, Step, Terms};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Client;
use kube::api::{Api, PostParams};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Which Lease, and in whose name.
#[derive(Clone, Debug)]
pub struct Config {
    /// The namespace of the Lease: the operator's own.
    pub namespace: String,
    /// The name of the Lease.
    pub name: String,
    /// The pod's name; what makes it unique to this process is added.
    pub pod: String,
    /// How long a claim lasts.
    pub terms: Terms,
}

/// Why this process may not write any more. The process must end: work in flight cannot be called back otherwise.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// Someone else wrote their name over ours, which only happens when we were thought dead.
    #[error("the lease {lease} was taken by {holder}")]
    Taken {
        /// Namespace and name.
        lease: String,
        /// The new holder.
        holder: String,
    },
    /// The API server could not be reached, or refused, until the deadline.
    #[error("the lease {lease} could not be renewed for {deadline:?}; the last attempt: {last}")]
    Expired {
        /// Namespace and name.
        lease: String,
        /// [`Terms::deadline`].
        deadline: Duration,
        /// What the last attempt ended with.
        last: String,
    },
    /// The task that renews ended by itself, which is a mistake in the program.
    #[error("the task that renews the lease ended: {0}")]
    Ended(String),
}

/// A claim to the Lease, kept up by a task of its own so that no work can delay a renewal.
#[derive(Debug)]
pub struct Claim {
    leading: watch::Receiver<bool>,
    release: CancellationToken,
    task: JoinHandle<Result<(), Lost>>,
}

/// Starts to claim the Lease.
#[must_use]
pub fn claim(client: Client, config: &Config) -> Claim {
    let (sender, leading) = watch::channel(false);
    let release = CancellationToken::new();
    let me = format!("{}_{:016x}", config.pod, rand::random::<u64>());
    let holder = Holder {
        api: Api::namespaced(client, &config.namespace),
        name: config.name.clone(),
        lease: format!("{}/{}", config.namespace, config.name),
        standing: Standing::new(me.clone(), config.terms),
        me,
        terms: config.terms,
        clock: Instant::now(),
        held: None,
        last: "none was made".into(),
        leading: sender,
    };
    let task = tokio::spawn(holder.run(release.clone()));
    Claim { leading, release, task }
}

impl Claim {
    /// Whether this process leads, to be watched.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.leading.clone()
    }

    /// Ends when this process leads.
    ///
    /// # Errors
    /// When the claim ended before it ever did.
    pub async fn led(&mut self) -> Result<(), Lost> {
        let led = self.leading.wait_for(|leading| *leading).await.is_ok();
        if led { Ok(()) } else { Err(self.lost().await) }
    }

    /// Ends when the Lease is lost; never before, and not while another replica holds it.
    pub async fn lost(&mut self) -> Lost {
        match (&mut self.task).await {
            Ok(Err(lost)) => lost,
            Ok(Ok(())) => Lost::Ended("it was released".into()),
            Err(error) => Lost::Ended(error.to_string()),
        }
    }

    /// Gives the Lease back, so that another replica need not wait for it to expire. To be called when nothing
    /// writes any more. What cannot be given back expires.
    pub async fn release(self) {
        self.release.cancel();
        match self.task.await {
            Ok(Ok(())) => {}
            Ok(Err(lost)) => tracing::warn!(%lost, "nothing to give back"),
            Err(error) => tracing::error!(%error, "the task that renews the lease ended"),
        }
    }
}

/// The task behind a [`Claim`].
struct Holder {
    api: Api<Lease>,
    name: String,
    lease: String,
    me: String,
    terms: Terms,
    clock: Instant,
    standing: Standing,
    /// The Lease as our last write left it: a renewal needs no read.
    held: Option<Lease>,
    last: String,
    leading: watch::Sender<bool>,
}

impl Holder {
    async fn run(mut self, release: CancellationToken) -> Result<(), Lost> {
        loop {
            let limit = self.in_time(self.terms.deadline / 2);
            match timeout(limit, self.look()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => self.failed(error.to_string()),
                Err(_) => self.failed(format!("no answer within {limit:?}")),
            }
            self.verdict()?;
            tokio::select! {
                () = sleep(self.in_time(jittered(self.terms.retry))) => {}
                () = release.cancelled() => {
                    self.give_back().await;
                    return Ok(());
                }
            }
            // A process that was stopped for long must not renew as if nothing had been.
            self.verdict()?;
        }
    }

    /// The time, or what is left of it until we lead no more: an answer that hangs must not hide that.
    fn in_time(&self, time: Duration) -> Duration {
        self.standing
            .leads_until()
            .map_or(time, |until| time.min(until.saturating_sub(self.clock.elapsed())))
    }

    fn failed(&mut self, error: String) {
        tracing::warn!(lease = self.lease, error, "cannot look after the lease");
        self.held = None;
        self.last = error;
    }

    /// Publishes whether we lead; an error once we did and do no more.
    fn verdict(&mut self) -> Result<(), Lost> {
        let leads = self
            .standing
            .leads_until()
            .is_some_and(|until| self.clock.elapsed() < until);
        let led = self.leading.send_replace(leads);
        if leads && !led {
            tracing::info!(lease = self.lease, identity = self.me, "leading");
        }
        if leads || !led {
            return Ok(());
        }
        let lease = self.lease.clone();
        Err(match self.standing.leads_until() {
            Some(_) => Lost::Expired {
                lease,
                deadline: self.terms.deadline,
                last: self.last.clone(),
            },
            None => Lost::Taken {
                lease,
                holder: self.last.clone(),
            },
        })
    }

    /// One renewal, or one look at who holds the Lease and what follows from it.
    async fn look(&mut self) -> kube::Result<()> {
        if let Some(held) = self.held.take() {
            return self.write(Some(held)).await;
        }
        let lease = self.api.get_opt(&self.name).await?;
        let record = lease.as_ref().map(record);
        match self.standing.decide(record.as_ref(), self.clock.elapsed()) {
            Step::Create | Step::Take | Step::Renew => self.write(lease).await,
            Step::Wait => {
                self.last = record.map(|r| r.holder).unwrap_or_default();
                Ok(())
            }
        }
    }

    /// Writes our name, provided that the Lease is still as it was read. A conflict is not an error: the next look
    /// tells who was faster.
    async fn write(&mut self, lease: Option<Lease>) -> kube::Result<()> {
        let sent = self.clock.elapsed();
        let params = PostParams::default();
        let written = match lease {
            Some(lease) => {
                self.api
                    .replace(&self.name, &params, &claimed(lease, &self.me, self.terms))
                    .await
            }
            None => {
                self.api
                    .create(&params, &claimed(blank(&self.name), &self.me, self.terms))
                    .await
            }
        };
        match written {
            Ok(lease) => {
                self.standing.confirm(sent);
                self.held = Some(lease);
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn give_back(&mut self) {
        let Some(lease) = self.held.take().map(released) else {
            return;
        };
        let params = PostParams::default();
        match timeout(self.terms.retry, self.api.replace(&self.name, &params, &lease)).await {
            Ok(Ok(_)) => tracing::info!(lease = self.lease, "lease given back"),
            Ok(Err(error)) => tracing::warn!(lease = self.lease, %error, "lease left to expire"),
            Err(_) => tracing::warn!(lease = self.lease, "lease left to expire: no answer"),
        }
    }
}

/// Up to a fifth longer, so that replicas that started together do not go on asking together.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(1.0 + rand::random::<f64>() / 5.0)
}
