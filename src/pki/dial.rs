//! Calling ourselves as the API server would.

use crate::pki::book::Certificate;
use crate::pki::x509::{self, Service};
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Everything happens inside this machine.
const PATIENCE: Duration = Duration::from_secs(5);

/// Makes a TLS connection to `address` as the Service, trusting these and no others.
///
/// # Errors
/// Why the API server could not do the same, for people.
pub async fn dial(address: SocketAddr, service: &Service, trusted: &[Certificate]) -> Result<(), String> {
    let attempt = handshake(address, service, trusted);
    timeout(PATIENCE, attempt)
        .await
        .unwrap_or_else(|_| Err(format!("no TLS handshake within {PATIENCE:?}")))
}

async fn handshake(address: SocketAddr, service: &Service, trusted: &[Certificate]) -> Result<(), String> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_root_certificates(x509::roots(trusted)?)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = ServerName::try_from(service.host()).map_err(|e| e.to_string())?;
    let stream = TcpStream::connect(address)
        .await
        .map_err(|e| format!("cannot connect to {address}: {e}"))?;
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .map_err(|e| e.to_string())?;
    Ok(())
}
