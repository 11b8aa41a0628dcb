//! What was seen of the cluster before deciding: the arguments that keep deciding pure.

use super::condition::Reason;
use super::object::Owner;
use super::secret::Secrets;
use super::settings::Settings;
use jiff::Timestamp;
use kube::core::DynamicObject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Everything that deciding for one object may look at.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The decisions of the installation.
    pub settings: &'a Settings,
    /// The object, as the owner of its children.
    pub owner: &'a Owner,
    /// Everything alive that is labelled as belonging to the object, and the pods of it.
    pub live: &'a [DynamicObject],
    /// What the servers and the pulls of a model report; empty for other kinds.
    pub replicas: &'a [Replica],
    /// What the Secrets hold that the object names.
    pub secrets: &'a Secrets,
    /// What an Ollama answers that is not the object's own, while one of its components waits for it.
    pub other: Option<&'a Other>,
    /// The time of this look.
    pub now: Timestamp,
}

/// What an Ollama answers that a component will ask, and that is not the stack's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Other {
    /// It was not asked yet.
    Unasked,
    /// It cannot be asked, or does not answer.
    Silent(Failure),
    /// It holds models of these keys, on all its servers.
    Holds(BTreeSet<String>),
}

/// A model on one server.
#[derive(Clone, Debug, PartialEq)]
pub struct Replica {
    /// The pod of the server.
    pub pod: String,
    /// How far the model is there.
    pub state: ModelState,
    /// The server was asked; until then, what was known before still counts.
    pub known: bool,
    /// The digest that the server reports, as bare hexadecimal.
    pub digest: Option<String>,
    /// Bytes that the server reports for the model.
    pub size: Option<i64>,
    /// Why it is not there.
    pub failure: Option<Failure>,
    /// Bytes that have arrived, and bytes in all, while a pull runs.
    pub progress: Option<(i64, i64)>,
    /// This process brought the model, or another version of it, to this server since it started.
    pub pulled: bool,
    /// The last refresh that was carried out on this server.
    pub refreshed: Option<String>,
}

/// Why a model is not on a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The reason, of the one list.
    pub reason: Reason,
    /// Ollama's own words, without ports and times.
    pub message: String,
}

/// How far a model is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[schemars(transform = crate::base::crd::choice)]
#[serde(rename_all = "lowercase")]
pub enum ModelState {
    /// Nothing has been done yet, or nothing can be.
    #[default]
    Pending,
    /// A pull runs.
    Pulling,
    /// The model is there.
    Ready,
    /// The last attempt failed.
    Failed,
}

impl ModelState {
    /// The name, as it stands in a status.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Pulling => "pulling",
            Self::Ready => "ready",
            Self::Failed => "failed",
        }
    }
}
