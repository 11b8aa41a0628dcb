//! Calling ourselves as the API server would.

use crate::pki::book::Certificate;
use crate::pki::x509::{self, Service};
use jiff::Timestamp;
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Everything happens inside this machine.
const PATIENCE: Duration = Duration::from_secs(5);

/// The time by which a certificate is judged.
#[derive(Debug)]
struct At(Timestamp);

impl TimeProvider for At {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.as_second()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// Makes a TLS connection to `address` as the Service, trusting these and no others, at the time `now`.
///
/// # Errors
/// Why the API server could not do the same, for people.
pub async fn dial(
    address: SocketAddr,
    service: &Service,
    trusted: &[Certificate],
    now: Timestamp,
) -> Result<(), String> {
    let attempt = handshake(address, service, trusted, now);
    timeout(PATIENCE, attempt)
        .await
        .unwrap_or_else(|_| Err(format!("no TLS handshake within {PATIENCE:?}")))
}

async fn handshake(
    address: SocketAddr,
    service: &Service,
    trusted: &[Certificate],
    now: Timestamp,
) -> Result<(), String> {
    let provider = Arc::new(ring::default_provider());
    let mut config = ClientConfig::builder_with_details(provider, Arc::new(At(now)))
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
