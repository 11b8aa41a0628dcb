//! Everything that the process counts.

use crate::clock::Clock;
use crate::controller::metrics::Reconciles;
use crate::{metrics, ollama, pki, webhook};
use prometheus_client::registry::Registry;

/// Everything that the process counts, and the registry that knows all of it.
pub struct Meters {
    /// What `/metrics` shows.
    pub registry: Registry,
    pub(super) reconciles: Reconciles,
    pub(super) models: ollama::metrics::Metrics,
    pub(super) webhooks: webhook::Metrics,
    pub(super) certificates: pki::Metrics,
    pub(super) clock: Clock,
}

impl Default for Meters {
    fn default() -> Self {
        let mut registry = metrics::registry();
        Self {
            reconciles: Reconciles::register(&mut registry),
            models: ollama::metrics::Metrics::register(&mut registry),
            webhooks: webhook::Metrics::register(&mut registry),
            certificates: pki::Metrics::register(&mut registry),
            clock: Clock::register(&mut registry),
            registry,
        }
    }
}
