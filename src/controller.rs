//! Watches our kinds and what belongs to them, and brings the cluster to what the manifests say.

mod apply;
mod cache;
mod clues;
mod context;
mod estate;
mod finalizer;
mod index;
mod inherit;
mod memory;
pub mod metrics;
mod packed;
mod places;
mod prune;
mod reconcile;
mod report;
mod restart;
mod targets;
mod waits;
mod wallet;
mod watched;

use crate::base::object::{DEPLOYMENT, MANAGED_BY, OPERATOR};
use crate::base::settings::Settings;
use crate::clock::Clock;
use crate::kind::lmdeployment::LMDeployment;
use crate::kind::older::{Deployment, OllamaDeployment};
use crate::kind::ollamamodel::OllamaModel;
use crate::ollama::fleet::{Fleet, News};
use crate::ollama::metrics::Metrics;
use cache::{Cache, Touched};
use context::Context;
pub use finalizer::FINALIZERS;
use futures::future::ready;
use futures::{FutureExt, Stream, StreamExt, TryStreamExt, future, stream};
use index::Index;
use kube::core::DeserializeGuard;
use kube::runtime::controller::{self, ReconcileRequest};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use memory::Memory;
use packed::Parcel;
use places::Places;
use restart::Restarts;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use targets::Reached;
use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;
use waits::Waits;
use wallet::Wallet;
use watched::{each, heed, paged};

/// How many objects of a kind are reconciled at a time. Each holds the objects that it makes and a connection; eight
/// take a MiB more and are not faster.
const CONCURRENCY: u16 = 4;
/// Changes that come together are reconciled together.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// Touches that wait for a controller; more than that and it reconciles everything.
const TOUCHES: usize = 1024;

/// What the controllers need.
pub struct Config {
    /// The API server.
    pub client: Client,
    /// The time.
    pub clock: Clock,
    /// The decisions of the installation.
    pub settings: Settings,
    /// The namespaces to watch; none means all.
    pub namespaces: Vec<String>,
    /// The name of this process, in events.
    pub pod: String,
    /// Objects are looked at again after this long without a change, give or take a fifth.
    pub resync: Duration,
    /// Counts and times of reconciles.
    pub metrics: metrics::Reconciles,
    /// What is counted of models.
    pub models: Metrics,
}

/// Runs every controller until the token is cancelled and the reconciles under way have ended.
///
/// # Errors
/// When the HTTP client for the servers cannot be built.
pub async fn run(config: Config, stop: CancellationToken) -> Result<(), reqwest::Error> {
    let (touched, _) = broadcast::channel(TOUCHES);
    let (news, heard) = mpsc::unbounded_channel();
    let bounds = config.settings.models.clone();
    let http = crate::ollama::client::http()?;
    let fleet = Fleet::new(http.clone(), bounds, news, config.models.clone());
    let watch = |kinds, labels: &str, routes| {
        Cache::start(
            &config.client,
            &config.namespaces,
            kinds,
            labels,
            routes,
            &touched,
            &stop,
        )
    };
    let cache = watch(cache::children(), &format!("{MANAGED_BY}={OPERATOR}"), true);
    let estate = watch(cache::left(), &format!("{DEPLOYMENT},{MANAGED_BY}!={OPERATOR}"), false);
    let context = Arc::new(Context {
        teller: report::Teller::new(&config.client, &config.pod),
        index: Index::default(),
        places: Places::new(&config.client, Arc::clone(&cache), &touched),
        restarts: Restarts::default(),
        waits: Waits::new(&config.client, Arc::clone(&cache), http, &touched),
        touched: touched.clone(),
        wallet: Wallet::new(config.client.clone(), touched.clone()),
        client: config.client,
        clock: config.clock,
        settings: config.settings,
        cache,
        estate,
        fleet,
        memory: Memory::default(),
        resync: config.resync,
        metrics: config.metrics,
        models: config.models,
        stop: stop.clone(),
    });
    tokio::select! {
        _ = future::join(context.cache.filled(), context.estate.filled()) => {}
        () = stop.cancelled() => return Ok(()),
    }
    let relay = tokio::spawn(relay(heard, Arc::clone(&context)));
    let scopes: Vec<Option<&String>> = if config.namespaces.is_empty() {
        vec![None]
    } else {
        config.namespaces.iter().map(Some).collect()
    };
    future::join_all(scopes.into_iter().map(|scope| {
        let older = context.settings.kinds.legacy_names;
        future::join4(
            control::<LMDeployment>(&context, scope, true),
            control::<OllamaDeployment>(&context, scope, older),
            control::<Deployment>(&context, scope, older),
            control::<OllamaModel>(&context, scope, true),
        )
    }))
    .await;
    relay.abort();
    Ok(())
}

/// News of servers touch the models there.
async fn relay(mut heard: mpsc::UnboundedReceiver<News>, context: Arc<Context>) {
    while let Some(news) = heard.recv().await {
        if news.model.is_none() {
            targets::count_unmanaged(&news.place, &context);
            restart::mind(&news.place, &context);
        }
        // Without a receiver there is nobody left to tell.
        let _ = context.touched.send(Touched::Servers(news));
    }
}

/// One controller for one kind in one scope, where it is wanted; scopes are apart because each has a list of its own to
/// start from.
async fn control<K: Reached>(context: &Arc<Context>, namespace: Option<&String>, is_wanted: bool) {
    if !is_wanted {
        return;
    }
    let touched = context.touched.subscribe();
    let client = context.client.clone();
    let api: Api<DeserializeGuard<K>> = match namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    let writer = reflector::store::Writer::default();
    let store = writer.as_reader();
    let listed = store.clone();
    let slim = |object: &mut DeserializeGuard<K>| object.managed_fields_mut().clear();
    let objects = watcher(api, paged()).default_backoff().modify(slim);
    let objects = objects.map_ok(|event| each(event, Parcel::<K>::keep));
    let (absent, presence) = watch::channel(false);
    let (seen, hearer) = (store.clone(), Arc::clone(context));
    let own = reflector::reflector(writer, objects)
        .inspect(move |event| heed::<K>(event, &absent))
        .inspect_ok(move |event| K::heard(event, &seen, &hearer))
        .touched_objects()
        .filter_map(|result| ready(result.ok().map(|object| ObjectRef::from_obj(&object))));
    K::enter(&context.index, store.clone(), presence);
    let others = touches::<K>(context, touched, store.clone());
    let queue = stream::select(own, others).map(|reference| Ok::<_, Infallible>(ReconcileRequest::from(reference)));
    let applied = controller::applier(
        |object, context| Box::pin(reconcile::reconcile::<K>(object, context)),
        |object, error, context| reconcile::retry::<K>(&object, error, &context),
        Arc::clone(context),
        store,
        queue.take_until(context.stop.clone().cancelled_owned()).boxed(),
        controller::Config::default()
            .concurrency(CONCURRENCY)
            .debounce(DEBOUNCE),
    );
    // Every other outcome was reported where it arose.
    let applied = applied.for_each(|result| {
        if let Err(controller::Error::ObjectNotFound(gone)) = result {
            reconcile::forget::<K>(context, gone.namespace.as_deref().unwrap_or_default(), &gone.name);
        }
        ready(())
    });
    // Before its first list has come a controller runs nothing; after the end of its watch it would wait for that for ever.
    let unlisted = async {
        context.stop.cancelled().await;
        if listed.wait_until_ready().now_or_never().is_some() {
            future::pending::<()>().await;
        }
    };
    future::select(pin!(applied), pin!(unlisted)).await;
}

/// The objects of a kind that something else has touched; after a lag, all of them.
fn touches<K: Reached>(
    context: &Arc<Context>,
    touched: broadcast::Receiver<Touched>,
    store: Store<Parcel<K>>,
) -> impl Stream<Item = ObjectRef<Parcel<K>>> + use<K> {
    let context = Arc::clone(context);
    let received = stream::unfold(touched, |mut receiver| async {
        match receiver.recv().await {
            Ok(touched) => Some((Some(touched), receiver)),
            Err(broadcast::error::RecvError::Lagged(_)) => Some((None, receiver)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    });
    received.flat_map(move |touched| {
        let reached = match touched {
            Some(touched) => K::reached(&touched, &store, &context.index),
            None => store
                .state()
                .iter()
                .map(|object| ObjectRef::from_obj(&**object))
                .collect(),
        };
        stream::iter(reached)
    })
}

/// What is guarded is left whole by every holder, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
