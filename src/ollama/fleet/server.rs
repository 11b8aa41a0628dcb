//! What is known of one server, and of each pull on it.

use super::{Address, Stack, TELL};
use crate::base::model::ModelName;
use crate::base::seen::Failure;
use crate::base::settings::Models;
use crate::kind::ollamamodel::plan::{Held, Inventory, Pull, Server};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// What is known of one server.
pub(super) struct Known {
    pub(super) stack: Stack,
    pub(super) address: Address,
    pub(super) inventory: Inventory,
    pub(super) silences: u32,
    /// The next time to ask; a question is under way while there is none.
    pub(super) next: Option<Instant>,
    pub(super) slots: Arc<Semaphore>,
    pub(super) pulls: HashMap<String, Job>,
}

/// A pull, and its attempts.
pub(super) struct Job {
    pub(super) state: Pull,
    pub(super) failures: u32,
    /// When the next attempt may begin.
    pub(super) next: Instant,
    pub(super) ended: Option<Instant>,
    pub(super) task: Option<AbortHandle>,
    /// Who wished for it, in which form.
    pub(super) wishes: HashSet<String>,
}

impl Drop for Known {
    fn drop(&mut self) {
        self.pulls
            .values()
            .filter_map(|job| job.task.as_ref())
            .for_each(AbortHandle::abort);
    }
}

impl Known {
    pub(super) fn new(stack: &Stack, address: &Address, bounds: &Models) -> Self {
        Self {
            stack: stack.clone(),
            address: address.clone(),
            inventory: Inventory::Unknown,
            silences: 0,
            next: Some(Instant::now()),
            slots: Arc::new(Semaphore::new(bounds.pulls_per_pod.max(1))),
            pulls: HashMap::new(),
        }
    }

    /// A model that was pulled and is gone again may be pulled again.
    pub(super) fn take(&mut self, answer: Result<Vec<Held>, Failure>) {
        match answer {
            Err(failure) => self.inventory = Inventory::Silent(failure),
            Ok(models) => {
                let has = |key: &str| {
                    models
                        .iter()
                        .any(|h| ModelName::parse(&h.name).is_ok_and(|n| n.key() == key))
                };
                let settled = |job: &Job| job.ended.is_some_and(|at| at.elapsed() > TELL);
                self.pulls
                    .retain(|key, job| job.state != Pull::Done || has(key) || !settled(job));
                self.inventory = Inventory::Known(models);
            }
        }
    }

    pub(super) fn view(&self, model: &ModelName) -> Server {
        let pull = self.pulls.get(&model.key()).map(|job| job.state.clone());
        // A server is starting for a moment; only a silence that lasts is worth a word.
        let inventory = match &self.inventory {
            Inventory::Silent(_) if self.silences < 3 => Inventory::Unknown,
            other => other.clone(),
        };
        Server {
            pod: self.address.pod.clone(),
            inventory,
            pull,
        }
    }
}

impl Job {
    pub(super) fn new() -> Self {
        Self {
            state: Pull::Waiting(None),
            failures: 0,
            next: Instant::now(),
            ended: None,
            task: None,
            wishes: HashSet::new(),
        }
    }
}
