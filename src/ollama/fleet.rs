//! All servers of the cluster: what each holds, and the bounded work that runs on them, outside reconcile.

mod errands;
mod server;
mod state;
mod work;

use super::client::Ollama;
use super::metrics::Metrics;
use crate::base::model::ModelName;
use crate::base::settings::Models;
use crate::kind::ollamamodel::plan::{Action, Parting, Server, Wish};
use crate::kind::ollamamodel::target::Place;
use rand::Rng;
use state::State;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
pub use work::Order;

/// Progress is told at most this often.
const TELL: Duration = Duration::from_secs(5);
/// A server that does not answer is asked again after at most this long.
const PATIENCE: Duration = Duration::from_secs(30);
/// A server that took that many questions in a row and answered none hangs.
const HANGS: u32 = 3;

/// Servers have news for the models at a place: for one of them, or for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Where the servers are.
    pub place: Place,
    /// The key of the model; none for all.
    pub model: Option<String>,
}

/// A server as the cluster shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// What it is known by: the uid of its pod, or its address.
    pub id: String,
    /// The name of its pod, or its host.
    pub pod: String,
    /// What it writes to: servers with the same are worked on one at a time.
    pub volume: String,
    /// Where it is asked, once it has an address.
    pub url: Option<String>,
    /// Changes with each start of the container: then the server is asked again.
    pub start: i64,
    /// Its start-up gate has opened: from now on the kubelet judges it.
    pub started: bool,
}

/// What is known of all servers.
pub struct Fleet {
    http: reqwest::Client,
    bounds: Models,
    all: Arc<Semaphore>,
    state: Mutex<State>,
    news: mpsc::UnboundedSender<News>,
    metrics: Metrics,
}

impl Fleet {
    /// A fleet without servers; news are sent to `news`.
    #[must_use]
    pub fn new(
        http: reqwest::Client,
        bounds: Models,
        news: mpsc::UnboundedSender<News>,
        metrics: Metrics,
    ) -> Arc<Self> {
        let all = Arc::new(Semaphore::new(bounds.pulls.max(1)));
        Arc::new(Self {
            http,
            bounds,
            all,
            state: Mutex::default(),
            news,
            metrics,
        })
    }

    /// The servers at a place, as far as this model is concerned. Asks those that were not asked for a while, and
    /// forgets those that are gone; work on them ends with them.
    pub fn servers(self: &Arc<Self>, place: &Place, addresses: &[Address], wish: &Wish) -> Vec<Server> {
        self.meet(place, addresses);
        let state = self.lock();
        let known = addresses.iter().filter_map(|a| state.servers.get(&a.id));
        known.map(|server| server.view(wish)).collect()
    }

    /// Takes up the servers at a place.
    pub fn meet(self: &Arc<Self>, place: &Place, addresses: &[Address]) {
        let mut state = self.lock();
        if state.settle(place, addresses, self.bounds.pulls_per_pod.max(1)) {
            self.announce(place.clone(), None);
        }
        for address in addresses {
            let Some(known) = state.servers.get_mut(&address.id) else {
                continue;
            };
            if known.is_due() {
                known.next = None;
                tokio::spawn(Arc::clone(self).ask(address.id.clone()));
            }
        }
    }

    /// Does what a plan asks for, unless it is being done or its time has not come.
    pub fn act(self: &Arc<Self>, action: &Action, wish: &Wish, insecure: bool) {
        let (Action::Pull(id, token) | Action::Create(id, token) | Action::Copy(id, token)) = action else {
            return self.errand(action, wish);
        };
        self.start(id, Order::new(wish, token, insecure));
    }

    /// Ends what a removal asks to end.
    pub fn part(self: &Arc<Self>, parting: &Parting, model: &ModelName) {
        match parting {
            Parting::Cancel(id) => self.cancel(id, model),
            Parting::Delete(id) => self.delete(id, model),
        }
    }

    /// Forgets every place but these, with the work there; the places that were forgotten.
    pub fn keep(&self, is_kept: impl Fn(&Place) -> bool) -> Vec<Place> {
        self.lock().keep(is_kept)
    }

    /// Keys of the models on the servers at a place; `None` without servers.
    #[must_use]
    pub fn inventory(&self, place: &Place) -> Option<HashSet<String>> {
        let state = self.lock();
        let mut servers = state.at(place).peekable();
        servers.peek()?;
        Some(servers.flat_map(|known| known.names().cloned()).collect())
    }

    /// A pod at a place whose server hangs before its gate has opened; ids are never those of other pods.
    #[must_use]
    pub fn hung(&self, place: &Place) -> Option<Address> {
        let state = self.lock();
        let mut hung = state.at(place).filter(|k| !k.address.started && k.hangs >= HANGS);
        hung.next().map(|known| known.address.clone())
    }

    /// True when some other server answers now: what is silent is then the server, and not the network.
    pub async fn reaches_others(&self, id: &str) -> bool {
        let others: Vec<String> = {
            let state = self.lock();
            let others = state
                .servers
                .iter()
                .filter(|(other, known)| *other != id && known.hangs == 0);
            others
                .filter_map(|(_, known)| known.address.url.clone())
                .take(3)
                .collect()
        };
        for url in others {
            if self.server(url).models().await.is_ok() {
                return true;
            }
        }
        false
    }

    fn server(&self, url: String) -> Ollama {
        Ollama::new(
            self.http.clone(),
            url,
            Duration::from_secs(self.bounds.stall_seconds.max(1)),
        )
    }

    async fn ask(self: Arc<Self>, id: String) {
        let url = self.lock().servers.get(&id).and_then(|k| k.address.url.clone());
        let Some(url) = url else { return };
        self.look(&id, &self.server(url)).await;
    }

    /// Asks a server for its models, notes when to ask again, and tells what is new.
    async fn look(self: &Arc<Self>, id: &str, server: &Ollama) {
        let answer = server.models().await;
        let mut next = None;
        if let Some(known) = self.lock().servers.get_mut(id) {
            let changed = known.take(answer);
            let wait = match known.silences {
                0 => jittered(Duration::from_secs(self.bounds.verify_seconds.max(1))),
                n => backoff(n - 1, (Duration::from_secs(1), PATIENCE)),
            };
            known.next = Some(Instant::now() + wait);
            next = Some((wait, changed));
        }
        if let Some((wait, changed)) = next {
            if changed {
                self.tell(id, None);
            }
            self.ask_after(id.to_string(), wait);
        }
    }

    /// Asks again when it is time, whether anybody looks or not: that is how a lost model is noticed.
    fn ask_after(self: &Arc<Self>, id: String, pause: Duration) {
        let fleet = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            let Some(fleet) = fleet.upgrade() else { return };
            let due = fleet.lock().servers.get_mut(&id).is_some_and(|known| {
                let due = known.is_due();
                if due {
                    known.next = None;
                }
                due
            });
            if due {
                // Boxed, since a task takes as much as its largest step from the beginning, and one waits for each server.
                Box::pin(fleet.ask(id)).await;
            }
        });
    }

    /// Asks a server soon, whatever it said before.
    fn ask_soon(self: &Arc<Self>, id: &str, pause: Duration) {
        if let Some(known) = self.lock().servers.get_mut(id) {
            known.next = Some(Instant::now() + pause);
        }
        self.ask_after(id.to_string(), pause);
    }

    fn tell(&self, id: &str, model: Option<&str>) {
        let places = self
            .lock()
            .servers
            .get(id)
            .map(|k| k.places.clone())
            .unwrap_or_default();
        for place in places {
            self.announce(place, model.map(str::to_string));
        }
    }

    fn announce(&self, place: Place, model: Option<String>) {
        // Nobody listens any more when the process ends.
        let _ = self.news.send(News { place, model });
    }

    fn tell_after(self: &Arc<Self>, id: String, model: String, pause: Duration) {
        let fleet = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            if let Some(fleet) = fleet.upgrade() {
                fleet.tell(&id, Some(&model));
            }
        });
    }

    /// The maps are left whole by every holder, so a panic elsewhere does not spoil them.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn backoff(failures: u32, (first, longest): (Duration, Duration)) -> Duration {
    jittered(first.saturating_mul(1 << failures.min(10)).min(longest))
}

/// Give or take a fifth, so that many do not come at once.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.8..1.2))
}
