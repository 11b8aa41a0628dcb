//! Stacks: the Ollama of others that one waits for, when one is looked at again, and what is told of the data it leaves.

use super::{Observed, Reached, rivals};
use crate::base::condition::{Reason, action};
use crate::base::object::{Owner, title};
use crate::controller::apply::Error;
use crate::controller::cache::Touched;
use crate::controller::index::{Index, Presence};
use crate::controller::packed::Parcel;
use crate::controller::{Context, estate, report, waits};
use crate::kind::lmdeployment::{LMDeployment, Retained, is_kept};
use crate::kind::older::Stack;
use crate::kind::ollamamodel::plan::Note;
use crate::kind::{Refusal, takeover};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use kube::core::DynamicObject;
use kube::runtime::events::{Event, EventType};
use kube::runtime::reflector::{ObjectRef, Store};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// What is not as it should be is looked at this often at first, and then after as long as it has been so.
const SOONEST: Duration = Duration::from_secs(5);
/// And this often at least.
const LATEST: Duration = Duration::from_secs(300);

impl<S: Stack> Reached for S {
    const FINALIZED: bool = false;

    fn enter(index: &Index, store: Store<Parcel<Self>>, absent: Presence) {
        index.add_stacks(store, absent);
    }

    fn rival(&self, owner: &Owner, live: &[DynamicObject], context: &Context) -> Option<Refusal> {
        rivals::refusal(owner, live, &context.index.stacks(&owner.namespace, &owner.name))
    }

    fn takes_over(&self) -> Option<&'static str> {
        takeover::predecessor(self)
    }

    fn reached(touched: &Touched, store: &Store<Parcel<Self>>, _: &Index) -> Vec<ObjectRef<Parcel<Self>>> {
        let those = |asks: &dyn Fn(&LMDeployment) -> bool| {
            let state = store.state();
            let of = |object: &&Arc<Parcel<Self>>| object.open().is_ok_and(|s| asks(s.stack()));
            state.iter().filter(of).map(|o| ObjectRef::from_obj(&**o)).collect()
        };
        match touched {
            Touched::Child { namespace, stack, .. } => {
                let reference = ObjectRef::new(stack).within(namespace);
                // Of our kinds, one has a stack of that name.
                store.get(&reference).map(|_| reference).into_iter().collect()
            }
            Touched::Offer => those(&LMDeployment::has_gateway),
            Touched::Service { namespace, name } => those(&|stack| {
                let at = stack.namespace().is_some_and(|own| own == *namespace);
                at && stack.asks(&[]).is_some_and(|(service, _)| service == *name)
            }),
            Touched::Servers(_) => vec![],
        }
    }

    fn observe(&self, owner: &Owner, live: &[DynamicObject], context: &Context) -> Observed {
        let stack = (owner.namespace.clone(), owner.name.clone());
        Observed {
            other: context.waits.look(&stack, self.stack().asks(live)),
            ..Observed::default()
        }
    }

    /// Why something does not come about may be told in an event that nobody is touched by, and a node that does not
    /// answer says nothing at all.
    fn again(&self, observed: &Observed, status: &Value, now: Timestamp) -> Option<Duration> {
        if observed.other.is_some() {
            return Some(waits::PAUSE);
        }
        let conditions: Vec<Condition> = serde_json::from_value(status["conditions"].clone()).unwrap_or_default();
        let ready = conditions
            .into_iter()
            .find(|c| c.type_ == "Ready" && c.status == "False")?;
        if ready.reason == Reason::Suspended.name() {
            return None;
        }
        let since = now.duration_since(ready.last_transition_time.0);
        Some(Duration::try_from(since).unwrap_or(SOONEST).clamp(SOONEST, LATEST))
    }

    fn calm(&self, status: Value, _: &Context) -> Value {
        status
    }

    /// Tells of data that nothing uses any more.
    async fn conclude(&self, _: &Owner, _: &Observed, status: &Value, context: &Context) -> Result<(), Error> {
        let before = self
            .stack()
            .status
            .as_ref()
            .and_then(|s| s.retained.clone())
            .unwrap_or_default();
        let kept: Vec<Retained> = serde_json::from_value(status["retained"].clone()).unwrap_or_default();
        for one in kept
            .into_iter()
            .filter(|one| one.kind != "Secret" && !before.contains(one))
        {
            let note = Note {
                reason: Reason::Retained,
                message: format!(
                    "{} {} keeps the data of {}, which is off: it is used again when that is on; kubectl delete removes it",
                    one.kind, one.name, one.component
                ),
            };
            report::note(context, self, &note).await;
        }
        Ok(())
    }

    async fn farewell(&self, owner: &Owner, context: &Context) -> Result<Option<Duration>, Error> {
        estate::clear(context, owner).await?;
        Ok(None)
    }

    fn forget(namespace: &str, name: &str, known: bool, context: &Context) {
        if known {
            tell_of_data(&Self::kind(&()), namespace, name, context);
        }
        let stack = (namespace.to_string(), name.to_string());
        if context.index.stacks(namespace, name).is_empty() {
            context.wallet.forget(&stack);
            context.waits.forget(&stack);
            return;
        }
        // Whoever waited for the name has it now. Without a receiver there is nobody left to tell.
        let (namespace, stack) = stack;
        let _ = context.touched.send(Touched::Child {
            namespace,
            stack,
            pod: false,
        });
    }
}

/// A stack that is gone has no status, and its events are not looked for: each claim that it leaves has its own.
fn tell_of_data(kind: &str, namespace: &str, name: &str, context: &Context) {
    let reference = format!("{kind}/{name}");
    let live = context.cache.shelf(namespace, name);
    let is_claim = |o: &DynamicObject| o.types.as_ref().is_some_and(|t| t.kind == "PersistentVolumeClaim");
    for claim in live.into_iter().filter(|o| is_claim(o) && is_kept(o, &reference)) {
        let message = format!(
            "{} keeps data of {reference}, which was deleted: one of that kind and name uses it again; kubectl delete removes it",
            title(&claim)
        );
        let event = Event {
            type_: EventType::Normal,
            reason: Reason::Retained.name(),
            action: action("Reconcile", &message),
            note: Some(message),
            secondary: None,
        };
        let recorder = context.teller.recorder();
        let types = claim.types.clone().unwrap_or_default();
        let about = k8s_openapi::api::core::v1::ObjectReference {
            api_version: Some(types.api_version),
            kind: Some(types.kind),
            name: Some(claim.name_any()),
            namespace: claim.namespace(),
            uid: claim.uid(),
            ..Default::default()
        };
        tokio::spawn(async move {
            if let Err(error) = recorder.publish(&event, &about).await {
                tracing::warn!(claim = about.name, %error, "event not written");
            }
        });
    }
}
