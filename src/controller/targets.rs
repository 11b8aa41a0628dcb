//! Which objects of our kinds care about what was touched, and what they look at and do besides their children.

mod farewell;
mod models;
mod rivals;

use super::apply::Error;
use super::cache::Touched;
use super::index::{Index, Presence};
use super::{Context, estate};
use crate::base::object::Owner;
use crate::base::seen::Replica;
use crate::base::settings::Settings;
use crate::kind::older::Stack;
use crate::kind::ollamamodel::plan::Note;
use crate::kind::{Kind, Refusal, takeover};
use kube::Resource;
use kube::core::{DeserializeGuard, DynamicObject, NamespaceResourceScope};
use kube::runtime::reflector::{ObjectRef, Store};
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
}

/// What a kind is reached by, and what it reads before deciding.
#[allow(async_fn_in_trait, reason = "no other crate implements it")]
pub(super) trait Reached: Kind {
    /// Its objects are let go only after [`Reached::farewell`].
    const FINALIZED: bool;

    /// Makes the objects of a scope known to all; `absent` tells when there is no such kind.
    fn enter(index: &Index, store: Store<DeserializeGuard<Self>>, absent: Presence);

    /// Who has what this object would need, so that nothing may be done for it; `live` is what bears its name.
    fn rival(&self, _owner: &Owner, _live: &[DynamicObject], _context: &Context) -> Option<Refusal> {
        None
    }

    /// The kind whose stack of the same name this object takes over.
    fn takes_over(&self) -> Option<&'static str> {
        None
    }

    /// The objects of this kind that should be looked at again.
    fn reached(
        touched: &Touched,
        store: &Store<DeserializeGuard<Self>>,
        settings: &Settings,
    ) -> Vec<ObjectRef<DeserializeGuard<Self>>>;

    /// What the servers report of the object, and the work that it starts; nothing for kinds without servers.
    fn observe(&self, owner: &Owner, context: &Context) -> Observed;

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

    /// An object of that name is gone: whatever was kept for it is dropped.
    fn forget(namespace: &str, name: &str, context: &Context);
}

impl<S> Reached for S
where
    S: Stack + Resource<Scope = NamespaceResourceScope>,
{
    const FINALIZED: bool = false;

    fn enter(index: &Index, store: Store<DeserializeGuard<Self>>, absent: Presence) {
        index.add_stacks(store, absent);
    }

    fn rival(&self, owner: &Owner, live: &[DynamicObject], context: &Context) -> Option<Refusal> {
        rivals::refusal(owner, live, &context.index.stacks(&owner.namespace, &owner.name))
    }

    fn takes_over(&self) -> Option<&'static str> {
        takeover::predecessor(self)
    }

    fn reached(
        touched: &Touched,
        store: &Store<DeserializeGuard<Self>>,
        _: &Settings,
    ) -> Vec<ObjectRef<DeserializeGuard<Self>>> {
        if matches!(touched, Touched::Offer) {
            let asks = |stack: &DeserializeGuard<Self>| stack.0.as_ref().is_ok_and(Self::has_gateway);
            let state = store.state();
            return state
                .iter()
                .filter(|s| asks(s))
                .map(|s| ObjectRef::from_obj(&**s))
                .collect();
        }
        let Touched::Child { namespace, stack, .. } = touched else {
            return vec![];
        };
        let reference = ObjectRef::new(stack).within(namespace);
        // Of our kinds, one has a stack of that name.
        store.get(&reference).map(|_| reference).into_iter().collect()
    }

    fn observe(&self, _: &Owner, _: &Context) -> Observed {
        Observed::default()
    }

    fn calm(&self, status: Value, _: &Context) -> Value {
        status
    }

    async fn conclude(&self, _: &Owner, _: &Observed, _: &Value, _: &Context) -> Result<(), Error> {
        Ok(())
    }

    async fn farewell(&self, owner: &Owner, context: &Context) -> Result<Option<Duration>, Error> {
        estate::clear(context, owner).await?;
        Ok(None)
    }

    /// Whoever waited for the name has it now.
    fn forget(namespace: &str, name: &str, context: &Context) {
        let (namespace, stack) = (namespace.to_string(), name.to_string());
        if context.index.stacks(&namespace, &stack).is_empty() {
            context.wallet.forget(&(namespace, stack));
            return;
        }
        // Without a receiver there is nobody left to tell.
        let _ = context.touched.send(Touched::Child {
            namespace,
            stack,
            pod: false,
        });
    }
}
