//! The serving certificates of this process: one after the other, each verified before it is served.

use crate::pki::book::{Book, Certificate, Terms};
use crate::pki::plan::{self, Leaf};
use crate::pki::serving::Serving;
use crate::pki::x509::{self, Service};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

/// A certificate that is made must be good for at least this long.
pub const AHEAD: SignedDuration = SignedDuration::from_hours(1);

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

    /// Signs and serves a new one when it is time. One that does not verify is not served; the old one stays.
    ///
    /// # Errors
    /// Why there is no new one.
    pub fn renew(
        &mut self,
        book: &Book,
        live: &[Vec<Certificate>],
        service: &Service,
        terms: &Terms,
    ) -> Result<(), String> {
        let now = Timestamp::now();
        let usable = book.active.certificate.is_valid(now, terms);
        if !usable || !plan::is_due(self.leaf.as_ref(), book, live, now, self.jitter) {
            return Ok(());
        }
        let (certified, leaf) = x509::leaf(&book.active, service, now, terms).map_err(|e| e.to_string())?;
        for at in [now, now + AHEAD] {
            x509::verify(&certified, service, &book.trusted, at)?;
        }
        tracing::info!(until = %leaf.not_after, generation = book.generation, "new serving certificate");
        self.serving.swap(certified);
        self.leaf = Some(leaf);
        Ok(())
    }
}
