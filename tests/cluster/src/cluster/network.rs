//! Reaching pods and Services from outside, and being reached by them.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result, anyhow, bail, ensure};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::ListParams;
use serde::de::DeserializeOwned;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_blocking;

use super::Cluster;
use crate::components;
use crate::keeper::sockets::{self, Wanted};
use crate::network;
use crate::state::Kind;

impl Cluster {
    /// A connection to an address inside the cluster.
    ///
    /// # Errors
    /// When nobody answers there.
    pub async fn dial(&self, address: SocketAddr) -> Result<TcpStream> {
        let stream = std::net::TcpStream::from(self.socket(Wanted::Connection(address)).await?);
        stream.set_nonblocking(true)?;
        Ok(TcpStream::from_std(stream)?)
    }

    /// A socket that listens inside the cluster on the node's address, for a stand-in that pods call: the test
    /// accepts on it as on any other. Port 0 takes a free one.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn listen(&self, port: u16) -> Result<TcpListener> {
        self.listen_on(SocketAddr::new(network::NODE_IP.parse()?, port)).await
    }

    /// A socket that listens on any address inside the cluster, such as that of a pod that KWOK plays.
    ///
    /// # Errors
    /// When the address is none of the cluster's, or taken.
    pub async fn listen_on(&self, address: SocketAddr) -> Result<TcpListener> {
        let listener = std::net::TcpListener::from(self.socket(Wanted::Listener(address)).await?);
        listener.set_nonblocking(true)?;
        Ok(TcpListener::from_std(listener)?)
    }

    /// Makes `name` resolve to the node's address for pods, within a second.
    ///
    /// # Errors
    /// When the cluster has no DNS, because it has no real node.
    pub fn add_host(&self, name: &str) -> Result<()> {
        ensure!(
            self.kind == Kind::Node,
            "cluster {:?} has no real node, so no pod asks for a name",
            self.name()
        );
        components::add_host(&self.state, name, network::NODE_IP)
    }

    /// Sends a request to `url`, whose host is an address inside the cluster or `SERVICE.NAMESPACE.svc`, and
    /// returns the answer as soon as its headers are there.
    ///
    /// # Errors
    /// When nobody answers; an HTTP error is a reply.
    pub async fn http(&self, method: &str, url: &str, body: Option<&serde_json::Value>) -> Result<Reply> {
        let mut request = Request::builder().method(method);
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map(ToString::to_string).unwrap_or_default();
        self.send(url, request.body(Bytes::from(body))?).await
    }

    /// The same with headers and any body; the request's own address does not count.
    ///
    /// # Errors
    /// When nobody answers; an HTTP error is a reply.
    pub async fn send(&self, url: &str, mut request: Request<Bytes>) -> Result<Reply> {
        let uri: hyper::Uri = url.parse().with_context(|| format!("{url} is not a URL"))?;
        ensure!(uri.scheme_str() == Some("http"), "{url} is not an http URL");
        let host = uri.host().with_context(|| format!("{url} has no host"))?;
        let address = self.resolve(host, uri.port_u16().unwrap_or(80)).await?;
        let stream = self
            .dial(address)
            .await
            .with_context(|| format!("cannot reach {url}"))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends with the reply's last byte, or when the reply is dropped.
        tokio::spawn(connection);
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = path.parse()?;
        request.headers_mut().insert("host", host.parse()?);
        let response = sender.send_request(request.map(Full::new)).await?;
        Ok(Reply {
            status: response.status().as_u16(),
            body: response.into_body(),
            rest: Vec::new(),
        })
    }

    async fn socket(&self, wanted: Wanted) -> Result<std::os::fd::OwnedFd> {
        let state = self.state.clone();
        spawn_blocking(move || sockets::get(&state, wanted)).await?
    }

    async fn resolve(&self, host: &str, port: u16) -> Result<SocketAddr> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(SocketAddr::new(address, port));
        }
        let mut parts = host.trim_end_matches(".cluster.local").split('.');
        let (Some(service), Some(namespace), Some("svc"), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            bail!("{host} is neither an address nor SERVICE.NAMESPACE.svc")
        };
        let client = self.client().await?;
        let found = Api::<Service>::namespaced(client.clone(), namespace)
            .get(service)
            .await?;
        let cluster_ip = found.spec.and_then(|spec| spec.cluster_ip).filter(|ip| ip != "None");
        match cluster_ip {
            // Through kube-proxy, as a pod would.
            Some(ip) if self.kind == Kind::Node => Ok(SocketAddr::new(ip.parse()?, port)),
            _ => endpoint(client, namespace, service).await,
        }
    }
}

/// A ready endpoint of a Service, where there is no kube-proxy or no address of the Service's own.
async fn endpoint(client: kube::Client, namespace: &str, service: &str) -> Result<SocketAddr> {
    let of_service = ListParams::default().labels(&format!("kubernetes.io/service-name={service}"));
    let slices = Api::<EndpointSlice>::namespaced(client, namespace)
        .list(&of_service)
        .await?;
    let ready = slices.items.into_iter().find_map(|slice| {
        let port = slice.ports?.first()?.port?;
        let is_ready =
            |e: &k8s_openapi::api::discovery::v1::Endpoint| e.conditions.as_ref().and_then(|c| c.ready).unwrap_or(true);
        let endpoint = slice.endpoints.into_iter().find(is_ready)?;
        Some((endpoint.addresses.into_iter().next()?, u16::try_from(port).ok()?))
    });
    let (address, port) = ready.ok_or_else(|| anyhow!("Service {namespace}/{service} has no ready endpoint"))?;
    Ok(SocketAddr::new(address.parse()?, port))
}

/// An HTTP answer whose body arrives bit by bit.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    body: Incoming,
    /// What has arrived after the last line that was read.
    rest: Vec<u8>,
}

impl Reply {
    /// The next line of the body without its end, as soon as it is there; none after the last.
    ///
    /// # Errors
    /// When the connection breaks before the body is complete.
    pub async fn line(&mut self) -> Result<Option<String>> {
        loop {
            if let Some(end) = self.rest.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Ok(Some(String::from_utf8(line[..end].to_vec())?));
            }
            let Some(frame) = self.body.frame().await else {
                let last = std::mem::take(&mut self.rest);
                return Ok(if last.is_empty() {
                    None
                } else {
                    Some(String::from_utf8(last)?)
                });
            };
            if let Ok(data) = frame.context("the answer was cut short")?.into_data() {
                self.rest.extend_from_slice(&data);
            }
        }
    }

    /// The rest of the body.
    ///
    /// # Errors
    /// When the connection breaks before the body is complete.
    pub async fn text(self) -> Result<String> {
        let collected = self.body.collect().await.context("the answer was cut short")?;
        Ok(String::from_utf8([&self.rest[..], &collected.to_bytes()].concat())?)
    }

    /// The rest of the body, which is JSON.
    ///
    /// # Errors
    /// When the connection breaks or the body is not what is expected.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T> {
        let text = self.text().await?;
        serde_json::from_str(&text).with_context(|| format!("not what was expected: {text}"))
    }
}
