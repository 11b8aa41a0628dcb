//! One watch on one kind of child, and how what it brings gets onto the shelves.

use super::slim::{Keep, is_same, slim};
use super::{Cache, Touched, place};
use crate::base::object::DEPLOYMENT;
use crate::controller::watched::{each, paged};
use futures::{StreamExt, TryStreamExt};
use kube::core::{DynamicObject, DynamicResourceScope, PartialObjectMeta};
use kube::discovery::ApiResource;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{Event, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::Value;
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

/// One watch, and what it saw while it was listing.
pub(super) struct Feed {
    cache: Arc<Cache>,
    resource: ApiResource,
    namespace: Option<String>,
    touched: broadcast::Sender<Touched>,
    listing: Option<HashSet<(String, String)>>,
    filled: bool,
    /// The kind may not be served, or not yet.
    optional: bool,
    /// The last error, which is not told again.
    said: String,
}

impl Feed {
    pub(super) fn new(
        cache: Arc<Cache>,
        resource: ApiResource,
        namespace: Option<String>,
        touched: broadcast::Sender<Touched>,
    ) -> Self {
        Self {
            cache,
            resource,
            namespace,
            touched,
            listing: None,
            filled: false,
            optional: false,
            said: String::new(),
        }
    }

    /// The same for a kind that the cluster may not serve: nobody waits for it, and it is known to be served when it was
    /// listed.
    pub(super) fn optional(mut self) -> Self {
        self.optional = true;
        self.filled = true;
        self
    }

    pub(super) async fn run(mut self, client: Client, keep: Keep, labels: String, stop: CancellationToken) {
        let config = paged().labels(&labels);
        let resource = self.resource.clone();
        let stream = match keep {
            Keep::Fields(_) => {
                let api: Api<DynamicObject> = self.api(client);
                watcher(api, config).default_backoff().boxed()
            }
            Keep::Metadata => {
                let api: Api<PartialObjectMeta<DynamicObject>> = self.api(client);
                let events = watcher(api, config).default_backoff();
                events.map_ok(|event| each(event, plain)).boxed()
            }
        };
        let mut stream = stream.take_until(stop.cancelled_owned()).boxed();
        while let Some(result) = stream.next().await {
            match result {
                Ok(event) => self.take(event, keep),
                Err(error) => {
                    let error = error.to_string();
                    if !self.optional || error != self.said {
                        tracing::warn!(kind = resource.kind, error, "watch failed; it is tried again");
                        self.said = error;
                    }
                }
            }
        }
    }

    fn api<K>(&self, client: Client) -> Api<K>
    where
        K: Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>,
    {
        match &self.namespace {
            Some(namespace) => Api::namespaced_with(client, namespace, &self.resource),
            None => Api::all_with(client, &self.resource),
        }
    }

    fn take(&mut self, event: Event<DynamicObject>, keep: Keep) {
        match event {
            Event::Init => self.listing = Some(HashSet::new()),
            Event::InitApply(object) => {
                if let Some(listing) = &mut self.listing {
                    listing.insert((object.namespace().unwrap_or_default(), object.name_any()));
                }
                self.put(object, keep);
            }
            Event::InitDone => self.sweep(),
            Event::Apply(object) => self.put(object, keep),
            Event::Delete(object) => self.drop_object(&object),
        }
    }

    fn put(&mut self, mut object: DynamicObject, keep: Keep) {
        let Some(stack) = stack(&object) else { return };
        slim(&mut object, &self.resource, keep);
        let at = (object.namespace().unwrap_or_default(), stack);
        let place = place(&self.resource.kind, &object.name_any());
        let before = self.cache.lock().entry(at.clone()).or_default().put(place, &object);
        match before {
            Ok(Some(before)) if is_same(&before, &object) => {}
            Ok(_) => self.touch(at.0, at.1),
            Err(error) => tracing::error!(%error, namespace = at.0, stack = at.1, "an object cannot be remembered"),
        }
    }

    fn drop_object(&mut self, object: &DynamicObject) {
        let Some(stack) = stack(object) else { return };
        let at = (object.namespace().unwrap_or_default(), stack);
        let gone = place(&self.resource.kind, &object.name_any());
        let mut shelves = self.cache.lock();
        if let Some(shelf) = shelves.get_mut(&at) {
            if let Err(error) = shelf.keep(|place| place != gone) {
                tracing::error!(%error, namespace = at.0, stack = at.1, "an object cannot be forgotten");
            }
            if shelf.is_empty() {
                shelves.remove(&at);
            }
        }
        drop(shelves);
        self.touch(at.0, at.1);
    }

    /// What was there before a list and is not in it is gone.
    fn sweep(&mut self) {
        let Some(listing) = self.listing.take() else { return };
        if self.optional && self.cache.serves_routes() {
            let _ = self.touched.send(Touched::Offer);
        }
        let kind = place(&self.resource.kind, "");
        let gone = self.cache.sweep(self.namespace.as_deref(), |namespace, place| {
            let is_listed = |name: &str| listing.contains(&(namespace.to_string(), name.to_string()));
            place.strip_prefix(&*kind).is_none_or(is_listed)
        });
        for (namespace, stack) in gone {
            self.touch(namespace, stack);
        }
        if !std::mem::replace(&mut self.filled, true) {
            self.cache.filled.send_modify(|n| *n += 1);
        }
    }

    fn touch(&self, namespace: String, stack: String) {
        let pod = self.resource.kind == "Pod";
        // Without a receiver no controller runs yet; each begins with all objects.
        let _ = self.touched.send(Touched::Child { namespace, stack, pod });
    }
}

/// The stack that an object belongs to.
fn stack(object: &DynamicObject) -> Option<String> {
    object.labels().get(DEPLOYMENT).cloned()
}

fn plain(meta: PartialObjectMeta<DynamicObject>) -> DynamicObject {
    DynamicObject {
        types: None,
        metadata: meta.metadata,
        data: Value::Null,
    }
}
