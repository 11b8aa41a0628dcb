//! What lives in the cluster and is ours, by stack: fed by watches on our label, so that reading costs no request.

mod feed;
mod gateway;
mod slim;

use super::lock;
use super::packed::Packed;
use crate::component::common::gateway::HttpRoute;
use crate::kind::ollamamodel::OllamaModel;
use crate::ollama::fleet::News;
use feed::Feed;
use gateway::Gateway;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Client;
use kube::core::DynamicObject;
use kube::discovery::ApiResource;
pub(super) use slim::Keep;
use slim::slim;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

/// Something that may matter to objects of our kinds.
#[derive(Clone, Debug)]
pub(super) enum Touched {
    /// A child, or a pod of a stack.
    Child {
        /// The namespace of both.
        namespace: String,
        /// The stack.
        stack: String,
        /// It is a pod.
        pod: bool,
    },
    /// The cluster offers an API that it did not offer before, or the other way round.
    Offer,
    /// The servers at a place have news.
    Servers(News),
    /// A Service that a model names, or a pod behind it.
    Service {
        /// The namespace.
        namespace: String,
        /// The Service.
        name: String,
    },
}

/// The kinds of children, and what is kept of each: only what some part of the operator reads.
pub(super) fn children() -> Vec<(ApiResource, Keep)> {
    use kube::Resource;
    fn of<K: Resource<DynamicType = ()>>(keep: Keep) -> (ApiResource, Keep) {
        (ApiResource::erase::<K>(&()), keep)
    }
    vec![
        of::<ConfigMap>(Keep::Fields(&["data"])),
        of::<Deployment>(Keep::Fields(&["status"])),
        of::<StatefulSet>(Keep::Fields(&["status"])),
        of::<PersistentVolumeClaim>(Keep::Fields(&["spec", "status"])),
        of::<Pod>(Keep::Fields(&["status"])),
        of::<HorizontalPodAutoscaler>(Keep::Fields(&["spec", "status"])),
        of::<OllamaModel>(Keep::Fields(&["status"])),
        of::<Service>(Keep::Metadata),
        of::<ServiceAccount>(Keep::Metadata),
        of::<Secret>(Keep::Metadata),
        of::<Ingress>(Keep::Metadata),
        of::<NetworkPolicy>(Keep::Metadata),
        of::<PodDisruptionBudget>(Keep::Metadata),
    ]
}

/// What the older operator left of a stack, and nobody of ours has marked: it goes once its heirs are there.
pub(super) fn left() -> Vec<(ApiResource, Keep)> {
    vec![
        (ApiResource::erase::<Deployment>(&()), Keep::Metadata),
        (ApiResource::erase::<ReplicaSet>(&()), Keep::Metadata),
        (ApiResource::erase::<Pod>(&()), Keep::Fields(&["status"])),
    ]
}

/// How routes of the Gateway API are addressed.
fn route() -> ApiResource {
    ApiResource::erase::<HttpRoute>(&())
}

/// It has no generations before Kubernetes 1.36.
pub(super) const AUTOSCALER: &str = "HorizontalPodAutoscaler";

/// By [`place`].
type Shelf = BTreeMap<Box<str>, Packed<DynamicObject>>;

/// Everything of ours, by namespace and stack.
pub(super) struct Cache {
    shelves: Mutex<HashMap<(String, String), Shelf>>,
    filled: watch::Sender<usize>,
    watches: usize,
    /// The cluster serves routes of the Gateway API.
    routes: AtomicBool,
}

impl Cache {
    /// Starts a watch for each kind in each namespace (none means all), on what has the labels, until the token is
    /// cancelled; and on routes of the Gateway API, where they are wanted and for as long as the cluster serves them.
    pub(super) fn start(
        client: &Client,
        namespaces: &[String],
        kinds: Vec<(ApiResource, Keep)>,
        labels: &str,
        routes: bool,
        touched: &broadcast::Sender<Touched>,
        stop: &CancellationToken,
    ) -> Arc<Self> {
        let scopes: Vec<Option<String>> = if namespaces.is_empty() {
            vec![None]
        } else {
            namespaces.iter().cloned().map(Some).collect()
        };
        // One more finds out whether there is a Gateway API.
        let watches = kinds.len() * scopes.len() + usize::from(routes);
        let cache = Arc::new(Self {
            shelves: Mutex::default(),
            filled: watch::Sender::new(0),
            watches,
            routes: AtomicBool::new(false),
        });
        if routes {
            let gateway = Gateway {
                cache: Arc::clone(&cache),
                client: client.clone(),
                scopes: scopes.clone(),
                labels: labels.into(),
                touched: touched.clone(),
                routes: None,
                known: false,
            };
            tokio::spawn(gateway.run(stop.clone()));
        }
        for (resource, keep) in kinds {
            for namespace in scopes.clone() {
                let feed = Feed::new(Arc::clone(&cache), resource.clone(), namespace, touched.clone());
                tokio::spawn(feed.run(client.clone(), keep, labels.to_string(), stop.clone()));
            }
        }
        cache
    }

    /// True when the cluster does not serve objects of that kind.
    pub(super) fn lacks(&self, resource: &ApiResource) -> bool {
        *resource == route() && !self.routes.load(Ordering::Relaxed)
    }

    /// The cluster serves routes from now on; true when it did not before.
    fn serves_routes(&self) -> bool {
        !self.routes.swap(true, Ordering::Relaxed)
    }

    /// There are no routes any more.
    fn drop_routes(&self) {
        self.routes.store(false, Ordering::Relaxed);
        let routes = place(&route().kind, "");
        for shelf in self.lock().values_mut() {
            shelf.retain(|place, _| !place.starts_with(&*routes));
        }
    }

    /// Returns when every watch has listed what there is.
    pub(super) async fn filled(&self) {
        // The sender lives as long as the cache, so waiting cannot fail.
        let _ = self.filled.subscribe().wait_for(|n| *n >= self.watches).await;
    }

    /// Everything of a stack.
    pub(super) fn shelf(&self, namespace: &str, stack: &str) -> Vec<DynamicObject> {
        let shelves = self.lock();
        shelves
            .get(&(namespace.to_string(), stack.to_string()))
            .into_iter()
            .flat_map(|s| s.values().filter_map(open))
            .collect()
    }

    /// The pods of a stack, as far as `of` wants to know of them.
    pub(super) fn pods<T>(&self, namespace: &str, stack: &str, of: impl Fn(&DynamicObject) -> Option<T>) -> Vec<T> {
        let all = self.lock();
        let stack = all.get(&(namespace.to_string(), stack.to_string()));
        let pods = stack.into_iter().flatten().filter(|(at, _)| at.starts_with("Pod/"));
        pods.filter_map(|(_, pod)| of(&open(pod)?)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), Shelf>> {
        lock(&self.shelves)
    }
}

/// An object of a shelf. Were it spoilt, it would count as absent, and be looked for in the cluster.
fn open(packed: &Packed<DynamicObject>) -> Option<DynamicObject> {
    packed
        .open()
        .inspect_err(|error| tracing::error!(%error, "an object is not known any more"))
        .ok()
}

/// Where an object lies on the shelf of its stack.
pub(super) fn place(kind: &str, name: &str) -> Box<str> {
    format!("{kind}/{name}").into()
}

/// The live form of what the API server answered to an apply, as the watch will bring it.
pub(super) fn live(mut object: DynamicObject, resource: &ApiResource) -> DynamicObject {
    let keep = children()
        .into_iter()
        .chain([(route(), Keep::Fields(&["status"]))])
        .find(|(r, _)| r.kind == resource.kind)
        .map_or(Keep::Metadata, |(_, keep)| keep);
    slim(&mut object, resource, keep);
    object
}

/// How the API server addresses a live child.
pub(super) fn resource(object: &DynamicObject) -> Option<ApiResource> {
    let kind = &object.types.as_ref()?.kind;
    children()
        .into_iter()
        .map(|(resource, _)| resource)
        .chain([route()])
        .find(|r| r.kind == *kind)
}
