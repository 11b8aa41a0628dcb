//! From the target of a model to the addresses of its servers.

mod services;

use super::cache::{Cache, Touched};
use crate::component::ollama;
use crate::kind::ollamamodel::target::Place;
use crate::ollama::fleet::Address;
use kube::core::DynamicObject;
use kube::{Client, ResourceExt};
use serde_json::Value;
use services::Services;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::broadcast;

/// Where servers are.
pub(super) struct Places {
    cache: Arc<Cache>,
    services: Services,
}

/// What a place is.
#[derive(Debug, PartialEq)]
pub(super) enum Found {
    /// It was not looked at yet.
    Unknown,
    /// There is no such thing.
    Missing,
    /// It is nothing that the operator may ask, and why.
    Refused(String),
    /// Its servers.
    Servers(Vec<Address>),
}

impl Places {
    pub(super) fn new(client: &Client, cache: Arc<Cache>, touched: &broadcast::Sender<Touched>) -> Self {
        Self {
            cache,
            services: Services::new(client.clone(), touched.clone()),
        }
    }

    /// What is at a place now.
    pub(super) fn find(&self, place: &Place) -> Found {
        match place {
            Place::Stack(namespace, name) => {
                let pods = self.cache.pods(namespace, name);
                Found::Servers(pods.iter().filter_map(of_stack).collect())
            }
            Place::Service(namespace, name, port) => self.services.find(namespace, name, *port),
            Place::Url(url) => Found::Servers(vec![Address {
                id: url.to_string(),
                pod: url.host().to_string(),
                volume: url.to_string(),
                url: Some(url.to_string()),
                start: 0,
                started: true,
            }]),
        }
    }

    /// The same, where it is known and may be asked.
    pub(super) fn addresses(&self, place: &Place) -> Vec<Address> {
        match self.find(place) {
            Found::Servers(addresses) => addresses,
            _ => vec![],
        }
    }

    /// Stops to watch every Service but these.
    pub(super) fn keep(&self, is_kept: impl Fn(&str, &str) -> bool) {
        self.services.keep(is_kept);
    }
}

/// The address of a server of a stack; `None` for other pods and for those that are going.
fn of_stack(pod: &DynamicObject) -> Option<Address> {
    let of_ollama = pod
        .labels()
        .get("app.kubernetes.io/component")
        .is_some_and(|c| c == ollama::NAME);
    of_ollama.then(|| address(pod, ollama::PORT)).flatten()
}

/// The address of a pod that is not going.
fn address(pod: &DynamicObject, port: i32) -> Option<Address> {
    let status = &pod.data["status"];
    let ended = matches!(status["phase"].as_str(), Some("Succeeded" | "Failed"));
    if pod.metadata.deletion_timestamp.is_some() || ended {
        return None;
    }
    let container = status["containerStatuses"]
        .as_array()
        .and_then(|c| c.iter().find(|c| c["name"] == ollama::NAME).or(c.first()).cloned())
        .unwrap_or_default();
    let running = !container["state"]["running"].is_null();
    let ip = status["podIP"].as_str().and_then(|ip| ip.parse::<IpAddr>().ok());
    let uid = pod.uid()?;
    Some(Address {
        volume: claim(pod).unwrap_or_else(|| uid.clone()),
        id: uid,
        pod: pod.name_any(),
        url: ip.filter(|_| running).map(|ip| match ip {
            IpAddr::V4(ip) => format!("http://{ip}:{port}"),
            IpAddr::V6(ip) => format!("http://[{ip}]:{port}"),
        }),
        start: container["restartCount"].as_i64().unwrap_or(0),
        started: container["started"] == Value::Bool(true),
    })
}

/// The claim that a pod writes to; with several, the one that holds the models cannot be told, and any will do.
fn claim(pod: &DynamicObject) -> Option<String> {
    let volumes = pod.data["spec"]["volumes"].as_array()?;
    let claims = volumes.iter().filter(|v| v["persistentVolumeClaim"].is_object());
    let mut sorted: Vec<&Value> = claims.collect();
    sorted.sort_by_key(|v| v["name"] != "data");
    let name = sorted.first()?["persistentVolumeClaim"]["claimName"].as_str()?;
    Some(format!("{}/{name}", pod.namespace().unwrap_or_default()))
}
