//! Whether the cluster has the Gateway API, which comes and goes with its definitions: routes are watched only while it has.

use super::feed::Feed;
use super::{Cache, Keep, Touched};
use crate::component::common::gateway::{DEFINITION, HttpRoute};
use futures::StreamExt;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::{DynamicObject, PartialObjectMeta};
use kube::discovery::ApiResource;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use std::sync::Arc;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

/// Watches the definition of routes, and the routes while it is there.
pub(super) struct Gateway {
    pub(super) cache: Arc<Cache>,
    pub(super) client: Client,
    pub(super) scopes: Vec<Option<String>>,
    pub(super) labels: String,
    pub(super) touched: broadcast::Sender<Touched>,
    /// Ends the watches on routes.
    pub(super) routes: Option<CancellationToken>,
    /// It is known whether the definition is there.
    pub(super) known: bool,
}

impl Gateway {
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let definition = ApiResource::erase::<CustomResourceDefinition>(&());
        let api: Api<PartialObjectMeta<DynamicObject>> = Api::all_with(self.client.clone(), &definition);
        let config = watcher::Config::default().fields(&format!("metadata.name={DEFINITION}"));
        let stream = watcher(api, config).default_backoff();
        let mut stream = stream.take_until(stop.clone().cancelled_owned()).boxed();
        let (mut listed, mut said) = (false, String::new());
        while let Some(result) = stream.next().await {
            match result {
                Ok(Event::Init) => listed = false,
                // It takes the routes with it, and refuses new ones meanwhile.
                Ok(Event::InitApply(meta) | Event::Apply(meta)) if meta.metadata.deletion_timestamp.is_some() => {
                    self.close();
                }
                Ok(Event::InitApply(_) | Event::Apply(_)) => {
                    listed = true;
                    self.open(&stop);
                }
                Ok(Event::InitDone) => {
                    if !listed {
                        self.close();
                    }
                    self.know();
                }
                Ok(Event::Delete(_)) => self.close(),
                Err(error) => {
                    // Without the right to see definitions there are no routes, and everything else goes on.
                    let error = error.to_string();
                    if error != said {
                        tracing::warn!(definition = DEFINITION, error, "watch failed; it is tried again");
                        said = error;
                    }
                    self.know();
                }
            }
        }
    }

    fn open(&mut self, stop: &CancellationToken) {
        if self.routes.is_some() {
            return;
        }
        let routes = stop.child_token();
        let resource = ApiResource::erase::<HttpRoute>(&());
        for scope in self.scopes.clone() {
            let feed = Feed::new(Arc::clone(&self.cache), resource.clone(), scope, self.touched.clone()).optional();
            tokio::spawn(feed.run(
                self.client.clone(),
                Keep::Fields(&["status"]),
                self.labels.clone(),
                routes.clone(),
            ));
        }
        self.routes = Some(routes);
    }

    fn close(&mut self) {
        if let Some(routes) = self.routes.take() {
            routes.cancel();
            tracing::info!(definition = DEFINITION, "the Gateway API was removed");
        }
        self.cache.drop_routes();
        let _ = self.touched.send(Touched::Offer);
    }

    /// Nobody waits any longer to hear whether there are routes.
    fn know(&mut self) {
        if !std::mem::replace(&mut self.known, true) {
            self.cache.filled.send_modify(|n| *n += 1);
        }
    }
}
