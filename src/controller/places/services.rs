//! Services that models name, and the pods behind them: each is watched for as long as a model names it.
//!
//! The pods are found by the selector and asked at their own addresses, and never at those of endpoints, which a user may
//! write: the operator must not fetch from elsewhere for anyone.

use super::{Found, address};
use crate::component::ollama;
use crate::controller::cache::Touched;
use crate::controller::lock;
use crate::controller::watched::paged;
use futures::stream::BoxStream;
use futures::{StreamExt, future, stream};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::core::DynamicObject;
use kube::discovery::ApiResource;
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher::{watch_object, watcher};
use kube::runtime::{WatchStreamExt, reflector::reflector};
use kube::{Api, Client};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use tokio::sync::broadcast;
use tokio::task::AbortHandle;

type Name = (String, String);

/// The Services that are watched.
pub(super) struct Services {
    client: Client,
    touched: broadcast::Sender<Touched>,
    watched: Mutex<HashMap<Name, Watched>>,
}

struct Watched {
    seen: Arc<Mutex<Seen>>,
    task: AbortHandle,
}

/// What a watch has brought.
#[derive(Default)]
enum Seen {
    #[default]
    Nothing,
    Missing,
    Service(Box<Service>, Option<Store<DynamicObject>>),
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Services {
    pub(super) fn new(client: Client, touched: broadcast::Sender<Touched>) -> Self {
        Self {
            client,
            touched,
            watched: Mutex::default(),
        }
    }

    /// The servers behind a Service; begins to watch it.
    pub(super) fn find(&self, namespace: &str, name: &str, port: Option<i32>) -> Found {
        let mut watched = lock(&self.watched);
        let entry = watched.entry((namespace.into(), name.into()));
        let seen = Arc::clone(&entry.or_insert_with(|| self.watch(namespace, name)).seen);
        drop(watched);
        let seen = lock(&seen);
        match &*seen {
            Seen::Nothing | Seen::Service(_, None) if !refuses(&seen) => Found::Unknown,
            Seen::Missing => Found::Missing,
            Seen::Service(service, pods) => servers(service, pods.as_ref(), port),
            Seen::Nothing => Found::Unknown,
        }
    }

    /// Ends every watch but these.
    pub(super) fn keep(&self, is_kept: impl Fn(&str, &str) -> bool) {
        lock(&self.watched).retain(|(namespace, name), _| is_kept(namespace, name));
    }

    fn watch(&self, namespace: &str, name: &str) -> Watched {
        let seen = Arc::new(Mutex::new(Seen::Nothing));
        let watch = Watch {
            client: self.client.clone(),
            touched: self.touched.clone(),
            namespace: namespace.into(),
            name: name.into(),
            seen: Arc::clone(&seen),
        };
        Watched {
            seen,
            task: tokio::spawn(watch.run()).abort_handle(),
        }
    }
}

/// True for a Service that is refused whatever its pods are.
fn refuses(seen: &Seen) -> bool {
    matches!(seen, Seen::Service(service, _) if refusal(service).is_some())
}

fn refusal(service: &Service) -> Option<String> {
    let spec = service.spec.clone().unwrap_or_default();
    let name = service.metadata.name.as_deref().unwrap_or_default();
    if spec.type_.as_deref() == Some("ExternalName") {
        return Some(format!(
            "Service {name} is an ExternalName, which leads out of the namespace: name a Service with a selector"
        ));
    }
    let selects = spec.selector.is_some_and(|s| !s.is_empty());
    (!selects).then(|| format!("Service {name} has no selector: the operator asks pods of the namespace only"))
}

fn servers(service: &Service, pods: Option<&Store<DynamicObject>>, port: Option<i32>) -> Found {
    if let Some(why) = refusal(service) {
        return Found::Refused(why);
    }
    let target = match target_port(service, port) {
        Ok(target) => target,
        Err(why) => return Found::Refused(why),
    };
    let pods = pods.map(Store::state).unwrap_or_default();
    // A pod of the host's network has the address of its node.
    let own = pods
        .iter()
        .filter(|pod| pod.data["spec"]["hostNetwork"] != Value::Bool(true));
    let mut found: Vec<_> = own.filter_map(|pod| address(pod, number(&target, pod)?)).collect();
    found.sort_by(|a, b| a.pod.cmp(&b.pod));
    Found::Servers(found)
}

/// Where the pods listen, by number or by name.
fn target_port(service: &Service, port: Option<i32>) -> Result<IntOrString, String> {
    let name = service.metadata.name.as_deref().unwrap_or_default();
    let ports = service.spec.as_ref().and_then(|s| s.ports.clone()).unwrap_or_default();
    let found = match (port, &ports[..]) {
        (Some(port), all) => all.iter().find(|p| p.port == port),
        (None, [only]) => Some(only),
        (None, all) => all.iter().find(|p| p.port == ollama::PORT),
    };
    let Some(found) = found else {
        let asked = port.unwrap_or(ollama::PORT);
        return Err(format!(
            "Service {name} has no port {asked}: name one of its ports in spec.target.service.port"
        ));
    };
    let target = found.target_port.clone().unwrap_or(IntOrString::Int(found.port));
    Ok(target)
}

fn number(target: &IntOrString, pod: &DynamicObject) -> Option<i32> {
    let name = match target {
        IntOrString::Int(number) => return Some(*number),
        IntOrString::String(name) => name,
    };
    let containers = pod.data["spec"]["containers"].as_array()?;
    let mut ports = containers
        .iter()
        .flat_map(|c| c["ports"].as_array().into_iter().flatten());
    let port = ports.find(|p| p["name"] == name.as_str())?;
    port["containerPort"].as_i64().and_then(|n| i32::try_from(n).ok())
}

/// One Service being watched.
struct Watch {
    client: Client,
    touched: broadcast::Sender<Touched>,
    namespace: String,
    name: String,
    seen: Arc<Mutex<Seen>>,
}

impl Watch {
    async fn run(self) {
        let api: Api<Service> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut services = watch_object(api, &self.name).default_backoff().boxed();
        let mut pods: BoxStream<'static, ()> = stream::pending().boxed();
        let mut selector = None;
        loop {
            tokio::select! {
                service = services.next() => match service {
                    Some(Ok(service)) => self.take(service, &mut selector, &mut pods),
                    Some(Err(error)) => {
                        tracing::warn!(service = self.name, namespace = self.namespace, %error, "watch failed; it is tried again");
                    }
                    None => return,
                },
                Some(()) = pods.next() => {}
            }
            // Without a receiver there is nobody left to tell.
            let _ = self.touched.send(Touched::Service {
                namespace: self.namespace.clone(),
                name: self.name.clone(),
            });
        }
    }

    fn take(&self, service: Option<Service>, selector: &mut Option<String>, pods: &mut BoxStream<'static, ()>) {
        let Some(service) = service else {
            *lock(&self.seen) = Seen::Missing;
            (*selector, *pods) = (None, stream::pending().boxed());
            return;
        };
        let wanted = refusal(&service).is_none().then(|| labels(&service));
        let mut seen = lock(&self.seen);
        let before = match std::mem::take(&mut *seen) {
            Seen::Service(_, pods) => pods,
            _ => None,
        };
        let store = match &wanted {
            Some(wanted) if selector.as_ref() != Some(wanted) => {
                let (store, stream) = self.pods(wanted);
                *pods = stream;
                Some(store)
            }
            Some(_) => before,
            None => None,
        };
        *selector = wanted;
        *seen = Seen::Service(Box::new(service), store);
    }

    /// The pods that the selector finds, and a stream that moves when they change.
    fn pods(&self, selector: &str) -> (Store<DynamicObject>, BoxStream<'static, ()>) {
        let resource = ApiResource::erase::<k8s_openapi::api::core::v1::Pod>(&());
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.namespace, &resource);
        let writer = reflector::store::Writer::new(resource);
        let store = writer.as_reader();
        let slim = |pod: &mut DynamicObject| pod.metadata.managed_fields = None;
        let events = watcher(api, paged().labels(selector));
        let stream = reflector(writer, events.default_backoff().modify(slim));
        let moved = stream.filter_map(|event| future::ready(event.ok().map(drop)));
        (store, moved.boxed())
    }
}

fn labels(service: &Service) -> String {
    let selector: BTreeMap<String, String> = service
        .spec
        .as_ref()
        .and_then(|s| s.selector.clone())
        .unwrap_or_default();
    let pairs: Vec<String> = selector.iter().map(|(k, v)| format!("{k}={v}")).collect();
    pairs.join(",")
}
