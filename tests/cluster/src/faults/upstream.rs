//! The client side: one connection to a server for each request.

use std::sync::Arc;

use anyhow::{Context, ensure};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{
    HeaderMap, Request, Response, Uri,
    body::Incoming,
    client::conn::http1,
    header::{CONNECTION, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING},
};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinSet,
};
use tokio_rustls::TlsConnector;

use super::{body::Body, leaf::provider};

/// A server that requests are sent to.
#[derive(Clone)]
pub struct Upstream {
    host: String,
    port: u16,
    tls: Option<TlsConnector>,
}

impl Upstream {
    /// The server at `https://HOST:PORT`, whose certificate one of the authorities in `ca_pem` must have signed.
    ///
    /// # Errors
    /// If the URL is another one, or the PEM holds no certificate.
    pub fn https(url: &str, ca_pem: &str) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
            roots.add(certificate.context("reading the certificate authority of an upstream")?)?;
        }
        ensure!(
            !roots.is_empty(),
            "the certificate authority of {url} holds no certificate"
        );
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tls = Some(TlsConnector::from(Arc::new(config)));
        Ok(Self {
            tls,
            ..Self::parse(url, "https")?
        })
    }

    /// The server at `http://HOST:PORT`.
    ///
    /// # Errors
    /// If the URL is another one.
    pub fn http(url: &str) -> anyhow::Result<Self> {
        Self::parse(url, "http")
    }

    fn parse(url: &str, scheme: &str) -> anyhow::Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("{url:?} is not a URL"))?;
        ensure!(
            uri.scheme_str() == Some(scheme),
            "{url:?} does not begin with {scheme}://"
        );
        let host = uri.host().with_context(|| format!("{url:?} has no host"))?;
        let host = host.trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().with_context(|| format!("{url:?} has no port"))?;
        Ok(Self { host, port, tls: None })
    }

    /// Sends a request whose URI is a path, with all its headers, over a connection of its own, and returns once the
    /// head of the answer is there. There is no time limit.
    ///
    /// # Errors
    /// If there is no connection, or it ends before the answer.
    pub async fn send<B>(&self, mut request: Request<B>) -> anyhow::Result<Response<Body>>
    where
        B: hyper::body::Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
    {
        remove_connection_headers(request.headers_mut());
        request
            .headers_mut()
            .insert(HOST, HeaderValue::from_str(&self.authority())?);
        request
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
        let socket = TcpStream::connect((self.host.as_str(), self.port)).await;
        let socket = socket.with_context(|| format!("connecting to {}", self.authority()))?;
        socket.set_nodelay(true)?;
        match &self.tls {
            None => exchange(socket, request).await,
            Some(tls) => {
                exchange(
                    tls.connect(ServerName::try_from(self.host.clone())?, socket).await?,
                    request,
                )
                .await
            }
        }
    }

    fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

async fn exchange<B, S>(socket: S, request: Request<B>) -> anyhow::Result<Response<Body>>
where
    B: hyper::body::Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let mut response = sender.send_request(request).await.context("waiting for the answer")?;
    remove_connection_headers(response.headers_mut());
    Ok(response.map(|body| received(body, driver)))
}

/// The body owns its connection: a client that leaves a watch also ends it on this side.
fn received(body: Incoming, driver: JoinSet<hyper::Result<()>>) -> Body {
    let keep = move |error| {
        let _connection = &driver;
        anyhow::Error::new(error)
    };
    body.map_err(keep).boxed_unsync()
}

/// Headers that speak about one connection only.
fn remove_connection_headers(headers: &mut HeaderMap) {
    for name in [CONNECTION, TRANSFER_ENCODING, HeaderName::from_static("keep-alive")] {
        headers.remove(name);
    }
}
