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
use std::mem;
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
    held: Arc<Mutex<Held<Watched>>>,
}

/// One Secret. Its watch ends with it.
struct Watched {
    found: watch::Receiver<Found>,
    _stop: DropGuard,
}

/// What is held for as long as somebody names it. What a stack names is known for each, so that one pass over one stack
/// looks at its own Secrets only, however many stacks there are.
struct Held<T> {
    all: HashMap<Place, (T, HashSet<Place>)>,
    named: HashMap<Place, BTreeSet<String>>,
}

impl<T> Default for Held<T> {
    fn default() -> Self {
        Self {
            all: HashMap::new(),
            named: HashMap::new(),
        }
    }
}

impl<T> Held<T> {
    /// The stack names these, and nothing else any more; what nobody had named before is made.
    fn name(&mut self, stack: &Place, names: &BTreeSet<String>, make: impl Fn(Place) -> T) {
        let before = if names.is_empty() {
            self.named.remove(stack).unwrap_or_default()
        } else {
            mem::replace(self.named.entry(stack.clone()).or_default(), names.clone())
        };
        let place = |name: &String| (stack.0.clone(), name.clone());
        for name in before.difference(names) {
            let place = place(name);
            if let Some((_, readers)) = self.all.get_mut(&place) {
                readers.remove(stack);
                if readers.is_empty() {
                    self.all.remove(&place);
                }
            }
        }
        for name in names.difference(&before) {
            let entry = self.all.entry(place(name));
            entry
                .or_insert_with_key(|place| (make(place.clone()), HashSet::new()))
                .1
                .insert(stack.clone());
        }
    }

    fn get(&self, place: &Place) -> Option<&T> {
        self.all.get(place).map(|(held, _)| held)
    }

    /// The stacks that name it.
    fn readers(&self, place: &Place) -> Vec<Place> {
        let readers = self.all.get(place).map(|(_, readers)| readers);
        readers.into_iter().flatten().cloned().collect()
    }
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
        held.name(stack, names, |place| self.watch(place));
        let found = |name: &String| Some((name.clone(), held.get(&(stack.0.clone(), name.clone()))?.found.clone()));
        names.iter().filter_map(found).collect()
    }

    fn watch(&self, place: Place) -> Watched {
        let stop = CancellationToken::new();
        let (sender, found) = watch::channel(None);
        let watch = Watch {
            held: Arc::clone(&self.held),
            touched: self.touched.clone(),
            sender,
            place,
        };
        tokio::spawn(watch.run(self.client.clone(), stop.clone()));
        Watched {
            found,
            _stop: stop.drop_guard(),
        }
    }
}

struct Watch {
    held: Arc<Mutex<Held<Watched>>>,
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
        let readers = lock(&self.held).readers(&self.place);
        for (namespace, stack) in readers {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn place(name: &str) -> Place {
        ("team".into(), name.into())
    }

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_secret_is_held_for_as_long_as_somebody_names_it() {
        let count = Cell::new(0);
        let make = |_| count.set(count.get() + 1);
        let mut held = Held::<()>::default();
        held.name(&place("a"), &names(&["own", "shared"]), make);
        held.name(&place("b"), &names(&["shared"]), make);
        held.name(&place("a"), &names(&["own", "shared"]), make);
        assert_eq!(count.get(), 2, "each is made once");
        assert_eq!(held.readers(&place("shared")).len(), 2);

        held.name(&place("a"), &names(&["other"]), make);
        assert!(held.get(&place("own")).is_none(), "nobody names it any more");
        assert_eq!(held.readers(&place("shared")), [place("b")]);
        held.name(&place("b"), &names(&[]), make);
        held.name(&place("a"), &names(&[]), make);
        assert!(held.all.is_empty() && held.named.is_empty(), "nothing is left");
    }

    #[test]
    fn one_stack_looks_at_no_secret_of_another() {
        let mut held = Held::<Place>::default();
        let foreign = ("elsewhere".to_string(), "shared".to_string());
        held.name(&place("a"), &names(&["shared"]), |place| place);
        held.name(&("elsewhere".into(), "a".into()), &names(&["shared"]), |place| place);
        assert_eq!(held.get(&foreign), Some(&foreign));
        held.name(&place("a"), &names(&[]), |place| place);
        assert_eq!(
            held.get(&foreign),
            Some(&foreign),
            "a Secret of that name in another namespace"
        );
    }
}
