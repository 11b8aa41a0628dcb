//! Counts and times of reconciles.

use crate::base::condition::Reason;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::time::Duration;

/// Seconds; a pass that sends nothing takes well under a millisecond.
const BUCKETS: [f64; 10] = [0.0005, 0.001, 0.0025, 0.01, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// Counts and times of reconciles, by kind.
#[derive(Clone)]
pub struct Reconciles {
    total: Family<Outcome, Counter>,
    seconds: Family<Kind, Histogram, fn() -> Histogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    kind: String,
    /// `Ok`, or a reason of the one list.
    result: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: String,
}

impl Reconciles {
    /// Registers the metrics.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            total: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
        };
        registry.register("reconciles", "Reconciles by kind and result", metrics.total.clone());
        registry.register(
            "reconcile_seconds",
            "Time of a reconcile by kind",
            metrics.seconds.clone(),
        );
        metrics
    }

    pub(super) fn observe(&self, kind: &str, failure: Option<Reason>, took: Duration) {
        let result = failure.map_or_else(|| "Ok".to_string(), Reason::name);
        self.total
            .get_or_create(&Outcome {
                kind: kind.into(),
                result,
            })
            .inc();
        self.seconds
            .get_or_create(&Kind { kind: kind.into() })
            .observe(took.as_secs_f64());
    }
}
