//! What this process remembers of its own doings: what it sent, so that nothing is sent twice, and how often it failed.

use super::{cache, lock};
use crate::base::hash;
use crate::base::object::Object;
use crate::kind::ollamamodel::plan::Note;
use kube::ResourceExt;
use kube::core::DynamicObject;
use rand::Rng;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// The wait after the first failure, and the longest one.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));
/// An own write reaches the watch well within this; if it does not, it is sent again.
const SETTLE: Duration = Duration::from_secs(10);

/// By [`key`] of the owner.
#[derive(Default)]
pub(super) struct Memory(Mutex<HashMap<String, Doings>>);

#[derive(Default)]
struct Doings {
    /// A list of just that length, since a map has as much room to spare as it uses.
    sent: Vec<Sent>,
    failures: u32,
    said: String,
    /// What is worth an event and was told.
    notes: Vec<Note>,
    /// When progress was last written.
    paced: Option<Instant>,
}

/// Stands for a value that only has to be told from others: there are twenty of these for every stack, in three places.
type Digest = [u8; 8];

struct Sent {
    /// See [`place`].
    place: Digest,
    /// See [`wanted`].
    body: Digest,
    /// See [`mark`].
    after: Digest,
    /// Until the watch has caught up.
    awaited: Option<Box<Awaited>>,
}

struct Awaited {
    /// What the watch showed when it was sent: while it still shows that, it has not caught up.
    before: Option<String>,
    since: Instant,
}

/// What an object is remembered by: its name, since an object that is gone has no uid any more.
pub(super) fn key(kind: &str, namespace: &str, name: &str) -> String {
    format!("{kind}/{namespace}/{name}")
}

impl Memory {
    /// True when the object, as it should be, was sent, and nobody has changed it since.
    pub(super) fn is_sent(&self, owner: &str, object: &Object, live: Option<&DynamicObject>) -> bool {
        let mut all = self.lock();
        let place = place(object);
        let mut sent = all.get_mut(owner).into_iter().flat_map(|doings| &mut doings.sent);
        let Some(sent) = sent.find(|sent| sent.place == place) else {
            return false;
        };
        if sent.body != wanted(object, live) {
            return false;
        }
        if live.is_some_and(|live| mark(live) == sent.after) {
            // From now on an absence is a deletion.
            sent.awaited = None;
            return true;
        }
        let version = live.and_then(ResourceExt::resource_version);
        let behind = |awaited: &Awaited| awaited.before == version && awaited.since.elapsed() < SETTLE;
        sent.awaited.as_deref().is_some_and(behind)
    }

    /// Notes what was sent, what the watch showed before, and what the API server answered.
    pub(super) fn sent(&self, owner: &str, object: &Object, before: Option<&DynamicObject>, answer: &DynamicObject) {
        let sent = Sent {
            place: place(object),
            body: wanted(object, Some(answer)),
            after: mark(answer),
            awaited: Some(Box::new(Awaited {
                before: before.and_then(ResourceExt::resource_version),
                since: Instant::now(),
            })),
        };
        let mut all = self.lock();
        let doings = all.entry(owner.to_string()).or_default();
        doings.sent.retain(|before| before.place != sent.place);
        doings.sent.reserve_exact(1);
        doings.sent.push(sent);
    }

    /// How long to wait after one more failure.
    pub(super) fn failed(&self, owner: &str) -> Duration {
        let mut all = self.lock();
        let doings = all.entry(owner.to_string()).or_default();
        let pause = BACKOFF.0.saturating_mul(1 << doings.failures.min(10)).min(BACKOFF.1);
        doings.failures += 1;
        pause.mul_f64(rand::rng().random_range(0.8..1.2))
    }

    /// The owner is well again.
    pub(super) fn succeeded(&self, owner: &str) {
        if let Some(doings) = self.lock().get_mut(owner) {
            doings.failures = 0;
        }
    }

    /// True when this was the last thing said of the object.
    pub(super) fn is_said(&self, owner: &str, message: &str) -> bool {
        self.lock().get(owner).is_some_and(|doings| doings.said == message)
    }

    /// Notes what was said of the object, once it was heard.
    pub(super) fn said(&self, owner: &str, message: String) {
        self.lock().entry(owner.to_string()).or_default().said = message;
    }

    /// The notes that were not there a moment ago: each is told when it arises, and again when it comes back.
    pub(super) fn new_notes(&self, owner: &str, notes: &[Note]) -> Vec<Note> {
        let mut all = self.lock();
        if notes.is_empty() && !all.contains_key(owner) {
            return vec![];
        }
        let doings = all.entry(owner.to_string()).or_default();
        let before = std::mem::replace(&mut doings.notes, notes.to_vec());
        notes.iter().filter(|note| !before.contains(note)).cloned().collect()
    }

    /// True when that much time has passed since it was last true.
    pub(super) fn is_time(&self, owner: &str, pause: Duration) -> bool {
        let mut all = self.lock();
        let doings = all.entry(owner.to_string()).or_default();
        let is_time = doings.paced.is_none_or(|at| at.elapsed() >= pause);
        if is_time {
            doings.paced = Some(Instant::now());
        }
        is_time
    }

    /// The owner is gone. True when anything was known of it: its children are told of later, one by one.
    pub(super) fn forget(&self, owner: &str) -> bool {
        self.lock().remove(owner).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Doings>> {
        lock(&self.0)
    }
}

/// Where an object lies on the shelf of its owner.
fn place(object: &Object) -> Digest {
    hash::digest(&json!([object.resource.kind, object.name]))
}

/// What an object should be. The class that a claim has got is said again from then on, since it can never change: that is
/// nothing new.
fn wanted(object: &Object, live: Option<&DynamicObject>) -> Digest {
    const CLASS: &str = "storageClassName";
    let is_claim = object.resource.kind == "PersistentVolumeClaim";
    let differs = |live: &DynamicObject| live.data["spec"][CLASS] != object.body["spec"][CLASS];
    if !is_claim || live.is_some_and(differs) {
        return hash::digest(&object.body);
    }
    let mut body = object.body.clone();
    if let Some(spec) = body["spec"].as_object_mut() {
        spec.remove(CLASS);
    }
    hash::digest(&body)
}

/// Tells a change by others: by the generation, or the version where there is none. Labels and our annotations, which all
/// that is kept of an object has, make no new generation. The uid is part of it: an object that was deleted and made again
/// by someone else is another one.
fn mark(live: &DynamicObject) -> Digest {
    let meta = &live.metadata;
    let state = match (meta.generation, substance(live)) {
        (Some(generation), _) => json!(generation),
        (None, Some(substance)) => substance,
        (None, None) => json!(meta.resource_version),
    };
    hash::digest(&json!([meta.uid, meta.labels, meta.annotations, state]))
}

/// What counts of the kinds that have no generation, but a status, or a spec that others fill in.
fn substance(live: &DynamicObject) -> Option<Value> {
    let spec = &live.data["spec"];
    match live.types.as_ref()?.kind.as_str() {
        // They have none before Kubernetes 1.36, and a status that changes four times a minute.
        cache::AUTOSCALER => Some(spec.clone()),
        // Bound, it has a volume; all else of its spec can never change.
        "PersistentVolumeClaim" => Some(spec["resources"].clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Memory, mark};
    use crate::base::object::{Object, Owner};
    use k8s_openapi::api::core::v1::PersistentVolumeClaim;
    use kube::core::DynamicObject;
    use serde_json::json;

    fn claim(version: &str, size: &str, volume: Option<&str>) -> DynamicObject {
        let object = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": "chat", "uid": "u", "resourceVersion": version, "labels": {"llm-deployment": "chat"}},
            "spec": {"resources": {"requests": {"storage": size}}, "volumeName": volume},
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn a_claim_that_is_bound_is_not_changed_and_one_that_has_grown_is() {
        let made = mark(&claim("1", "1Gi", None));
        assert_eq!(mark(&claim("2", "1Gi", Some("pv"))), made);
        assert_ne!(mark(&claim("2", "2Gi", Some("pv"))), made);
        let mut other = claim("1", "1Gi", None);
        other.metadata.labels = None;
        assert_ne!(mark(&other), made);
    }

    #[test]
    fn a_class_that_the_cluster_gave_to_a_claim_is_not_sent_back() {
        let claim = |class: Option<&str>| -> Object {
            let mut spec = json!({"resources": {"requests": {"storage": "1Gi"}}});
            if let Some(class) = class {
                spec["storageClassName"] = class.into();
            }
            Owner::sample().object::<PersistentVolumeClaim>("openwebui", "chat", json!({"spec": spec}))
        };
        let live = |class: Option<&str>| -> DynamicObject {
            let mut live = self::claim("1", "1Gi", None);
            live.data["spec"]["storageClassName"] = class.into();
            live
        };
        let memory = Memory::default();
        memory.sent("chat", &claim(None), None, &live(Some("fast")));
        let is_sent = |class, has: Option<DynamicObject>| memory.is_sent("chat", &claim(class), has.as_ref());
        assert!(is_sent(None, None), "the watch has not caught up");
        assert!(is_sent(Some("fast"), Some(live(Some("fast")))));
        assert!(!is_sent(Some("fast"), Some(live(None))), "a class where there is none");
    }

    #[test]
    fn a_label_that_was_taken_away_is_a_change_though_the_generation_is_the_same() {
        let object = |version: &str, labels: serde_json::Value| -> DynamicObject {
            let meta =
                json!({"name": "chat", "uid": "u", "generation": 1, "resourceVersion": version, "labels": labels});
            let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta});
            serde_json::from_value(object).unwrap()
        };
        let made = mark(&object("1", json!({"llm-deployment": "chat", "app": "ollama"})));
        assert_eq!(
            mark(&object("2", json!({"llm-deployment": "chat", "app": "ollama"}))),
            made
        );
        assert_ne!(mark(&object("2", json!({"llm-deployment": "chat"}))), made);
    }
}
