//! What lives in the cluster and is ours, by stack: fed by watches on our label, so that reading costs no request.

mod feed;
mod gateway;
mod shelf;
mod slim;

use super::lock;
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
use shelf::{Shelf, place};
pub(super) use slim::Keep;
use slim::slim;
use std::collections::HashMap;
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
        self.sweep(None, |_, place| !place.starts_with(&routes));
    }

    /// Of one namespace, or of all, leaves only what lies at such places; the stacks that have lost something.
    fn sweep(&self, scope: Option<&str>, is_kept: impl Fn(&str, &str) -> bool) -> Vec<(String, String)> {
        let mut shelves = self.lock();
        let mut poorer = vec![];
        for (stack, shelf) in shelves
            .iter_mut()
            .filter(|(stack, _)| scope.is_none_or(|scope| scope == stack.0))
        {
            match shelf.keep(|place| is_kept(&stack.0, place)) {
                Ok(true) => poorer.push(stack.clone()),
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(%error, namespace = stack.0, stack = stack.1, "what is gone cannot be forgotten");
                }
            }
        }
        shelves.retain(|_, shelf| !shelf.is_empty());
        poorer
    }

    /// Returns when every watch has listed what there is.
    pub(super) async fn filled(&self) {
        // The sender lives as long as the cache, so waiting cannot fail.
        let _ = self.filled.subscribe().wait_for(|n| *n >= self.watches).await;
    }

    /// Everything of a stack.
    pub(super) fn shelf(&self, namespace: &str, stack: &str) -> Vec<DynamicObject> {
        self.objects(namespace, stack, None)
    }

    /// The pods of a stack.
    pub(super) fn pods(&self, namespace: &str, stack: &str) -> Vec<DynamicObject> {
        self.objects(namespace, stack, Some("Pod"))
    }

    fn objects(&self, namespace: &str, stack: &str, kind: Option<&str>) -> Vec<DynamicObject> {
        let shelves = self.lock();
        let stack = shelves.get(&(namespace.to_string(), stack.to_string()));
        stack.map(|shelf| shelf.objects(kind)).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), Shelf>> {
        lock(&self.shelves)
    }
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
