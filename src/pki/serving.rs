//! The certificate that is served right now.

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::sync::Arc;
use tokio::sync::watch;

/// Holds the key and certificate; a swap takes effect with the next handshake.
#[derive(Debug, Default)]
pub struct Serving(watch::Sender<Option<Arc<CertifiedKey>>>);

impl Serving {
    /// Serves this one from now on.
    pub fn swap(&self, certified: Arc<CertifiedKey>) {
        self.0.send_replace(Some(certified));
    }

    /// What is served; nothing until the first one was made, and handshakes fail until then.
    #[must_use]
    pub fn current(&self) -> Option<Arc<CertifiedKey>> {
        self.0.borrow().clone()
    }
}

impl ResolvesServerCert for Serving {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current()
    }
}
