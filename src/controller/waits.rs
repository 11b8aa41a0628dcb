//! Ollama that are not a stack's own, and that a first start waits for: asked a few times a minute, for as long as one waits.

use super::cache::{Cache, Touched};
use super::lock;
use super::places::{Found, Places};
use crate::base::condition::Reason;
use crate::base::model::ModelName;
use crate::base::seen::{Failure, Other};
use crate::kind::ollamamodel::Place;
use crate::ollama::client::Ollama;
use crate::ollama::fleet::Address;
use kube::Client;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::broadcast;

/// Between two questions of one stack.
pub(super) const PAUSE: Duration = Duration::from_secs(10);

/// Namespace and name.
type Stack = (String, String);
/// The name of a Service, and its port.
type Service = (String, Option<i32>);

/// The stacks that wait.
pub(super) struct Waits {
    places: Places,
    http: reqwest::Client,
    touched: broadcast::Sender<Touched>,
    waiting: Arc<Mutex<HashMap<Stack, Waiting>>>,
}

/// One of them.
struct Waiting {
    service: Service,
    answer: Other,
    /// When it was last asked.
    at: Option<Instant>,
}

impl Waits {
    pub(super) fn new(
        client: &Client,
        cache: Arc<Cache>,
        http: reqwest::Client,
        touched: &broadcast::Sender<Touched>,
    ) -> Self {
        Self {
            places: Places::new(client, cache, touched),
            http,
            touched: touched.clone(),
            waiting: Arc::default(),
        }
    }

    /// What the servers behind a Service last answered; begins to ask them. `None` ends that.
    pub(super) fn look(&self, stack: &Stack, service: Option<Service>) -> Option<Other> {
        let Some(service) = service else {
            self.forget(stack);
            return None;
        };
        let (name, port) = service.clone();
        let known = self.known(stack, &service);
        let silent = |reason, message: String| Other::Silent(Failure { reason, message });
        let place = Place::Service(stack.0.clone(), name.clone(), port);
        Some(match self.places.find(&place) {
            Found::Unknown => Other::Unasked,
            Found::Missing => silent(Reason::NoServer, format!("Service {name} does not exist")),
            Found::Refused(why) => silent(Reason::TargetRefused, why),
            Found::Servers(servers) => {
                let running: Vec<Address> = servers.into_iter().filter(|s| s.url.is_some()).collect();
                if running.is_empty() {
                    silent(Reason::NoServer, format!("no pod behind Service {name} runs"))
                } else {
                    self.ask(stack, &service, running);
                    known
                }
            }
        })
    }

    fn known(&self, stack: &Stack, service: &Service) -> Other {
        let mut waiting = lock(&self.waiting);
        let one = waiting.entry(stack.clone()).or_insert_with(|| Waiting::of(service));
        if one.service != *service {
            *one = Waiting::of(service);
        }
        one.answer.clone()
    }

    /// Asks them all, unless they were asked a moment ago. Whoever waits is touched when the answer is news.
    fn ask(&self, stack: &Stack, service: &Service, servers: Vec<Address>) {
        if let Some(one) = lock(&self.waiting).get_mut(stack) {
            if one.at.is_some_and(|at| at.elapsed() < PAUSE / 2) {
                return;
            }
            one.at = Some(Instant::now());
        }
        let (http, waiting, touched) = (self.http.clone(), Arc::clone(&self.waiting), self.touched.clone());
        let (stack, service) = (stack.clone(), service.clone());
        tokio::spawn(async move {
            let answer = answer(&http, &service.0, &servers).await;
            let mut waiting = lock(&waiting);
            let one = waiting
                .get_mut(&stack)
                .filter(|one| one.service == service && one.answer != answer);
            if let Some(one) = one {
                one.answer = answer;
                let (namespace, stack) = stack;
                // Without a receiver there is nobody left to tell.
                let _ = touched.send(Touched::Child {
                    namespace,
                    stack,
                    pod: false,
                });
            }
        });
    }

    /// It does not wait any more, and nothing is watched for its sake.
    pub(super) fn forget(&self, stack: &Stack) {
        let mut waiting = lock(&self.waiting);
        if waiting.remove(stack).is_some() {
            let kept: BTreeSet<Stack> = waiting
                .iter()
                .map(|((ns, _), one)| (ns.clone(), one.service.0.clone()))
                .collect();
            self.places
                .keep(|ns, name| kept.contains(&(ns.to_string(), name.to_string())));
        }
    }
}

impl Waiting {
    fn of(service: &Service) -> Self {
        Self {
            service: service.clone(),
            answer: Other::Unasked,
            at: None,
        }
    }
}

/// The models that all of them hold: a Service sends a question to any.
async fn answer(http: &reqwest::Client, service: &str, servers: &[Address]) -> Other {
    let mut common: Option<BTreeSet<String>> = None;
    for server in servers {
        let Some(url) = &server.url else { continue };
        let held = match Ollama::new(http.clone(), url, PAUSE).models().await {
            Ok(held) => held,
            Err(silence) => {
                let Failure { reason, message } = silence.failure;
                let message = format!("Service {service}: Pod {}: {message}", server.pod);
                return Other::Silent(Failure { reason, message });
            }
        };
        let keys = held.iter().filter_map(|h| Some(ModelName::parse(&h.name).ok()?.key()));
        let keys: BTreeSet<String> = keys.collect();
        common = Some(common.map_or(keys.clone(), |common| &common & &keys));
    }
    common.map_or(Other::Unasked, Other::Holds)
}
