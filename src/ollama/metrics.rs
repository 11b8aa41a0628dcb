//! What is counted of models, with a bound on the number of series: names are users' to choose.

use crate::base::condition::Reason;
use crate::base::seen::ModelState;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Seconds: from what is there already to what takes an evening.
const BUCKETS: [f64; 9] = [0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0];
/// So many models have series of their own; the pulls of any further one are counted as `other`.
const MOST_MODELS: usize = 200;
/// So many objects are shown.
const MOST_OBJECTS: usize = 1000;
/// The longest name in a label, in characters.
const LONGEST: usize = 120;

/// The metrics of models. Clones count together.
#[derive(Clone)]
pub struct Metrics {
    bytes: Family<Model, Counter>,
    seconds: Family<Model, Histogram, fn() -> Histogram>,
    failures: Family<Failure, Counter>,
    state: Family<Shown, Gauge>,
    servers: Family<Object, Gauge>,
    ready: Family<Object, Gauge>,
    unmanaged: Family<Target, Gauge>,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    models: HashSet<String>,
    /// What is shown of each object, by namespace and name.
    objects: HashMap<(String, String), Shown>,
    targets: HashSet<Target>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Model {
    model: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failure {
    model: String,
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Object {
    namespace: String,
    name: String,
    model: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Shown {
    namespace: String,
    name: String,
    model: String,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Target {
    namespace: String,
    target: String,
}

/// What is shown of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How far its model is.
    pub state: ModelState,
    /// Servers of its target.
    pub servers: usize,
    /// Those that hold it.
    pub ready: usize,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            bytes: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            failures: Family::default(),
            state: Family::default(),
            servers: Family::default(),
            ready: Family::default(),
            unmanaged: Family::default(),
            known: Arc::default(),
        }
    }
}

impl Metrics {
    /// Registers everything.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "model_state",
            "1 for the state that the object is in",
            metrics.state.clone(),
        );
        registry.register(
            "model_servers",
            "Servers of the object's target",
            metrics.servers.clone(),
        );
        registry.register(
            "model_servers_ready",
            "Servers that hold the object's model",
            metrics.ready.clone(),
        );
        registry.register(
            "model_pulled_bytes",
            "Bytes that arrived, as far as servers told",
            metrics.bytes.clone(),
        );
        registry.register(
            "model_pull_seconds",
            "Time of attempts that ended well",
            metrics.seconds.clone(),
        );
        registry.register(
            "model_pull_failures",
            "Attempts that failed, by reason",
            metrics.failures.clone(),
        );
        registry.register(
            "models_unmanaged",
            "Models on servers that no object names",
            metrics.unmanaged.clone(),
        );
        metrics
    }

    /// Bytes have arrived.
    pub fn fetched(&self, model: &str, bytes: u64) {
        if bytes > 0 {
            self.bytes.get_or_create(&self.model(model)).inc_by(bytes);
        }
    }

    /// An attempt has ended.
    pub fn ended(&self, model: &str, took: Duration, failure: Option<Reason>) {
        let Model { model } = self.model(model);
        match failure {
            None => self.seconds.get_or_create(&Model { model }).observe(took.as_secs_f64()),
            Some(reason) => {
                let reason = reason.name();
                self.failures.get_or_create(&Failure { model, reason }).inc();
            }
        }
    }

    /// Shows how an object stands.
    pub fn show(&self, namespace: &str, name: &str, model: &str, standing: Standing) {
        let state = Shown {
            namespace: namespace.into(),
            name: name.into(),
            model: short(model),
            state: standing.state.name(),
        };
        let place = (namespace.to_string(), name.to_string());
        let mut known = self.lock();
        if known.objects.len() >= MOST_OBJECTS && !known.objects.contains_key(&place) {
            return;
        }
        let before = known.objects.insert(place, state.clone());
        drop(known);
        if let Some(before) = before.filter(|before| *before != state) {
            self.hide(&before);
        }
        let gauge = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
        self.servers.get_or_create(&state.object()).set(gauge(standing.servers));
        self.ready.get_or_create(&state.object()).set(gauge(standing.ready));
        self.state.get_or_create(&state).set(1);
    }

    /// An object is gone.
    pub fn forget(&self, namespace: &str, name: &str) {
        let gone = self.lock().objects.remove(&(namespace.to_string(), name.to_string()));
        if let Some(gone) = gone {
            self.hide(&gone);
        }
    }

    /// Shows how many models on the servers of a target nobody named; with `None` the target is not shown any more.
    pub fn unmanaged(&self, namespace: &str, target: &str, count: Option<usize>) {
        let target = Target {
            namespace: namespace.into(),
            target: short(target),
        };
        let mut known = self.lock();
        let Some(count) = count else {
            if known.targets.remove(&target) {
                self.unmanaged.remove(&target);
            }
            return;
        };
        if known.targets.len() < MOST_OBJECTS || known.targets.contains(&target) {
            self.unmanaged
                .get_or_create(&target)
                .set(i64::try_from(count).unwrap_or(i64::MAX));
            known.targets.insert(target);
        }
    }

    fn hide(&self, state: &Shown) {
        self.state.remove(state);
        self.servers.remove(&state.object());
        self.ready.remove(&state.object());
    }

    /// The label of a model: its name, for as many as there is room.
    fn model(&self, name: &str) -> Model {
        let (name, mut known) = (short(name), self.lock());
        if known.models.contains(&name) || known.models.len() < MOST_MODELS {
            known.models.insert(name.clone());
            return Model { model: name };
        }
        Model { model: "other".into() }
    }

    /// The sets are left whole by every holder, so a panic elsewhere does not spoil them.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shown {
    fn object(&self) -> Object {
        Object {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            model: self.model.clone(),
        }
    }
}

fn short(name: &str) -> String {
    name.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;

    fn scraped(registry: &Registry) -> String {
        let mut text = String::new();
        encode(&mut text, registry).unwrap();
        text
    }

    #[test]
    fn series_are_bounded_and_go_with_their_objects() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        for i in 0..MOST_MODELS + 50 {
            metrics.fetched(&format!("model-{i}"), 1);
        }
        let text = scraped(&registry);
        assert_eq!(text.matches("model_pulled_bytes_total{").count(), MOST_MODELS + 1);
        assert!(
            text.contains("model_pulled_bytes_total{model=\"other\"} 50\n"),
            "{text}"
        );

        let standing = |state| Standing {
            state,
            servers: 2,
            ready: 1,
        };
        metrics.show("ns", "one", "tiny:latest", standing(ModelState::Pulling));
        metrics.show("ns", "one", "tiny:latest", standing(ModelState::Ready));
        let text = scraped(&registry);
        assert!(
            text.contains("state=\"ready\"} 1\n") && !text.contains("pulling"),
            "{text}"
        );
        assert!(
            text.contains("model_servers_ready{namespace=\"ns\",name=\"one\",model=\"tiny:latest\"} 1\n"),
            "{text}"
        );
        metrics.forget("ns", "one");
        metrics.unmanaged("ns", "LMDeployment chat", Some(3));
        assert!(scraped(&registry).contains("models_unmanaged{namespace=\"ns\",target=\"LMDeployment chat\"} 3\n"));
        metrics.unmanaged("ns", "LMDeployment chat", None);
        assert!(!scraped(&registry).contains("ns"), "{}", scraped(&registry));
    }
}
