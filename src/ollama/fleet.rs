//! All servers of the cluster: what each holds, and the bounded pulls that run on them, outside reconcile.

mod server;

use super::client::Ollama;
use crate::base::model::ModelName;
use crate::base::seen::Failure;
use crate::base::settings::Models;
use crate::component::ollama::PORT;
use crate::kind::ollamamodel::plan::{Pull, Server};
use rand::Rng;
use server::{Job, Known};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

/// A server is asked again after this long, give or take a fifth.
const VERIFY: Duration = Duration::from_secs(600);
/// Progress is told at most this often.
const TELL: Duration = Duration::from_secs(5);
/// Waits after failures: the first, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));
/// A server that does not answer is asked again after at most this long.
const PATIENCE: Duration = Duration::from_secs(30);

/// A stack whose servers have news: namespace and name.
pub type Stack = (String, String);

/// A server as the cluster shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The uid of its pod.
    pub uid: String,
    /// The name of its pod.
    pub pod: String,
    /// The address of its pod, once it has one.
    pub ip: Option<IpAddr>,
    /// Changes with each start of the container: then the server is asked again.
    pub start: i64,
}

/// What is known of all servers.
pub struct Fleet {
    http: reqwest::Client,
    bounds: Models,
    all: Arc<Semaphore>,
    servers: Mutex<HashMap<String, Known>>,
    news: mpsc::UnboundedSender<Stack>,
}

impl Fleet {
    /// A fleet without servers; news of stacks are sent to `news`.
    #[must_use]
    pub fn new(http: reqwest::Client, bounds: Models, news: mpsc::UnboundedSender<Stack>) -> Arc<Self> {
        let all = Arc::new(Semaphore::new(bounds.pulls.max(1)));
        Arc::new(Self {
            http,
            bounds,
            all,
            servers: Mutex::default(),
            news,
        })
    }

    /// The servers of a stack as far as this model is concerned. Asks those that were not asked for a while, and
    /// forgets those that are gone; a pull on them ends with them.
    pub fn servers(self: &Arc<Self>, stack: &Stack, pods: &[Address], model: &ModelName) -> Vec<Server> {
        let mut known = self.lock();
        known.retain(|uid, k| k.stack != *stack || pods.iter().any(|p| p.uid == *uid));
        pods.iter()
            .map(|pod| {
                let server = known
                    .entry(pod.uid.clone())
                    .or_insert_with(|| Known::new(stack, pod, &self.bounds));
                if server.address != *pod {
                    server.address = pod.clone();
                    server.next = Some(Instant::now());
                }
                if server.address.ip.is_some() && server.next.is_some_and(|next| next <= Instant::now()) {
                    server.next = None;
                    tokio::spawn(Arc::clone(self).ask(pod.uid.clone()));
                }
                server.view(model)
            })
            .collect()
    }

    /// Starts a pull, unless it runs or its time has not come. A wish that is new (another object, or a changed one) need
    /// not wait for what came of older ones.
    pub fn pull(self: &Arc<Self>, uid: &str, model: &ModelName, insecure: bool, wish: &str) {
        let mut known = self.lock();
        let Some(server) = known.get_mut(uid) else { return };
        let Some(ip) = server.address.ip else { return };
        let job = server.pulls.entry(model.key()).or_insert_with(Job::new);
        let anew = job.wishes.insert(wish.to_string());
        if job.task.is_some() || (job.next > Instant::now() && !anew) {
            return;
        }
        let task = Arc::clone(self).run(uid.to_string(), model.clone(), insecure, ip, Arc::clone(&server.slots));
        job.task = Some(tokio::spawn(task).abort_handle());
    }

    /// Forgets a stack; its pulls end.
    pub fn forget(&self, stack: &Stack) {
        self.lock().retain(|_, k| k.stack != *stack);
    }

    async fn run(self: Arc<Self>, uid: String, model: ModelName, insecure: bool, ip: IpAddr, slots: Arc<Semaphore>) {
        // Neither semaphore is ever closed, so waiting for a turn cannot fail.
        let (_slot, _turn) = (slots.acquire_owned().await, Arc::clone(&self.all).acquire_owned().await);
        self.change(&uid, &model, |job| job.state = Pull::Running(0, 0));
        let mut told = Instant::now();
        let server = Ollama::new(self.http.clone(), ip, PORT);
        let result = server
            .pull(&model.short(), insecure, |done, all| {
                if let Some(server) = self.lock().get_mut(&uid)
                    && let Some(job) = server.pulls.get_mut(&model.key())
                {
                    job.state = Pull::Running(done, all);
                }
                if told.elapsed() >= TELL {
                    told = Instant::now();
                    self.tell(&uid);
                }
            })
            .await;
        if result.is_ok() {
            // What counts is what the server says it has.
            self.look(&uid, &server).await;
        }
        self.finish(&uid, &model, result);
    }

    fn finish(self: &Arc<Self>, uid: &str, model: &ModelName, result: Result<(), Failure>) {
        let mut wait = None;
        self.change(uid, model, |job| {
            job.task = None;
            job.ended = Some(Instant::now());
            match result {
                Ok(()) => (job.state, job.failures) = (Pull::Done, 0),
                Err(failure) => {
                    let pause = if failure.reason.is_users() { BACKOFF.1 } else { backoff(job.failures, BACKOFF) };
                    tracing::warn!(model = %model, reason = failure.reason.name(), message = failure.message, "pull failed");
                    job.failures += 1;
                    job.next = Instant::now() + pause;
                    job.state = Pull::Waiting(Some(failure));
                    wait = Some(pause);
                }
            }
        });
        if let Some(pause) = wait {
            self.tell_after(uid.to_string(), pause);
        }
    }

    async fn ask(self: Arc<Self>, uid: String) {
        let ip = self.lock().get(&uid).and_then(|k| k.address.ip);
        let Some(ip) = ip else { return };
        self.look(&uid, &Ollama::new(self.http.clone(), ip, PORT)).await;
        self.tell(&uid);
    }

    /// Asks a server for its models and notes when to ask again.
    async fn look(self: &Arc<Self>, uid: &str, server: &Ollama) {
        let answer = server.models().await;
        let mut pause = None;
        if let Some(known) = self.lock().get_mut(uid) {
            known.silences = if answer.is_ok() { 0 } else { known.silences + 1 };
            let wait = match &answer {
                Ok(_) => jittered(VERIFY),
                Err(_) => backoff(known.silences - 1, (Duration::from_secs(1), PATIENCE)),
            };
            known.next = Some(Instant::now() + wait);
            pause = Some(wait);
            known.take(answer);
        }
        if let Some(pause) = pause {
            self.tell_after(uid.to_string(), pause);
        }
    }

    fn change(&self, uid: &str, model: &ModelName, change: impl FnOnce(&mut Job)) {
        if let Some(job) = self.lock().get_mut(uid).and_then(|k| k.pulls.get_mut(&model.key())) {
            change(job);
        }
        self.tell(uid);
    }

    fn tell(&self, uid: &str) {
        if let Some(stack) = self.lock().get(uid).map(|k| k.stack.clone()) {
            // Nobody listens any more when the process ends.
            let _ = self.news.send(stack);
        }
    }

    fn tell_after(self: &Arc<Self>, uid: String, pause: Duration) {
        let fleet = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            if let Some(fleet) = fleet.upgrade() {
                fleet.tell(&uid);
            }
        });
    }

    /// The map is left whole by every holder, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn backoff(failures: u32, (first, longest): (Duration, Duration)) -> Duration {
    jittered(first.saturating_mul(1 << failures.min(10)).min(longest))
}

/// Give or take a fifth, so that many do not come at once.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.8..1.2))
}
