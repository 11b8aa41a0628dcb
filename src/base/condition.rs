//! Conditions of our objects, and the one list of reasons that they, the events and the metrics use.

use super::hash;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Messages end here: the API server stores at most 32 KiB, a person reads far less.
const LONGEST_MESSAGE: usize = 1024;

/// Why a condition stands as it does. Also the reason of events and a label of metrics: every value is documented
/// in `docs/operations.md` and none is ever renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Everything is as the manifest says.
    Reconciled,
    /// The manifest holds to every rule.
    Accepted,
    /// Pods are being started or replaced.
    RollingOut,
    /// No replica is asked for.
    Suspended,
    /// The manifest breaks a rule.
    Invalid,
    /// The stored object no longer fits its kind.
    Undecodable,
    /// A name is taken by an object that is not ours.
    Conflict,
    /// The API server refused an object of ours.
    Refused,
    /// The namespace is going away.
    NamespaceTerminating,
    /// The cluster has no Gateway API.
    GatewayMissing,
    /// No controller of a Gateway has answered yet.
    RouteWaiting,
    /// A controller of a Gateway does not take a route.
    RouteRefused,
    /// The API server could not be asked, or answered with an error of its own.
    ApiError,
    /// A pod cannot start, for a reason that has no other name here.
    PodWaiting,
    /// No node takes a pod.
    Unschedulable,
    /// A pod waits for a claim that is not bound, or a claim cannot grow.
    ClaimPending,
    /// The image of a pod cannot be pulled.
    ImagePullFailed,
    /// A container ends as soon as it has started.
    ContainerCrashed,
    /// A container was killed at its limit of memory.
    OutOfMemory,
    /// The node of a pod does not answer.
    NodeLost,
    /// Data of a part that is off is kept.
    Retained,
    /// A Secret that the manifest names is not there, or lacks the key.
    SecretMissing,
    /// A Secret that the manifest names holds what cannot be used.
    SecretInvalid,
    /// The autoscaler of a component cannot work, as without metrics.
    NotScaling,
    /// Every model is on every replica.
    ModelsReady,
    /// No model is named.
    NoModels,
    /// Models are being pulled.
    Pulling,
    /// A model is not there, and its manifest says that nothing pulls it.
    NotPulled,
    /// A pull was started.
    PullStarted,
    /// A pull ended and the model is there.
    Pulled,
    /// A model was removed from its servers.
    Deleted,
    /// An object was let go although a server that could not be reached may still hold its model.
    Released,
    /// A model that a server had held was gone from it; it is brought back.
    ModelLost,
    /// Servers hold different versions of a model; they are brought to one.
    DigestDrift,
    /// A refresh that was asked for has ended.
    Refreshed,
    /// A server that hung before its gate opened was restarted.
    Restarted,
    /// No server is there to hold the model.
    NoServer,
    /// The target is nothing that the operator may ask.
    TargetRefused,
    /// The server does not answer, or not as Ollama does.
    ServerUnreachable,
    /// The registry has no such model or tag.
    UnknownModel,
    /// Ollama refuses the name.
    BadName,
    /// The registry could not be reached or answered with an error.
    RegistryError,
    /// The volume of the models is full.
    DiskFull,
    /// The model that the registry has is not the one with the expected digest.
    DigestMismatch,
    /// What arrived was damaged on its way.
    DamagedDownload,
    /// The stream of the pull ended without success, or made no sense.
    InvalidStream,
    /// No byte came for a minute.
    PullStalled,
    /// Ollama refuses to make the derived model.
    CreateFailed,
    /// Ollama reported an error that has no reason of its own here.
    PullFailed,
}

impl Reason {
    /// The reasons for which a model is not on a server.
    pub const FAILURES: [Self; 14] = [
        Self::Invalid,
        Self::Conflict,
        Self::UnknownModel,
        Self::BadName,
        Self::RegistryError,
        Self::DiskFull,
        Self::DigestMismatch,
        Self::DamagedDownload,
        Self::InvalidStream,
        Self::PullStalled,
        Self::CreateFailed,
        Self::PullFailed,
        Self::TargetRefused,
        Self::ServerUnreachable,
    ];

    /// The name, as it stands in conditions, events and metrics.
    #[must_use]
    pub fn name(self) -> String {
        format!("{self:?}")
    }

    /// What a person can do about the failure of a model; nothing where the operator goes on by itself.
    #[must_use]
    pub fn way_out(self) -> Option<&'static str> {
        Some(match self {
            Self::UnknownModel => "the registry has no such model: check its name and tag",
            Self::BadName => "Ollama takes no such name: correct it",
            Self::DiskFull => "the volume is full: let persistence.size grow, or remove models",
            Self::RegistryError => "the registry could not be used; it is tried again",
            Self::DigestMismatch => "the registry has another version: correct spec.digest, or the tag",
            Self::DamagedDownload => "what arrived is damaged; it is pulled again",
            Self::CreateFailed => "Ollama cannot make it: correct from, template, parameters or adapters",
            Self::ServerUnreachable => "the server is asked again; see the logs of its pod",
            _ => return None,
        })
    }

    /// True for failures that only the manifest's author can end; retrying is then slow and pods are not held back.
    #[must_use]
    pub fn is_users(self) -> bool {
        matches!(
            self,
            Self::UnknownModel
                | Self::BadName
                | Self::DigestMismatch
                | Self::CreateFailed
                | Self::TargetRefused
                | Self::Conflict
                | Self::Invalid
        )
    }
}

/// One condition as a check found it; [`merge`] gives it its time.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The condition's type, such as `Ready`.
    pub kind: &'static str,
    /// `True`, `False`; `None` is `Unknown`.
    pub status: Option<bool>,
    /// Why.
    pub reason: Reason,
    /// A sentence for a person, without times or counters.
    pub message: String,
}

impl State {
    /// A condition of that type.
    pub fn new(
        kind: &'static str,
        status: impl Into<Option<bool>>,
        reason: Reason,
        message: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            status: status.into(),
            reason,
            message: message.into(),
        }
    }
}

/// The conditions to store: the time of a change is kept for as long as the status stays the same.
#[must_use]
pub fn merge(old: &[Condition], states: Vec<State>, generation: Option<i64>, now: Timestamp) -> Vec<Condition> {
    let stored = |state: State| {
        let value = match state.status {
            Some(true) => "True",
            Some(false) => "False",
            None => "Unknown",
        };
        let before = old.iter().find(|c| c.type_ == state.kind && c.status == value);
        Condition {
            last_transition_time: before.map_or(Time(now), |c| c.last_transition_time.clone()),
            message: state.message.chars().take(LONGEST_MESSAGE).collect(),
            observed_generation: generation,
            reason: state.reason.name(),
            status: value.into(),
            type_: state.kind.into(),
        }
    };
    states.into_iter().map(stored).collect()
}

/// The action of an event. kube's recorder counts events of one reason and action as one, and keeps the first note: so
/// another note is another action, or nobody would read it.
#[must_use]
pub fn action(what: &str, note: &str) -> String {
    format!("{what}-{}", hash::short(note, 8))
}

/// True where the condition of that type is `True`.
#[must_use]
pub fn holds(conditions: &[Condition], kind: &str) -> bool {
    conditions.iter().any(|c| c.type_ == kind && c.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_changes_with_the_status_only() {
        let early = Timestamp::from_second(1).unwrap();
        let late = Timestamp::from_second(2).unwrap();
        let state = |ok, text: &str| vec![State::new("Ready", ok, Reason::Reconciled, text)];
        let first = merge(&[], state(true, "a"), Some(1), early);
        let same = merge(&first, state(true, "b"), Some(2), late);
        assert_eq!(same[0].last_transition_time, Time(early));
        assert_eq!(same[0].message, "b");
        let other = merge(&same, state(false, "b"), Some(2), late);
        assert_eq!(other[0].last_transition_time, Time(late));
        assert!(holds(&same, "Ready") && !holds(&other, "Ready"));
    }
}
