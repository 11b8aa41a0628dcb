//! What is counted of certificates.

use crate::pki::book::{Book, Certificate};
use crate::pki::cluster::Seen;
use crate::pki::plan::Leaf;
use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Whose certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Whose {
    /// `leaf` or `ca`.
    pub kind: &'static str,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Done {
    /// The reason of the event.
    pub action: &'static str,
}

/// The metrics of certificates. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// When certificates end, in seconds since 1970.
    pub not_after: Family<Whose, Gauge>,
    /// 1 when the API server trusts what the Secret says.
    pub in_sync: Gauge,
    /// 0 steady, 1 a next authority is staged, 2 a former one is being retired.
    pub stage: Gauge,
    /// What was done to the Secret and the configurations.
    pub actions: Family<Done, Counter>,
    /// Looks that ended with an error.
    pub errors: Counter,
}

impl Metrics {
    /// Registers everything under `webhook_`.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let Self {
            not_after,
            in_sync,
            stage,
            actions,
            errors,
        } = metrics.clone();
        let registry = registry.sub_registry_with_prefix("webhook");
        registry.register(
            "cert_not_after_seconds",
            "End of a certificate, in seconds since 1970",
            not_after,
        );
        registry.register(
            "cabundle_in_sync",
            "1 when both configurations trust what the Secret says",
            in_sync,
        );
        registry.register(
            "pki_stage",
            "0 steady, 1 next authority staged, 2 former authority retiring",
            stage,
        );
        registry.register("pki_actions", "Changes to the Secret and the configurations", actions);
        registry.register(
            "pki_errors",
            "Looks at the certificates that ended with an error",
            errors,
        );
        metrics
    }

    fn end(&self, kind: &'static str, time: Timestamp) {
        self.not_after.get_or_create(&Whose { kind }).set(time.as_second());
    }

    /// Sets what is known of a certificate that somebody else keeps: its end, and whether all is well with it.
    pub fn given(&self, end: Option<Timestamp>, in_sync: bool) {
        if let Some(end) = end {
            self.end("leaf", end);
        }
        self.in_sync.set(in_sync.into());
    }

    /// Sets what can be read off a look at the cluster.
    pub fn measure(&self, book: Option<&Book>, leaf: Option<&Leaf>, seen: &Seen, guests: &[Certificate]) {
        if let Some(leaf) = leaf {
            self.end("leaf", leaf.not_after);
        }
        let Some(book) = book else {
            self.in_sync.set(0);
            return;
        };
        self.end("ca", book.active.certificate.not_after);
        let both = seen.validating.is_some() && seen.mutating.is_some();
        let in_sync = both && seen.configurations().all(|c| c.trusts(&book.trusted, guests));
        self.in_sync.set(in_sync.into());
        self.stage.set(book.stage() as i64);
    }
}
