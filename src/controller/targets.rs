//! Which objects of our kinds care about what was touched, and what they look at and do besides their children.

mod farewell;
mod models;
mod rivals;
mod stacks;

use super::Context;
use super::apply::Error;
use super::cache::Touched;
use super::index::{Index, Presence};
use super::packed::Parcel;
use crate::base::object::Owner;
use crate::base::seen::{Other, Replica};
use crate::kind::ollamamodel::plan::Note;
use crate::kind::{Kind, Refusal};
use jiff::Timestamp;
use kube::core::DynamicObject;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;
pub(super) use models::count_unmanaged;
use serde_json::Value;
use std::time::Duration;

/// What was seen outside of the cluster's API.
#[derive(Default)]
pub(super) struct Observed {
    /// What the servers report of the object.
    pub(super) replicas: Vec<Replica>,
    /// Why nothing is done for it.
    pub(super) refused: Vec<Refusal>,
    /// What is worth an event.
    pub(super) notes: Vec<Note>,
    /// What an Ollama answers that is not the object's own, while it waits for that.
    pub(super) other: Option<Other>,
}

/// What a kind is reached by, and what it reads before deciding.
#[allow(async_fn_in_trait, reason = "no other crate implements it")]
pub(super) trait Reached: Kind {
    /// Its objects are let go only after [`Reached::farewell`].
    const FINALIZED: bool;

    /// Makes the objects of a scope known to all; `absent` tells when there is no such kind.
    fn enter(index: &Index, store: Store<Parcel<Self>>, absent: Presence);

    /// What follows at once from an event that the store has taken in.
    fn heard(_event: &Event<Parcel<Self>>, _store: &Store<Parcel<Self>>, _context: &Context) {}

    /// Who has what this object would need, so that nothing may be done for it; `live` is what bears its name.
    fn rival(&self, _owner: &Owner, _live: &[DynamicObject], _context: &Context) -> Option<Refusal> {
        None
    }

    /// The kind whose stack of the same name this object takes over.
    fn takes_over(&self) -> Option<&'static str> {
        None
    }

    /// The objects of this kind that should be looked at again.
    fn reached(touched: &Touched, store: &Store<Parcel<Self>>, index: &Index) -> Vec<ObjectRef<Parcel<Self>>>;

    /// What the servers report of the object, and the work that it starts; nothing for kinds without servers.
    fn observe(&self, owner: &Owner, live: &[DynamicObject], context: &Context) -> Observed;

    /// When to look again although nothing was touched; `None` for the usual pause.
    fn again(&self, observed: &Observed, status: &Value, now: Timestamp) -> Option<Duration>;

    /// The status to write: what changes often is held back for a moment.
    fn calm(&self, status: Value, context: &Context) -> Value;

    /// What is left to do once the status is written.
    fn conclude(
        &self,
        owner: &Owner,
        observed: &Observed,
        status: &Value,
        context: &Context,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Ends what was begun for an object that is going; how long to wait when that is not over.
    fn farewell(
        &self,
        owner: &Owner,
        context: &Context,
    ) -> impl Future<Output = Result<Option<Duration>, Error>> + Send;

    /// An object of that name is gone: whatever was kept for it is dropped. `known` the first time that this is told.
    fn forget(namespace: &str, name: &str, known: bool, context: &Context);
}
