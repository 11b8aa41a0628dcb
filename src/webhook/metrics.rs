//! What the webhooks count.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Seconds; the first ones are where a handler belongs, the last ones where the API server's patience ends.
const BUCKETS: [f64; 9] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0];

/// One kind of answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Labels {
    /// `mutate` or `validate`.
    pub webhook: &'static str,
    /// Such as `CREATE`.
    pub operation: &'static str,
    /// Such as `LMDeployment`.
    pub kind: &'static str,
    /// `true` or `false`.
    pub allowed: &'static str,
    /// The code inside the answer.
    pub code: u16,
}

/// Which of the two webhooks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Webhook {
    /// `mutate` or `validate`.
    pub webhook: &'static str,
}

/// The metrics of the webhooks. Clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Questions answered.
    pub requests: Family<Labels, Counter>,
    /// How long answers took, from the whole question to the whole answer, in seconds.
    pub duration: Family<Webhook, Histogram, fn() -> Histogram>,
    /// Questions being read or answered.
    pub in_flight: Gauge,
    /// Questions turned away for want of room.
    pub shed: Counter,
    /// Questions that a handler did not survive.
    pub panics: Counter,
    /// Patches thrown away, see [`crate::webhook::handler::Handled::discarded`].
    pub discarded: Counter,
    /// TLS handshakes that failed or took too long.
    pub failed_handshakes: Counter,
}

impl Metrics {
    /// Registers everything under `webhook_`.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            requests: Family::default(),
            duration: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            in_flight: Gauge::default(),
            shed: Counter::default(),
            panics: Counter::default(),
            discarded: Counter::default(),
            failed_handshakes: Counter::default(),
        };
        let Self {
            requests,
            duration,
            in_flight,
            shed,
            panics,
            discarded,
            failed_handshakes,
        } = metrics.clone();
        let registry = registry.sub_registry_with_prefix("webhook");
        registry.register("requests", "Admission requests answered", requests);
        registry.register("duration_seconds", "Time to answer an admission request", duration);
        registry.register("in_flight", "Admission requests being answered", in_flight);
        registry.register("shed", "Admission requests turned away for want of room", shed);
        registry.register("panics", "Admission requests that a handler did not survive", panics);
        registry.register(
            "patches_discarded",
            "Patches that would have done more than add to the spec",
            discarded,
        );
        registry.register(
            "tls_handshake_errors",
            "TLS handshakes that failed or took too long",
            failed_handshakes,
        );
        metrics
    }
}
