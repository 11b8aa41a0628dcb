//! What to do on each server so that it holds a model: declared and observed in, actions out.

use crate::base::condition::Reason;
use crate::base::model::ModelName;
use crate::base::seen::{Failure, ModelState, Replica};
use crate::component::common::PullPolicy;

/// A server, and what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Its pod.
    pub pod: String,
    /// What it said when it was last asked.
    pub inventory: Inventory,
    /// The pull of this model on it, if there is or was one since this process started.
    pub pull: Option<Pull>,
}

/// What a server said of its models.
#[derive(Clone, Debug, PartialEq)]
pub enum Inventory {
    /// It was not asked yet, or the pod has no address yet.
    Unknown,
    /// Its models.
    Known(Vec<Held>),
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
}

/// The state of a pull.
#[derive(Clone, Debug, PartialEq)]
pub enum Pull {
    /// It waits for its turn, or for the time of the next attempt.
    Waiting(Option<Failure>),
    /// It runs: bytes that have arrived, bytes in all.
    Running(i64, i64),
    /// It ended well.
    Done,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Pull the model to the server of that pod.
    Pull(String),
}

/// What to do, and how the model stands on each server.
#[must_use]
pub fn plan(model: &ModelName, policy: PullPolicy, servers: &[Server]) -> (Vec<Action>, Vec<Replica>) {
    let mut actions = vec![];
    let mut replicas = vec![];
    for server in servers {
        let replica = server.replica(model);
        let known = matches!(server.inventory, Inventory::Known(_));
        let again = policy == PullPolicy::Always && server.pull.is_none();
        let absent = replica.state != ModelState::Ready && server.pull != Some(Pull::Done);
        if known && policy != PullPolicy::Never && (absent || again) && !matches!(server.pull, Some(Pull::Running(..)))
        {
            actions.push(Action::Pull(server.pod.clone()));
        }
        replicas.push(replica);
    }
    (actions, replicas)
}

impl Server {
    fn replica(&self, model: &ModelName) -> Replica {
        let held = match &self.inventory {
            Inventory::Known(models) => models.iter().find(|h| same(h, model)),
            _ => None,
        };
        let failure = match (&self.inventory, &self.pull) {
            (_, Some(Pull::Waiting(Some(failure)))) | (Inventory::Silent(failure), _) => Some(failure.clone()),
            _ => None,
        };
        let state = match (&self.pull, held, &failure) {
            (Some(Pull::Running(..)), None, _) => ModelState::Pulling,
            (_, Some(_), _) => ModelState::Ready,
            (_, None, Some(failure)) if failure.reason != Reason::ServerUnreachable => ModelState::Failed,
            _ => ModelState::Pending,
        };
        Replica {
            pod: self.pod.clone(),
            state,
            known: self.inventory != Inventory::Unknown || self.pull.is_some(),
            digest: held.map(|h| h.digest.clone()),
            size: held.map(|h| h.size),
            failure: failure.filter(|_| state != ModelState::Ready),
            progress: match self.pull {
                Some(Pull::Running(completed, total)) => Some((completed, total)),
                _ => None,
            },
            pulled: self.pull == Some(Pull::Done),
        }
    }
}

fn same(held: &Held, model: &ModelName) -> bool {
    ModelName::parse(&held.name).is_ok_and(|name| name.key() == model.key())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> ModelName {
        ModelName::parse("tiny").unwrap()
    }

    fn server(inventory: Inventory, pull: Option<Pull>) -> Server {
        Server {
            pod: "p".into(),
            inventory,
            pull,
        }
    }

    fn held(name: &str) -> Inventory {
        Inventory::Known(vec![Held {
            name: name.into(),
            digest: "d".into(),
            size: 1,
        }])
    }

    fn planned(policy: PullPolicy, server: Server) -> (usize, ModelState) {
        let (actions, replicas) = plan(&model(), policy, &[server]);
        (actions.len(), replicas[0].state)
    }

    #[test]
    fn what_is_absent_is_pulled_once() {
        let empty = Inventory::Known(vec![]);
        let policy = PullPolicy::IfNotPresent;
        assert_eq!(planned(policy, server(empty.clone(), None)), (1, ModelState::Pending));
        assert_eq!(
            planned(policy, server(empty.clone(), Some(Pull::Running(1, 2)))),
            (0, ModelState::Pulling)
        );
        assert_eq!(
            planned(policy, server(empty, Some(Pull::Done))),
            (0, ModelState::Pending)
        );
        assert_eq!(
            planned(policy, server(held("TINY:latest"), None)),
            (0, ModelState::Ready)
        );
    }

    #[test]
    fn the_policy_decides() {
        let empty = || Inventory::Known(vec![]);
        assert_eq!(
            planned(PullPolicy::Never, server(empty(), None)),
            (0, ModelState::Pending)
        );
        assert_eq!(
            planned(PullPolicy::Always, server(held("tiny:latest"), None)),
            (1, ModelState::Ready)
        );
        assert_eq!(
            planned(PullPolicy::Always, server(held("tiny:latest"), Some(Pull::Done))),
            (0, ModelState::Ready)
        );
    }

    #[test]
    fn nothing_is_pulled_blindly() {
        assert_eq!(
            planned(PullPolicy::Always, server(Inventory::Unknown, None)),
            (0, ModelState::Pending)
        );
        let failure = |reason| Failure {
            reason,
            message: "m".into(),
        };
        let silent = Inventory::Silent(failure(Reason::ServerUnreachable));
        assert_eq!(
            planned(PullPolicy::IfNotPresent, server(silent, None)),
            (0, ModelState::Pending)
        );
        let failed = Some(Pull::Waiting(Some(failure(Reason::UnknownModel))));
        assert_eq!(
            planned(PullPolicy::IfNotPresent, server(Inventory::Known(vec![]), failed)),
            (1, ModelState::Failed)
        );
    }
}
