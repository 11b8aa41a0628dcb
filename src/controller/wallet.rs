//! The Secrets that manifests name: each watched by its name for as long as one names it, and shared by all that do.

use super::apply::Error;
use super::cache::Touched;
use super::lock;
use crate::base::secret::{Content, Secrets};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long a first look may take; the API server answers far sooner, or not at all.
const PATIENCE: Duration = Duration::from_secs(10);

/// Namespace and name, of a Secret or of the stack that names it.
type Place = (String, String);
/// What a watch has found: nothing yet, no such Secret, or its content.
type Found = Option<Option<Content>>;

/// The Secrets that are watched.
pub(super) struct Wallet {
    client: Client,
    touched: broadcast::Sender<Touched>,
    held: Arc<Mutex<HashMap<Place, Held>>>,
}

/// One Secret. Its watch ends with it.
struct Held {
    readers: HashSet<Place>,
    found: watch::Receiver<Found>,
    _stop: DropGuard,
}

impl Wallet {
    pub(super) fn new(client: Client, touched: broadcast::Sender<Touched>) -> Self {
        Self {
            client,
            touched,
            held: Arc::default(),
        }
    }

    /// What these Secrets hold. From now on the stack is touched when one of them changes; those that it named before
    /// and no longer does are let go.
    pub(super) async fn read(&self, stack: &Place, names: &BTreeSet<String>) -> Result<Secrets, Error> {
        let watched = self.watched(stack, names);
        let mut secrets = Secrets::default();
        for (name, mut found) in watched {
            let looked = tokio::time::timeout(PATIENCE, found.wait_for(Option::is_some)).await;
            let Ok(Ok(content)) = looked else {
                return Err(Error::Unread(name));
            };
            secrets.put(name, content.clone().flatten());
        }
        Ok(secrets)
    }

    /// The stack names nothing any more.
    pub(super) fn forget(&self, stack: &Place) {
        self.watched(stack, &BTreeSet::new());
    }

    fn watched(&self, stack: &Place, names: &BTreeSet<String>) -> Vec<(String, watch::Receiver<Found>)> {
        let mut held = lock(&self.held);
        held.retain(|(namespace, name), one| {
            if *namespace != stack.0 || !names.contains(name) {
                one.readers.remove(stack);
            }
            !one.readers.is_empty()
        });
        let each = names.iter().map(|name| {
            let place = (stack.0.clone(), name.clone());
            let one = held.entry(place.clone()).or_insert_with(|| self.watch(place));
            one.readers.insert(stack.clone());
            (name.clone(), one.found.clone())
        });
        each.collect()
    }

    fn watch(&self, place: Place) -> Held {
        let stop = CancellationToken::new();
        let (sender, found) = watch::channel(None);
        let watch = Watch {
            held: Arc::clone(&self.held),
            touched: self.touched.clone(),
            sender,
            place,
        };
        tokio::spawn(watch.run(self.client.clone(), stop.clone()));
        Held {
            readers: HashSet::new(),
            found,
            _stop: stop.drop_guard(),
        }
    }
}

struct Watch {
    held: Arc<Mutex<HashMap<Place, Held>>>,
    touched: broadcast::Sender<Touched>,
    sender: watch::Sender<Found>,
    place: Place,
}

impl Watch {
    async fn run(self, client: Client, stop: CancellationToken) {
        let (namespace, name) = &self.place;
        let api: Api<Secret> = Api::namespaced(client, namespace);
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let mut stream = watcher(api, config)
            .default_backoff()
            .take_until(stop.cancelled_owned())
            .boxed();
        let mut listed = None;
        while let Some(event) = stream.next().await {
            match event {
                Ok(Event::Init) => listed = None,
                Ok(Event::InitApply(secret)) => listed = Some(content(secret)),
                Ok(Event::InitDone) => self.tell(listed.take()),
                Ok(Event::Apply(secret)) => self.tell(Some(content(secret))),
                Ok(Event::Delete(_)) => self.tell(None),
                Err(error) => tracing::warn!(namespace, name, %error, "watch of a Secret failed; it is tried again"),
            }
        }
    }

    /// Notes what there is now, and touches the readers when that is news.
    fn tell(&self, now: Option<Content>) {
        let mut first = false;
        let news = self.sender.send_if_modified(|found| {
            first = found.is_none();
            let news = found.as_ref() != Some(&now);
            *found = Some(now);
            news
        });
        // The first look is waited for by whoever asked for it.
        if !news || first {
            return;
        }
        let readers = lock(&self.held).get(&self.place).map(|one| one.readers.clone());
        for (namespace, stack) in readers.into_iter().flatten() {
            // Without a receiver there is nobody left to tell.
            let _ = self.touched.send(Touched::Child {
                namespace,
                stack,
                pod: false,
            });
        }
    }
}

fn content(secret: Secret) -> Content {
    let data = secret.data.unwrap_or_default();
    Content::Keys(data.into_iter().map(|(key, bytes)| (key, bytes.0)).collect())
}
