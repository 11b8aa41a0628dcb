//! What the operator says of an object: its status, and events on transitions.

use super::apply::Error;
use super::{Context, lock, memory};
use crate::base::condition::{self, Reason, State};
use crate::base::object::Owner;
use crate::kind::Kind;
use crate::kind::ollamamodel::plan::Note;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use kube::api::{Patch, PatchParams};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Api, Client};
use serde_json::{Value, json};
use std::sync::Mutex;

/// The field manager of every status.
const MANAGER: &str = "llm-operator-status";

/// So many events are remembered, to count them when they repeat.
const REMEMBERED: usize = 100;

/// Who events come from.
pub(super) struct Teller {
    client: Client,
    reporter: Reporter,
    /// And how many events it was asked for.
    present: Mutex<(Recorder, usize)>,
}

impl Teller {
    pub(super) fn new(client: &Client, pod: &str) -> Self {
        let reporter = Reporter {
            controller: "llm-operator".into(),
            instance: Some(pod.to_string()),
        };
        Self {
            present: Mutex::new((Recorder::new(client.clone(), reporter.clone()), 0)),
            client: client.clone(),
            reporter,
        }
    }

    /// For one event. A recorder keeps each whole for six minutes, which takes megabytes when many stacks come at once: so
    /// now and then another one begins, and what repeats from before is a new event in place of a higher count.
    pub(super) fn recorder(&self) -> Recorder {
        let mut present = lock(&self.present);
        if present.1 == REMEMBERED {
            *present = (Recorder::new(self.client.clone(), self.reporter.clone()), 0);
        }
        present.1 += 1;
        present.0.clone()
    }
}

/// Writes the status where it differs, and tells of transitions.
pub(super) async fn report<K: Kind>(context: &Context, object: &K, owner: &Owner, status: &Value) -> Result<(), Error> {
    let old = serde_json::to_value(object)
        .map(|o| o["status"].clone())
        .unwrap_or_default();
    if old == *status {
        return Ok(());
    }
    let (before, after) = (conditions(&old), conditions(status));
    let body = json!({
        "apiVersion": K::api_version(&()), "kind": K::kind(&()),
        "metadata": {"name": owner.name, "namespace": owner.namespace, "uid": owner.uid},
        "status": status,
    });
    let parameters = PatchParams::apply(MANAGER).force();
    write::<K>(context, &owner.namespace, &owner.name, &parameters, &Patch::Apply(body)).await?;
    let reference = object.object_ref(&());
    for condition in transitions(&before, &after) {
        tell(context, &reference, condition).await;
    }
    Ok(())
}

/// Says that a stored object no longer fits its kind; nothing else is done for it.
pub(super) async fn undecodable<K: Kind>(context: &Context, meta: &ObjectMeta, error: &str) -> Result<(), Error> {
    let (Some(name), Some(namespace), Some(uid)) = (&meta.name, &meta.namespace, &meta.uid) else {
        return Ok(());
    };
    let message = format!(
        "the stored object does not fit {}: {error}; apply it again in its present form",
        K::kind(&())
    );
    let key = memory::key(&K::kind(&()), namespace, name);
    if context.memory.is_said(&key, &message) {
        return Ok(());
    }
    let told = vec![
        State::new("Valid", false, Reason::Undecodable, &message),
        State::new("Stalled", true, Reason::Undecodable, &message),
        State::new("Ready", false, Reason::Undecodable, &message),
    ];
    let conditions = condition::merge(&[], told, meta.generation, context.now());
    let reference = ObjectReference {
        api_version: Some(K::api_version(&()).into_owned()),
        kind: Some(K::kind(&()).into_owned()),
        name: Some(name.clone()),
        namespace: Some(namespace.clone()),
        uid: Some(uid.clone()),
        ..ObjectReference::default()
    };
    let status = json!({"observedGeneration": meta.generation, "conditions": conditions});
    let body = json!({"metadata": {"uid": uid}, "status": status});
    // Not applied: the API server cannot type the object for that.
    let parameters = PatchParams {
        field_manager: Some(MANAGER.into()),
        ..PatchParams::default()
    };
    write::<K>(context, namespace, name, &parameters, &Patch::Merge(body)).await?;
    context.memory.said(&key, message);
    tell(context, &reference, &conditions[0]).await;
    Ok(())
}

async fn write<K: Kind>(
    context: &Context,
    namespace: &str,
    name: &str,
    parameters: &PatchParams,
    patch: &Patch<Value>,
) -> Result<(), Error> {
    let api: Api<kube::core::DynamicObject> = Api::namespaced_with(
        context.client.clone(),
        namespace,
        &kube::discovery::ApiResource::erase::<K>(&()),
    );
    match api.patch_status(name, parameters, patch).await {
        Ok(_) => Ok(()),
        // Deleted while we looked: there is nothing to say of it any more.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(source) => Err(Error::Api {
            what: format!("write the status of {} {name}", K::kind(&())),
            source: Box::new(source),
        }),
    }
}

fn conditions(status: &Value) -> Vec<Condition> {
    serde_json::from_value(status["conditions"].clone()).unwrap_or_default()
}

/// Conditions worth an event: those that changed, seen from what was known before.
fn transitions<'a>(before: &[Condition], after: &'a [Condition]) -> Vec<&'a Condition> {
    let told = |c: &&Condition| match c.type_.as_str() {
        "Ready" => true,
        "Valid" | "ModelsReady" => c.status == "False",
        "Stalled" | "Degraded" => c.status == "True",
        _ => false,
    };
    let changed = |c: &&Condition| {
        let old = before.iter().find(|b| b.type_ == c.type_);
        old.is_none_or(|old| old.status != c.status || old.reason != c.reason)
    };
    let mut found: Vec<&Condition> = after.iter().filter(told).filter(changed).collect();
    // One cause shows in several conditions; it is told once.
    found.sort_by_key(|c| (c.reason.clone(), c.type_ != "Ready"));
    found.dedup_by_key(|c| c.reason.clone());
    found
}

async fn tell(context: &Context, reference: &ObjectReference, condition: &Condition) {
    let good = condition.type_ == "Ready" && condition.status == "True";
    let waits = [Reason::Pulling, Reason::RollingOut, Reason::NoServer]
        .iter()
        .any(|r| r.name() == condition.reason);
    publish(context, reference, good || waits, &condition.reason, &condition.message).await;
}

/// Tells of something that no condition shows.
pub(super) async fn note<K: Kind>(context: &Context, object: &K, note: &Note) {
    tell_of(context, &object.object_ref(&()), note).await;
}

/// The same of an object that is known by its reference.
pub(super) async fn tell_of(context: &Context, reference: &ObjectReference, note: &Note) {
    let good = [Reason::Deleted, Reason::Refreshed, Reason::Retained].contains(&note.reason);
    publish(context, reference, good, &note.reason.name(), &note.message).await;
}

/// An event that cannot be written is a line in the log, never a failure.
async fn publish(context: &Context, reference: &ObjectReference, good: bool, reason: &str, message: &str) {
    let event = Event {
        type_: if good { EventType::Normal } else { EventType::Warning },
        reason: reason.into(),
        note: Some(message.into()),
        action: condition::action("Reconcile", message),
        secondary: None,
    };
    match context.teller.recorder().publish(&event, reference).await {
        // Nobody would read it: the namespace goes, or went with an event that this one repeats.
        Err(kube::Error::Api(status)) if status.code == 404 || super::apply::is_terminating(&status) => {}
        Err(error) => tracing::warn!(object = reference.name, reason = event.reason, %error, "event not written"),
        Ok(()) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn states(states: Vec<State>) -> Vec<Condition> {
        condition::merge(&[], states, Some(1), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn one_cause_is_told_once_and_only_when_it_changes() {
        let pulling = || {
            states(vec![
                State::new("ModelsReady", false, Reason::Pulling, "m"),
                State::new("Ready", false, Reason::Pulling, "m"),
                State::new("Progressing", true, Reason::Pulling, "m"),
            ])
        };
        let first = pulling();
        let told = transitions(&[], &first);
        assert_eq!(told.iter().map(|c| c.type_.as_str()).collect::<Vec<_>>(), ["Ready"]);
        assert!(transitions(&first, &pulling()).is_empty());
        let ready = states(vec![State::new("Ready", true, Reason::Reconciled, "m")]);
        assert_eq!(transitions(&first, &ready).len(), 1);
    }
}
