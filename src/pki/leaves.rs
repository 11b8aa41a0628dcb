//! The serving certificates of this process: one after the other, each verified before it is served.

use crate::pki::book::{Book, Certificate, Terms};
use crate::pki::plan::{self, Leaf};
use crate::pki::serving::Serving;
use crate::pki::x509::{self, Service};
use jiff::Timestamp;
use std::sync::Arc;

/// Makes them and hands them to the port.
pub struct Leaves {
    serving: Arc<Serving>,
    leaf: Option<Leaf>,
    /// Spreads renewals of replicas that started together.
    jitter: f64,
}

impl Leaves {
    /// None yet.
    #[must_use]
    pub fn new(serving: Arc<Serving>) -> Self {
        Self {
            serving,
            leaf: None,
            jitter: rand::random_range(-1.0..=1.0),
        }
    }

    /// What is served.
    #[must_use]
    pub fn current(&self) -> Option<&Leaf> {
        self.leaf.as_ref()
    }

    /// Whether it is time for a new one, and possible.
    #[must_use]
    pub fn are_due(&self, book: &Book, live: &[Vec<Certificate>], now: Timestamp, terms: &Terms) -> bool {
        let usable = book.active.certificate.is_valid(now, terms);
        usable && plan::is_due(self.leaf.as_ref(), book, live, now, self.jitter)
    }

    /// Signs and serves a new one. One that does not verify is not served; the old one stays.
    ///
    /// # Errors
    /// Why there is no new one.
    pub fn renew(&mut self, book: &Book, now: Timestamp, service: &Service, terms: &Terms) -> Result<(), String> {
        let (certified, leaf) = x509::leaf(&book.active, service, now, terms).map_err(|e| e.to_string())?;
        for at in [now, now + terms.ahead] {
            x509::verify(&certified, service, &book.trusted, at)?;
        }
        tracing::info!(until = %leaf.not_after, generation = book.generation, "new serving certificate");
        self.serving.swap(certified);
        self.leaf = Some(leaf);
        Ok(())
    }
}
