//! The conditions of an `LMDeployment`, in the sense of kstatus.

use super::exposure;
use super::wanted::Wanted;
use crate::base::condition::{Reason, State};
use crate::base::seen::ModelState;
use crate::component::common::PullPolicy;
use crate::kind::Outcome;

/// What the conditions are made of.
pub(super) struct Conditions<'a> {
    pub(super) outcome: &'a Outcome,
    pub(super) wanted: &'a [Wanted],
    /// All replicas of all components are as asked for.
    pub(super) settled: bool,
    /// None shall run.
    pub(super) suspended: bool,
    /// So they are, but for those that wait for their models.
    pub(super) resting: bool,
    pub(super) ready: i32,
    pub(super) total: i32,
    pub(super) trouble: Option<(Reason, String)>,
}

const RESTS: &str = "the stack is suspended: no pod runs, and what is on claims stays";

impl Conditions<'_> {
    pub(super) fn states(&self) -> Vec<State> {
        let valid = self.valid();
        let models = self.models();
        let stalled = self.stalled();
        let ready = self.ready(&valid, &models, stalled.as_ref());
        let done = ready.status == Some(true);
        let degraded = match (&self.trouble, models.reason) {
            (Some((reason, text)), _) => State::new("Degraded", true, *reason, text),
            (None, Reason::ModelsReady | Reason::Pulling | Reason::NotPulled | Reason::NoModels) => {
                State::new("Degraded", false, Reason::Reconciled, "nothing is known to be wrong")
            }
            (None, reason) => State::new("Degraded", true, reason, &models.message),
        };
        let (progressing, message) = if self.suspended && self.settled {
            (false, RESTS)
        } else if done {
            (false, "everything is as the manifest says")
        } else {
            (true, &*ready.message)
        };
        vec![
            State::new("Progressing", progressing && stalled.is_none(), ready.reason, message),
            State::new("Reconciling", progressing && stalled.is_none(), ready.reason, message),
            stalled.unwrap_or_else(|| State::new("Stalled", false, Reason::Reconciled, "nothing is stuck")),
            degraded,
            models,
            valid,
            ready,
        ]
    }

    fn valid(&self) -> State {
        let issues = &self.outcome.review.issues;
        if issues.is_empty() {
            return State::new("Valid", true, Reason::Accepted, "the manifest holds to every rule");
        }
        let list: Vec<String> = issues.iter().map(ToString::to_string).collect();
        State::new("Valid", false, Reason::Invalid, list.join("; "))
    }

    fn models(&self) -> State {
        let kind = "ModelsReady";
        let mut missing = self.wanted.iter().filter(|w| w.state != ModelState::Ready);
        if self.wanted.is_empty() {
            return State::new(kind, true, Reason::NoModels, "no model is named");
        }
        if let Some(failed) = missing.clone().find(|w| w.state == ModelState::Failed) {
            let reason = failed.reason.unwrap_or(Reason::PullFailed);
            let text = format!("model {} failed; see OllamaModel {}", failed.item.name, failed.child);
            return State::new(kind, false, reason, text);
        }
        let names: Vec<String> = missing.clone().map(|w| w.item.name.short()).collect();
        if names.is_empty() {
            return State::new(kind, true, Reason::ModelsReady, "every model is on every server");
        }
        let text = format!("not on every server yet: {}", names.join(", "));
        if missing.all(|w| w.item.pull_policy == Some(PullPolicy::Never)) {
            return State::new(kind, false, Reason::NotPulled, format!("{text} (pullPolicy is Never)"));
        }
        State::new(kind, false, Reason::Pulling, text)
    }

    fn stalled(&self) -> Option<State> {
        let fatal = self.outcome.review.issues.iter().find(|i| i.fatal);
        if let Some(issue) = fatal {
            return Some(State::new(
                "Stalled",
                true,
                Reason::Invalid,
                format!("nothing is touched: {issue}"),
            ));
        }
        self.refused()
            .or_else(|| exposure::missing(self.outcome).map(|(reason, text)| State::new("Stalled", true, reason, text)))
            .or_else(|| self.hopeless())
    }

    fn refused(&self) -> Option<State> {
        let refusal = self.outcome.refused.first()?;
        let reason = if refusal.conflict {
            Reason::Conflict
        } else {
            Reason::Refused
        };
        let all: Vec<&str> = self.outcome.refused.iter().map(|r| r.message.as_str()).collect();
        Some(State::new("Stalled", true, reason, all.join("; ")))
    }

    /// Everything is done but for models that only the manifest's author can mend.
    fn hopeless(&self) -> Option<State> {
        let mut missing = self.wanted.iter().filter(|w| w.state != ModelState::Ready);
        let users = |w: &&Wanted| w.reason.filter(|r| w.state == ModelState::Failed && r.is_users());
        let reason = missing.clone().next().as_ref().and_then(users)?;
        let stuck = self.resting && !self.suspended && missing.all(|w| users(&w).is_some());
        stuck.then(|| State::new("Stalled", true, reason, self.models().message))
    }

    fn ready(&self, valid: &State, models: &State, stalled: Option<&State>) -> State {
        let no = |reason: Reason, message: &str| State::new("Ready", false, reason, message);
        match (stalled, &self.outcome.leftover) {
            (Some(stalled), _) => no(stalled.reason, &stalled.message),
            (None, Some(leftover)) => no(Reason::RollingOut, leftover),
            _ if self.suspended && self.settled => no(Reason::Suspended, RESTS),
            _ if valid.status != Some(true) && !self.settled => no(valid.reason, &valid.message),
            _ if !self.settled
                && let Some((reason, text)) = &self.trouble =>
            {
                no(*reason, text)
            }
            _ if models.status != Some(true) => no(models.reason, &models.message),
            _ if !self.settled => no(
                Reason::RollingOut,
                &format!("{} of {} replicas are ready", self.ready, self.total),
            ),
            _ => State::new("Ready", true, Reason::Reconciled, "everything is as the manifest says"),
        }
    }
}
