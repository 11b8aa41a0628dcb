//! A proxy in front of a real API server that makes it misbehave on request, and the wire that it shares with the
//! model registry.
//!
//! The proxy ends TLS on loopback, passes every request on with the caller's own bearer token, and answers,
//! delays, hangs, cuts and counts as its [`Wire`] is told. A process under test meets it through the
//! [`kubeconfig`](Proxy::kubeconfig) that points at it. It speaks HTTP/1.1 without upgrades, so `exec` and
//! `port-forward` do not work through it, and client certificates end at it.

use std::net::{Ipv4Addr, SocketAddr};

use base64::{Engine, prelude::BASE64_STANDARD};
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode, body::Incoming};
use serde_json::json;

mod body;
mod leaf;
pub(crate) mod listen;
mod pace;
mod record;
mod rule;
mod upstream;
mod wire;

pub use body::Body;
pub use leaf::Leaf;
pub use record::Record;
pub use rule::{Answer, Effect, Rule};
pub use upstream::Upstream;
pub use wire::Wire;

use listen::Server;

/// A running proxy; it ends, and breaks all its connections, when it is dropped.
pub struct Proxy {
    server: Server,
    wire: Wire,
    ca_pem: String,
}

impl Proxy {
    /// Starts a proxy on a free port of 127.0.0.1, for which `leaf` must be valid.
    ///
    /// # Errors
    /// If the certificate or its key cannot be used.
    pub async fn start(upstream: Upstream, leaf: &Leaf) -> anyhow::Result<Self> {
        let wire = Wire::default();
        let service = {
            let wire = wire.clone();
            move |request| forward(wire.clone(), upstream.clone(), request)
        };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = Server::start(address, Some(leaf.acceptor()?), service).await?;
        Ok(Self {
            server,
            wire,
            ca_pem: leaf.ca_pem.clone(),
        })
    }

    /// `https://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.server.address)
    }

    /// Faults, speed and the log of requests.
    #[must_use]
    pub fn wire(&self) -> &Wire {
        &self.wire
    }

    /// A kubeconfig, in JSON, for the holder of `token` and with `namespace` as the current one.
    #[must_use]
    pub fn kubeconfig(&self, token: &str, namespace: &str) -> String {
        let ca = BASE64_STANDARD.encode(&self.ca_pem);
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
            "clusters": [{"name": "proxy", "cluster": {"server": self.url(), "certificate-authority-data": ca}}],
            "users": [{"name": "proxy", "user": {"token": token}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy", "namespace": namespace}}],
        })
        .to_string()
    }
}

async fn forward(wire: Wire, upstream: Upstream, request: Request<Incoming>) -> anyhow::Result<Response<Body>> {
    let send = |request| async move { upstream.send(request).await.unwrap_or_else(|error| bad_gateway(&error)) };
    wire.pass(request, send).await
}

fn bad_gateway(error: &anyhow::Error) -> Response<Body> {
    let text = format!("the server behind the fault proxy gave no answer: {error:#}\n");
    let mut response = Response::new(Full::from(text).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response
}
