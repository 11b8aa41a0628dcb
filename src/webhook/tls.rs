//! TLS as the API server speaks it to webhooks.

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::ResolvesServerCert;
use rustls::version::{TLS12, TLS13};
use std::sync::Arc;

/// TLS 1.2 and 1.3 with whatever certificate the resolver holds at each handshake.
///
/// HTTP/1.1 alone is offered: the API server speaks nothing else to a Service, and HTTP/2 would only add its attacks.
///
/// # Errors
/// When the crypto provider supports neither version, which would be a mistake in the build.
pub fn config(certificate: Arc<dyn ResolvesServerCert>) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
