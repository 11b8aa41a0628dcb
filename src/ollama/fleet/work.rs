//! Bringing a model to a server: pulls, copies and derived models, one attempt after the other.

use super::server::{Compared, Job};
use super::{Fleet, TELL, backoff};
use crate::base::condition::Reason;
use crate::base::model::ModelName;
use crate::base::seen::Failure;
use crate::component::common::PullPolicy;
use crate::kind::ollamamodel::plan::{Pull, Wish};
use crate::ollama::client::Ollama;
use crate::ollama::words::Tally;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Waits after failures: the first, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));
/// A full disk is looked at again after at most this long: room is made beside the server.
const FULL: Duration = Duration::from_secs(60);
/// What is larger than others that wait for room lets them go first.
const LARGER: Duration = Duration::from_secs(120);

/// A model to bring.
#[derive(Clone, Debug)]
pub struct Order {
    wish: Wish,
    token: String,
    insecure: bool,
}

impl Order {
    pub(super) fn new(wish: &Wish, token: &str, insecure: bool) -> Self {
        Self {
            wish: wish.clone(),
            token: token.into(),
            insecure,
        }
    }

    fn key(&self) -> String {
        self.wish.name.key()
    }

    /// The base of a derived model is pulled again.
    fn is_again(&self) -> bool {
        self.wish.policy == PullPolicy::Always || self.refresh().is_some()
    }

    fn refresh(&self) -> Option<&str> {
        self.token.strip_prefix("refresh/")
    }
}

impl Fleet {
    /// Starts an attempt, unless one runs or its time has not come. A wish that is new need not wait for what came of
    /// older ones.
    pub(super) fn start(self: &Arc<Self>, id: &str, order: Order) {
        let mut state = self.lock();
        let shared = !state.neighbours(id).is_empty();
        let Some(known) = state.servers.get_mut(id) else { return };
        let Some(url) = known.address.url.clone() else { return };
        let turns = Arc::clone(&known.turns);
        let job = known.jobs.entry(order.key()).or_insert_with(|| Box::new(Job::new()));
        let anew = job.hear(&order.token);
        if job.task.is_some() || (job.next > Instant::now() && !anew) {
            return;
        }
        if job.state == Pull::Done {
            job.state = Pull::Waiting(None);
        }
        // On a volume that several servers share, one works at a time.
        let permits = if shared { self.bounds.pulls_per_pod.max(1) } else { 1 };
        let permits = u32::try_from(permits).unwrap_or(u32::MAX);
        let task = Arc::clone(self).attempt(id.to_string(), order, self.server(url), turns, permits);
        job.task = Some(tokio::spawn(task).abort_handle());
    }

    async fn attempt(self: Arc<Self>, id: String, order: Order, server: Ollama, turns: Arc<Semaphore>, permits: u32) {
        // Neither semaphore is ever closed, so waiting for a turn cannot fail.
        let _turn = turns.acquire_many_owned(permits).await;
        let _slot = Arc::clone(&self.all).acquire_owned().await;
        let (before, begun) = (self.digest(&id, &order.wish.name), Instant::now());
        self.change(&id, &order, |job| job.state = Pull::Running(0, 0));
        let result = self.bring(&id, &order, &server).await;
        if result.is_ok() {
            // What counts is what the server says it has.
            self.look(&id, &server).await;
        }
        let after = self.digest(&id, &order.wish.name);
        let result = result.and_then(|()| self.expected(&id, &order));
        let changed = result.is_ok() && before != after;
        let failure = result.as_ref().err().map(|failure| failure.reason);
        self.metrics.ended(&order.wish.name.short(), begun.elapsed(), failure);
        self.finish(&id, &order, result, changed);
        self.ask_neighbours(&id);
    }

    async fn bring(&self, id: &str, order: &Order, server: &Ollama) -> Result<(), Failure> {
        let name = order.wish.name.short();
        let Some(derived) = &order.wish.derived else {
            return self.pull(id, order, server, &order.wish.name).await;
        };
        if order.is_again() || self.digest(id, &derived.base).is_none() {
            self.pull(id, order, server, &derived.base).await?;
        }
        let base = derived.base.short();
        if derived.is_copy() {
            server.copy(&base, &name).await
        } else {
            server.create(&name, &base, &derived.fields).await
        }
    }

    async fn pull(&self, id: &str, order: &Order, server: &Ollama, model: &ModelName) -> Result<(), Failure> {
        let (mut told, key, name) = (Instant::now(), order.key(), model.short());
        let mut fetched = 0;
        let tell = |tally: &Tally| {
            let (done, all) = tally.bytes();
            self.metrics.fetched(&name, tally.fetched().saturating_sub(fetched));
            fetched = fetched.max(tally.fetched());
            if let Some(job) = self.lock().servers.get_mut(id).and_then(|k| k.jobs.get_mut(&key)) {
                job.state = Pull::Running(done, all);
                job.total = all;
            }
            if told.elapsed() >= TELL {
                told = Instant::now();
                self.tell(id, Some(&key));
            }
        };
        server.pull(&model.short(), order.insecure, tell).await
    }

    /// A digest that is not the expected one is a failure, however well it arrived; and so is a model that the server
    /// does not list.
    fn expected(&self, id: &str, order: &Order) -> Result<(), Failure> {
        let state = self.lock();
        let Some(known) = state.servers.get(id) else {
            return Ok(());
        };
        match known.held(&order.key()) {
            Some(held) => order.wish.mismatch(held).map_or(Ok(()), Err),
            None if known.has_told() => Err(Failure {
                reason: Reason::PullFailed,
                message: "Ollama says that the pull has succeeded, and does not list the model; it is tried again"
                    .into(),
            }),
            None => Ok(()),
        }
    }

    fn finish(self: &Arc<Self>, id: &str, order: &Order, result: Result<(), Failure>, changed: bool) {
        let key = order.key();
        if result.is_ok() {
            self.note_made(id, order);
        }
        let mut wait = None;
        let larger = self.is_larger(id, &key);
        self.change(id, order, |job| {
            job.task = None;
            job.ended = Some(Instant::now());
            job.changed |= changed;
            job.refreshed = order.refresh().map(str::to_string).or(job.refreshed.take());
            match result {
                Ok(()) => {
                    (job.state, job.failures) = (Pull::Done, 0);
                    tracing::info!(model = %order.wish.name, server = id, changed, "model brought");
                }
                Err(failure) => {
                    let pause = match failure.reason {
                        Reason::DiskFull if larger => LARGER,
                        reason => pause(reason, job.failures),
                    };
                    tracing::warn!(model = %order.wish.name, server = id, reason = failure.reason.name(), message = failure.message, "model not brought");
                    job.failures += 1;
                    job.next = Instant::now() + pause;
                    job.state = Pull::Waiting(Some(failure));
                    wait = Some(pause);
                }
            }
        });
        if let Some(pause) = wait {
            self.tell_after(id.to_string(), key, pause);
        }
    }

    /// True when a smaller model waits for room on the same server.
    fn is_larger(&self, id: &str, key: &str) -> bool {
        let state = self.lock();
        let Some(known) = state.servers.get(id) else {
            return false;
        };
        let own = known.jobs.get(key).map_or(0, |job| job.total);
        let waits = |job: &Job| matches!(&job.state, Pull::Waiting(Some(f)) if f.reason == Reason::DiskFull);
        known
            .jobs
            .iter()
            .any(|(other, job)| other != key && waits(job) && job.total < own)
    }

    /// A derived model that was just made is what its definition says.
    fn note_made(&self, id: &str, order: &Order) {
        let Some(derived) = &order.wish.derived else { return };
        if let Some(known) = self.lock().servers.get_mut(id) {
            let (held, base) = (known.held(&order.key()), known.held(&derived.base.key()));
            if let (Some(held), Some(base)) = (held, base) {
                let of = (derived.hash(), held.digest.clone(), base.digest.clone());
                known.compared.insert(order.key(), Compared { of, same: true });
            }
        }
    }

    /// Servers that share a volume have what was brought to one of them.
    fn ask_neighbours(self: &Arc<Self>, id: &str) {
        let neighbours = self.lock().neighbours(id);
        for neighbour in neighbours {
            self.ask_soon(&neighbour, Duration::ZERO);
        }
    }

    fn digest(&self, id: &str, model: &ModelName) -> Option<String> {
        let state = self.lock();
        state.servers.get(id)?.held(&model.key()).map(|h| h.digest.clone())
    }

    fn change(&self, id: &str, order: &Order, change: impl FnOnce(&mut Job)) {
        let key = order.key();
        if let Some(job) = self.lock().servers.get_mut(id).and_then(|k| k.jobs.get_mut(&key)) {
            change(job);
        }
        self.tell(id, Some(&key));
    }
}

/// What only a person can end is tried slowly.
fn pause(reason: Reason, failures: u32) -> Duration {
    match reason {
        Reason::DiskFull => backoff(failures, (BACKOFF.0, FULL)),
        reason if reason.is_users() => backoff(10, BACKOFF),
        _ => backoff(failures, BACKOFF),
    }
}
