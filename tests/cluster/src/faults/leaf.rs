//! The certificate that a test server shows.

use std::sync::Arc;

use anyhow::Context;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio_rustls::TlsAcceptor;

/// A server certificate with its key, and the authority that signed it.
#[derive(Clone)]
pub struct Leaf {
    /// What clients are to trust.
    pub ca_pem: String,
    /// The certificate, valid for the address it is served on, and those between it and the authority.
    pub certificate_pem: String,
    /// Its private key.
    pub key_pem: String,
}

impl Leaf {
    /// A new one for 127.0.0.1, which is its own authority.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn for_loopback() -> anyhow::Result<Self> {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
        Ok(Self {
            ca_pem: made.cert.pem(),
            certificate_pem: made.cert.pem(),
            key_pem: made.signing_key.serialize_pem(),
        })
    }

    /// TLS with this certificate, HTTP/1.1 only.
    pub(crate) fn acceptor(&self) -> anyhow::Result<TlsAcceptor> {
        let chain = CertificateDer::pem_slice_iter(self.certificate_pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .context("reading the certificate of the proxy")?;
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).context("reading the key of the proxy")?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .context("the certificate and the key of the proxy")?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// Named here because a test may link a second provider, and then rustls would not choose by itself.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
