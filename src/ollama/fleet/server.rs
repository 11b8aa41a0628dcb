//! What is known of one server, and of the work on each model of it.

use super::{Address, TELL};
use crate::base::model::ModelName;
use crate::base::seen::Failure;
use crate::component::common::PullPolicy;
use crate::kind::ollamamodel::plan::{Held, Inventory, Pull, Server, Wish};
use crate::kind::ollamamodel::target::Place;
use crate::ollama::client::Silence;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// So many wishes are remembered for a model.
const WISHES: usize = 64;

/// What is known of one server.
pub(super) struct Known {
    /// Where it is found.
    pub(super) places: Vec<Place>,
    pub(super) address: Address,
    stock: Stock,
    pub(super) silences: u32,
    /// Questions in a row that it took and did not answer.
    pub(super) hangs: u32,
    /// The next time to ask; a question is under way while there is none.
    pub(super) next: Option<Instant>,
    /// Turns at its volume.
    pub(super) turns: Arc<Semaphore>,
    /// By key of the model; boxed, since a map makes room for four.
    pub(super) jobs: HashMap<String, Box<Job>>,
    /// Whether derived models are what they should be, by key.
    pub(super) compared: HashMap<String, Compared>,
    /// Models that were loaded, by key: for how long, and which version.
    pub(super) loaded: HashMap<String, (String, String)>,
    /// Errands under way, by what they are.
    pub(super) errands: HashSet<String>,
    /// Models of which the last answer says nothing any more.
    pub(super) doubtful: HashSet<String>,
}

/// What a server said it has.
enum Stock {
    Unknown,
    Silent(Failure),
    /// By key of the model.
    Known(HashMap<String, Held>),
}

/// The work on a model, and its attempts.
pub(super) struct Job {
    pub(super) state: Pull,
    /// Bytes in all, as far as the last attempt told.
    pub(super) total: i64,
    pub(super) failures: u32,
    /// When the next attempt may begin.
    pub(super) next: Instant,
    pub(super) ended: Option<Instant>,
    pub(super) task: Option<AbortHandle>,
    /// The wishes that were heard.
    pub(super) wishes: HashSet<String>,
    pub(super) refreshed: Option<String>,
    pub(super) changed: bool,
}

/// What came of comparing a derived model with its definition.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Compared {
    /// The definition, the model and its base.
    pub(super) of: (String, String, String),
    pub(super) same: bool,
}

impl Drop for Job {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Known {
    pub(super) fn new(address: &Address, turns: Arc<Semaphore>) -> Self {
        Self {
            places: vec![],
            address: address.clone(),
            stock: Stock::Unknown,
            silences: 0,
            hangs: 0,
            next: Some(Instant::now()),
            turns,
            jobs: HashMap::new(),
            compared: HashMap::new(),
            loaded: HashMap::new(),
            errands: HashSet::new(),
            doubtful: HashSet::new(),
        }
    }

    /// The server is another process now, or elsewhere.
    pub(super) fn moved(&mut self, address: &Address) {
        let before = std::mem::replace(&mut self.address, address.clone());
        if (before.start, before.url) != (address.start, address.url.clone()) {
            self.next = Some(Instant::now());
            (self.hangs, self.silences) = (0, 0);
            self.loaded.clear();
        }
    }

    pub(super) fn is_due(&self) -> bool {
        self.address.url.is_some() && self.next.is_some_and(|next| next <= Instant::now())
    }

    /// Takes in what the server says; true when that is new. A model that was brought and is gone again may be brought
    /// again.
    pub(super) fn take(&mut self, answer: Result<Vec<Held>, Silence>) -> bool {
        self.doubtful.clear();
        match answer {
            Err(silence) => {
                self.silences += 1;
                self.hangs = if silence.hangs { self.hangs + 1 } else { 0 };
                let same = matches!(&self.stock, Stock::Silent(before) if *before == silence.failure);
                self.stock = Stock::Silent(silence.failure);
                !same || self.silences <= 3 || self.hangs > 0
            }
            Ok(models) => {
                (self.silences, self.hangs) = (0, 0);
                let named = models
                    .into_iter()
                    .filter_map(|h| Some((ModelName::parse(&h.name).ok()?.key(), h)));
                let stock: HashMap<String, Held> = named.collect();
                let settled = |job: &Job| job.ended.is_some_and(|at| at.elapsed() > TELL);
                let before = self.jobs.len();
                self.jobs
                    .retain(|key, job| job.state != Pull::Done || stock.contains_key(key) || !settled(job));
                let same = matches!(&self.stock, Stock::Known(before) if *before == stock);
                self.stock = Stock::Known(stock);
                !same || self.jobs.len() < before
            }
        }
    }

    /// The model with that key, where the server is known to have it.
    pub(super) fn held(&self, key: &str) -> Option<&Held> {
        match &self.stock {
            Stock::Known(stock) => stock.get(key),
            _ => None,
        }
    }

    /// It has answered the last time that it was asked.
    pub(super) fn has_told(&self) -> bool {
        matches!(self.stock, Stock::Known(_))
    }

    /// Keys of the models that it has.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        let stock = match &self.stock {
            Stock::Known(stock) => Some(stock),
            _ => None,
        };
        stock.into_iter().flat_map(HashMap::keys)
    }

    pub(super) fn view(&self, wish: &Wish) -> Server {
        let key = wish.name.key();
        let job = self.jobs.get(&key);
        Server {
            id: self.address.id.clone(),
            pod: self.address.pod.clone(),
            volume: self.address.volume.clone(),
            inventory: self.inventory(wish, &key),
            pull: job.map(|job| job.state.clone()),
            made: self.made(wish, &key),
            refreshed: job.and_then(|job| job.refreshed.clone()),
            changed: job.is_some_and(|job| job.changed),
            loaded: self.loaded(&key),
        }
    }

    fn inventory(&self, wish: &Wish, key: &str) -> Inventory {
        match &self.stock {
            // A server is starting for a moment; only a silence that lasts is worth a word.
            Stock::Silent(failure) if self.silences >= 3 => Inventory::Silent(failure.clone()),
            Stock::Silent(_) | Stock::Unknown => Inventory::Unknown,
            Stock::Known(_) if self.doubtful.contains(key) => Inventory::Unknown,
            Stock::Known(stock) => {
                let base = wish.derived.as_ref().and_then(|d| stock.get(&d.base.key()));
                Inventory::Known(stock.get(key).cloned(), base.cloned())
            }
        }
    }

    fn made(&self, wish: &Wish, key: &str) -> Option<bool> {
        let derived = wish.derived.as_ref()?;
        let held = self.held(key)?;
        let Some(base) = self.held(&derived.base.key()) else {
            // It is there, and works without; whether it is right cannot be told without its base.
            return Some(wish.policy == PullPolicy::Never);
        };
        let of = (derived.hash(), held.digest.clone(), base.digest.clone());
        let compared = self.compared.get(key).filter(|c| c.of == of).map(|c| c.same);
        derived.is_made(held, base).or(compared)
    }

    /// For how long this version was loaded.
    fn loaded(&self, key: &str) -> Option<String> {
        let (keep_alive, digest) = self.loaded.get(key)?;
        let same = self.held(key).is_some_and(|h| h.digest == *digest);
        same.then(|| keep_alive.clone())
    }
}

impl Job {
    pub(super) fn new() -> Self {
        Self {
            state: Pull::Waiting(None),
            total: 0,
            failures: 0,
            next: Instant::now(),
            ended: None,
            task: None,
            wishes: HashSet::new(),
            refreshed: None,
            changed: false,
        }
    }

    /// Hears a wish; true when it is new.
    pub(super) fn hear(&mut self, wish: &str) -> bool {
        if self.wishes.len() >= WISHES {
            self.wishes.clear();
        }
        self.wishes.insert(wish.to_string())
    }
}
