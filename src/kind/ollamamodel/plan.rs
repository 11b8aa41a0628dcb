//! What to do on each server so that it holds a model: declared and observed in, actions out.

mod removal;
#[cfg(test)]
mod tests;

use super::definition::Derived;
use crate::base::condition::Reason;
use crate::base::model::ModelName;
use crate::base::seen::{Failure, ModelState, Replica};
use crate::component::common::PullPolicy;
pub use removal::{Parting, Removal, removal};
use std::collections::{BTreeMap, BTreeSet};

/// What is declared of a model.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The model.
    pub name: ModelName,
    /// When it is brought.
    pub policy: PullPolicy,
    /// The digest that it must have, as bare hexadecimal.
    pub digest: Option<String>,
    /// How it is made, when it is not pulled.
    pub derived: Option<Derived>,
    /// A refresh that is asked for.
    pub refresh: Option<String>,
    /// It is to be loaded, and stay so for this long.
    pub keep_alive: Option<String>,
    /// Who wishes for it, in which form: a new one does not wait for what came of older ones.
    pub token: String,
}

/// A server, and what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// What it is known by: the uid of its pod, or its address.
    pub id: String,
    /// Its pod, or its host.
    pub pod: String,
    /// Servers with the same volume share what is on it.
    pub volume: String,
    /// What it said when it was last asked.
    pub inventory: Inventory,
    /// The work on this model there, if there is or was some since this process started.
    pub pull: Option<Pull>,
    /// Whether a derived model is what its definition says; unknown until it was compared.
    pub made: Option<bool>,
    /// The last refresh that was carried out.
    pub refreshed: Option<String>,
    /// Work since this process started has changed what the server holds.
    pub changed: bool,
    /// It was loaded for this long.
    pub loaded: Option<String>,
}

/// What a server said of a model.
#[derive(Clone, Debug, PartialEq)]
pub enum Inventory {
    /// It was not asked yet, or the pod has no address yet.
    Unknown,
    /// The model, and the one that it is made from, where they are there.
    Known(Option<Held>, Option<Held>),
    /// It did not answer, or not as Ollama does.
    Silent(Failure),
}

/// A model that a server has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its name, as the server prints it.
    pub name: String,
    /// SHA-256 of its manifest, bare hexadecimal.
    pub digest: String,
    /// Bytes.
    pub size: i64,
    /// When it was written there; texts of one server's time zone sort by time.
    pub modified: String,
}

/// The state of the work on a model.
#[derive(Clone, Debug, PartialEq)]
pub enum Pull {
    /// It waits for its turn, or for the time of the next attempt.
    Waiting(Option<Failure>),
    /// It runs: bytes that have arrived, bytes in all.
    Running(i64, i64),
    /// It ended well.
    Done,
}

/// What to do on the server with this id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Pull the model; the second is the wish that it fulfils.
    Pull(String, String),
    /// Make the model from its base, pulling that first where it is not there.
    Create(String, String),
    /// Give its base a second name, pulling that first where it is not there.
    Copy(String, String),
    /// Compare the derived model with its definition.
    Compare(String),
    /// Load it into memory.
    Load(String),
}

/// Something that a person should hear of once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The reason, of the one list.
    pub reason: Reason,
    /// A sentence.
    pub message: String,
}

/// What to do, how the model stands on each server, and what is worth an event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// In the order of the servers.
    pub actions: Vec<Action>,
    /// One for each server.
    pub replicas: Vec<Replica>,
    /// Told once each.
    pub notes: Vec<Note>,
}

/// What to do for the wish on these servers. `had` are the pods that were known to hold the model.
#[must_use]
pub fn plan(wish: &Wish, servers: &[Server], had: &BTreeSet<String>) -> Plan {
    let mut plan = Plan::default();
    let (chosen, reference) = (chosen(servers), reference(wish, servers));
    for server in servers {
        let replica = server.replica(wish);
        if let Some(action) = server.action(wish, &replica, reference.as_deref()) {
            let turn = chosen.get(server.volume.as_str()) == Some(&server.id.as_str());
            if turn || matches!(action, Action::Compare(_) | Action::Load(_)) {
                plan.actions.push(action);
            }
        }
        let rests = matches!(server.pull, None | Some(Pull::Done));
        let lost = had.contains(&server.pod) && server.held().is_none() && rests;
        if lost && matches!(server.inventory, Inventory::Known(..)) {
            let message = format!("{} was gone from {}; it is brought back", wish.name, server.pod);
            plan.notes.push(Note {
                reason: Reason::ModelLost,
                message,
            });
        }
        plan.replicas.push(replica);
    }
    if let Some(reference) = reference {
        let message = format!(
            "servers hold different versions of {}; all are brought to {reference:.12} or what the registry has",
            wish.name
        );
        plan.notes.push(Note {
            reason: Reason::DigestDrift,
            message,
        });
    }
    plan
}

/// The one server of each volume that works for all of them: two that write to one volume spoil each other's files.
fn chosen(servers: &[Server]) -> BTreeMap<&str, &str> {
    let mut chosen = BTreeMap::new();
    let at_work = servers.iter().filter(|s| s.pull.is_some());
    let known = servers.iter().filter(|s| matches!(s.inventory, Inventory::Known(..)));
    for server in at_work.chain(known) {
        chosen.entry(server.volume.as_str()).or_insert(server.id.as_str());
    }
    chosen
}

/// The version that all servers should have, when they have several: the newest. What is newer at the registry arrives
/// with the first repair, and is then the newest.
fn reference(wish: &Wish, servers: &[Server]) -> Option<String> {
    let held: Vec<&Held> = servers.iter().filter_map(Server::held).collect();
    let several = held.iter().any(|h| h.digest != held[0].digest);
    let free = wish.policy != PullPolicy::Never && wish.digest.is_none() && wish.derived.is_none();
    let newest = held.iter().max_by_key(|h| (&h.modified, &h.digest))?;
    (several && free).then(|| newest.digest.clone())
}

impl Server {
    /// The model on this server.
    #[must_use]
    pub fn held(&self) -> Option<&Held> {
        match &self.inventory {
            Inventory::Known(held, _) => held.as_ref(),
            _ => None,
        }
    }

    fn base(&self) -> Option<&Held> {
        match &self.inventory {
            Inventory::Known(_, base) => base.as_ref(),
            _ => None,
        }
    }

    fn action(&self, wish: &Wish, replica: &Replica, reference: Option<&str>) -> Option<Action> {
        if !matches!(self.inventory, Inventory::Known(..)) || matches!(self.pull, Some(Pull::Running(..))) {
            return None;
        }
        let stale = self.held().is_some() && self.made.is_none();
        if wish.derived.is_some() && stale {
            return Some(Action::Compare(self.id.clone()));
        }
        if let Some(token) = self.reason_to_work(wish, replica, reference) {
            return self.work(wish, token);
        }
        let warm = wish.keep_alive.as_ref().filter(|k| self.loaded.as_ref() != Some(k));
        warm.filter(|_| replica.state == ModelState::Ready)
            .map(|_| Action::Load(self.id.clone()))
    }

    /// The wish that bringing the model now would fulfil.
    fn reason_to_work(&self, wish: &Wish, replica: &Replica, reference: Option<&str>) -> Option<String> {
        if let Some(refresh) = wish
            .refresh
            .as_ref()
            .filter(|token| self.refreshed.as_ref() != Some(token))
        {
            return Some(format!("refresh/{refresh}"));
        }
        let again = wish.policy == PullPolicy::Always && self.pull.is_none();
        let settled = self.pull == Some(Pull::Done);
        let absent = replica.state != ModelState::Ready && (!settled || self.made == Some(false));
        if absent || again {
            return Some(wish.token.clone());
        }
        let drifted = reference.filter(|r| self.held().is_some_and(|h| h.digest != **r));
        drifted.map(|reference| format!("drift/{reference}"))
    }

    fn work(&self, wish: &Wish, token: String) -> Option<Action> {
        let never = wish.policy == PullPolicy::Never;
        match &wish.derived {
            None if never => None,
            None => Some(Action::Pull(self.id.clone(), token)),
            Some(_) if never && self.base().is_none() => None,
            Some(derived) if derived.is_copy() => Some(Action::Copy(self.id.clone(), token)),
            Some(_) => Some(Action::Create(self.id.clone(), token)),
        }
    }

    fn replica(&self, wish: &Wish) -> Replica {
        let held = self.held();
        let wrong = held.and_then(|h| wish.mismatch(h));
        let failure = match (&self.inventory, &self.pull) {
            (_, Some(Pull::Waiting(Some(failure)))) | (Inventory::Silent(failure), _) => Some(failure.clone()),
            // What is there counts as wrong once nothing can be done about it.
            (_, Some(Pull::Done)) => wrong.clone(),
            _ if wish.policy == PullPolicy::Never => wrong.clone(),
            _ => None,
        };
        let good = held.is_some() && wrong.is_none() && (wish.derived.is_none() || self.made != Some(false));
        let state = match (&self.pull, &failure) {
            (_, _) if good => ModelState::Ready,
            (Some(Pull::Running(..)), _) => ModelState::Pulling,
            (_, Some(failure)) if failure.reason != Reason::ServerUnreachable => ModelState::Failed,
            _ => ModelState::Pending,
        };
        Replica {
            pod: self.pod.clone(),
            state,
            known: self.inventory != Inventory::Unknown || self.pull.is_some(),
            digest: held.map(|h| h.digest.clone()),
            size: held.map(|h| h.size),
            failure,
            progress: match self.pull {
                Some(Pull::Running(done, all)) => Some((done, all)),
                _ => None,
            },
            pulled: self.changed,
            refreshed: self.refreshed.clone(),
        }
    }
}

impl Wish {
    /// Why what a server holds is not what is expected.
    #[must_use]
    pub fn mismatch(&self, held: &Held) -> Option<Failure> {
        let expected = self
            .digest
            .as_ref()
            .filter(|digest| !digest.eq_ignore_ascii_case(&held.digest))?;
        Some(Failure {
            reason: Reason::DigestMismatch,
            message: format!("its digest is {}, and {expected} is expected", held.digest),
        })
    }
}
