//! The models of a stack: the `OllamaModel` of each, what is known of it, and what the start-up gate makes of that.

use super::LMDeployment;
use crate::base::condition::Reason;
use crate::base::model::ModelName;
use crate::base::object::{Object, find};
use crate::base::seen::{ModelState, Seen};
use crate::component::common::PullPolicy;
use crate::component::ollama::models::Item;
use crate::component::ollama::{self, Gate};
use crate::component::tabby::config::Models;
use crate::kind::ollamamodel::{self, OllamaModel};
use serde_json::json;

/// A model of the stack, and what is known of it.
pub(super) struct Wanted {
    pub(super) item: Item,
    /// The name of its `OllamaModel`.
    pub(super) child: String,
    pub(super) state: ModelState,
    pub(super) reason: Option<Reason>,
}

impl LMDeployment {
    pub(super) fn wanted(&self, seen: &Seen<'_>) -> Vec<Wanted> {
        let with_state = |item: Item| {
            let child = ollamamodel::child_name(seen.owner, &item.name);
            let status = find::<OllamaModel>(seen.live, &child).and_then(ollamamodel::status_of);
            let (state, reason) = status.map_or((ModelState::Pending, None), |s| {
                (s.state.unwrap_or_default(), s.failure())
            });
            Wanted {
                item,
                child,
                state,
                reason,
            }
        };
        self.items().into_iter().map(with_state).collect()
    }
}

impl Wanted {
    pub(super) fn object(&self, seen: &Seen<'_>) -> Object {
        let name = &self.item.name;
        let fields = json!({"spec": {
            "name": name.bare(),
            "tag": name.tag(),
            "pullPolicy": self.item.pull_policy,
            "insecure": self.item.insecure.then_some(true),
            "target": {"deploymentRef": {"kind": seen.owner.kind, "name": seen.owner.name}},
        }});
        seen.owner.object::<OllamaModel>(ollama::NAME, &self.child, fields)
    }

    /// Pods wait for it, unless nothing will pull it or only the user can mend it.
    fn gates(&self) -> bool {
        self.item.pull_policy != Some(PullPolicy::Never) && !self.reason.is_some_and(Reason::is_users)
    }
}

/// The names that a server needs before it is Ready. Once the gate has been open, a model joins them when it is there.
pub(super) fn gate(seen: &Seen<'_>, wanted: &[Wanted]) -> Gate {
    let live = Gate::live(seen);
    let joins = |w: &&Wanted| {
        let name = w.item.name.short();
        w.gates() && (!live.opened || w.state == ModelState::Ready || live.required.contains(&name))
    };
    Gate {
        required: wanted.iter().filter(joins).map(|w| w.item.name.short()).collect(),
        opened: live.opened,
    }
}

pub(super) fn all_ready(models: &Models, wanted: &[Wanted]) -> bool {
    let ready = |name: &ModelName| {
        wanted
            .iter()
            .any(|w| w.item.name.key() == name.key() && w.state == ModelState::Ready)
    };
    [&models.chat, &models.completion, &models.embedding]
        .into_iter()
        .all(ready)
}
