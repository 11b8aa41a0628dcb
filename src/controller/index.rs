//! All objects of our kinds, over all watched namespaces: what some of them must know of the others.

mod whereabouts;

use super::lock;
use super::packed::Parcel;
#[cfg(test)]
use crate::base::object::Owner;
use crate::kind::older::Stack;
use crate::kind::ollamamodel::{OllamaModel, Place};
use crate::kind::takeover;
use futures::future::{self, BoxFuture};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::jiff::Timestamp;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt};
use std::collections::{BTreeSet, HashSet};
use std::sync::Mutex;
use tokio::sync::watch;
use whereabouts::Whereabouts;
pub(super) use whereabouts::{Name, Site};

/// The stores that the controllers fill, one for each kind and scope.
#[derive(Default)]
pub(super) struct Index {
    stacks: Mutex<Vec<Stacks>>,
    models: Mutex<Vec<(Store<Parcel<OllamaModel>>, Presence)>>,
    whereabouts: Mutex<Whereabouts>,
}

/// True once the API server has said that it knows no such kind: there is nothing to wait for.
pub(super) type Presence = watch::Receiver<bool>;

/// Finds a stack by namespace and name.
type Find = Box<dyn Fn(&str, &str) -> Option<Known> + Send + Sync>;
/// Waits until all are known.
type Filled = Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// The stacks of one kind in one scope, whatever its type is.
struct Stacks {
    find: Find,
    filled: Filled,
}

/// What others know of a stack.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// Its kind, name and uid.
    pub(super) reference: ObjectReference,
    /// It is being deleted.
    pub(super) going: bool,
    /// The kind whose stack of the same name it takes over.
    pub(super) takes_over: Option<&'static str>,
    born: Option<Timestamp>,
}

impl Known {
    fn of<S: Stack>(object: &Parcel<S>) -> Self {
        let object = DeserializeGuard(object.open().map_err(|error| *error));
        let meta = object.meta();
        let reference = ObjectReference {
            api_version: Some(S::api_version(&()).into_owned()),
            kind: Some(S::kind(&()).into_owned()),
            name: meta.name.clone(),
            namespace: meta.namespace.clone(),
            uid: meta.uid.clone(),
            ..ObjectReference::default()
        };
        Self {
            reference,
            going: meta.deletion_timestamp.is_some(),
            takes_over: object.0.as_ref().ok().and_then(takeover::predecessor),
            born: meta.creation_timestamp.as_ref().map(|t| t.0),
        }
    }

    #[cfg(test)]
    pub(super) fn new(owner: &Owner, second: i64, takes_over: Option<&'static str>) -> Self {
        let reference = ObjectReference {
            kind: Some(owner.kind.clone()),
            name: Some(owner.name.clone()),
            uid: Some(owner.uid.clone()),
            ..ObjectReference::default()
        };
        Self {
            reference,
            going: false,
            takes_over,
            born: Timestamp::from_second(second).ok(),
        }
    }

    pub(super) fn uid(&self) -> &str {
        self.reference.uid.as_deref().unwrap_or_default()
    }

    pub(super) fn kind(&self) -> &str {
        self.reference.kind.as_deref().unwrap_or_default()
    }

    /// By which of two that nothing else tells apart, the one that was there first is found.
    pub(super) fn age(&self) -> (Option<Timestamp>, &str) {
        (self.born, self.uid())
    }
}

impl Index {
    pub(super) fn add_stacks<S: Stack>(&self, store: Store<Parcel<S>>, absent: Presence) {
        let waited = store.clone();
        lock(&self.stacks).push(Stacks {
            find: Box::new(move |namespace, name| {
                let reference = ObjectRef::new(name).within(namespace);
                store.get(&reference).map(|object| Known::of(&*object))
            }),
            filled: Box::new(move || Box::pin(filled(waited.clone(), absent.clone()))),
        });
    }

    pub(super) fn add_models(&self, store: Store<Parcel<OllamaModel>>, absent: Presence) {
        lock(&self.models).push((store, absent));
    }

    /// Returns when every store has listed what there is: what is not in one then does not exist.
    pub(super) async fn filled(&self) {
        let stacks: Vec<_> = lock(&self.stacks).iter().map(|stacks| (stacks.filled)()).collect();
        let models = lock(&self.models).clone();
        future::join_all(stacks).await;
        future::join_all(models.into_iter().map(|(store, absent)| filled(store, absent))).await;
    }

    /// The stacks of that name: one, or one of each kind.
    pub(super) fn stacks(&self, namespace: &str, name: &str) -> Vec<Known> {
        let all = lock(&self.stacks);
        all.iter().filter_map(|stacks| (stacks.find)(namespace, name)).collect()
    }

    /// Notes where a model is; the places at which that is new.
    pub(super) fn place(&self, name: Name, site: Option<Site>) -> BTreeSet<Place> {
        lock(&self.whereabouts).put(name, site)
    }

    /// Forgets where models are that no store has any more; the places that they were at.
    pub(super) fn sweep(&self) -> BTreeSet<Place> {
        let stores = lock(&self.models).clone();
        let is_there = |(namespace, name): &Name| {
            let reference = ObjectRef::new(name).within(namespace);
            stores.iter().any(|(store, _)| store.get(&reference).is_some())
        };
        lock(&self.whereabouts).keep(is_there)
    }

    /// The models at a place, or those of them that need the model with that key.
    pub(super) fn models_at(&self, place: &Place, key: Option<&str>) -> Vec<Name> {
        lock(&self.whereabouts).at(place, key)
    }

    /// The models at any port of a Service.
    pub(super) fn models_of_service(&self, namespace: &str, service: &str) -> Vec<Name> {
        lock(&self.whereabouts).of_service(namespace, service)
    }

    /// How many of these models nobody needs at a place.
    pub(super) fn unwanted(&self, place: &Place, held: &HashSet<String>) -> usize {
        let whereabouts = lock(&self.whereabouts);
        let wanted = whereabouts.wanted(place);
        held.iter().filter(|key| !wanted.contains(key.as_str())).count()
    }

    /// Other models that are not going, of those that need that one on servers which may be those of the place.
    pub(super) fn others(&self, of: &OllamaModel, place: &Place, key: &str) -> Vec<OllamaModel> {
        let near = lock(&self.whereabouts).near(place, key);
        let stores = lock(&self.models);
        let find = |(namespace, name): &Name| {
            let reference = ObjectRef::new(name).within(namespace);
            stores.iter().find_map(|(store, _)| store.get(&reference))?.open().ok()
        };
        let others = near.iter().filter_map(find);
        others
            .filter(|m| m.uid() != of.uid() && m.metadata.deletion_timestamp.is_none())
            .collect()
    }
}

/// Returns when the store has listed what there is, or there is no such kind. A store whose controller has ended is never
/// filled, and its process ends.
async fn filled<K>(store: Store<K>, mut absent: Presence)
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let gone = async {
        // The sender lives as long as the controller.
        let _ = absent.wait_for(|absent| *absent).await;
    };
    future::select(Box::pin(store.wait_until_ready()), Box::pin(gone)).await;
}
