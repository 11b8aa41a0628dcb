//! Steering a registry from outside its process: `POST /_ctl`, `GET /_log`, `DELETE /_log`.

use std::{collections::BTreeMap, net::SocketAddr};

use anyhow::{Context, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response, StatusCode, body::Incoming};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Package, Registry, answers::json};
use crate::faults::{Body, Record, Rule, Upstream};

/// What to change; what is absent stays as it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Order {
    /// Bytes per second of all connections together; 0 is full speed.
    pub rate: Option<u64>,
    /// The faults, in place of those there are.
    pub faults: Option<Vec<Rule>>,
    /// Whether to break off every request under way.
    pub cut: bool,
    /// Models to add, by name.
    pub add: BTreeMap<String, Package>,
    /// Names to take away.
    pub remove: Vec<String>,
}

/// Digests of the manifests of the models that an order added, by name.
pub type Digests = BTreeMap<String, String>;

impl Registry {
    pub(super) async fn control(&self, request: Request<Incoming>) -> Response<Body> {
        match (request.method().clone(), request.uri().path()) {
            (Method::GET, "/_log") => answer(Ok(self.wire().requests())),
            (Method::DELETE, "/_log") => {
                self.wire().forget();
                answer(Ok(()))
            }
            (Method::POST, "/_ctl") => answer(self.obey(request).await),
            _ => json(
                StatusCode::NOT_FOUND,
                r#"{"error":"control is POST /_ctl, GET /_log and DELETE /_log"}"#.to_owned(),
            ),
        }
    }

    async fn obey(&self, request: Request<Incoming>) -> anyhow::Result<Digests> {
        let body = request
            .into_body()
            .collect()
            .await
            .context("receiving the order")?
            .to_bytes();
        let order: Order = serde_json::from_slice(&body).context("reading the order")?;
        for name in &order.remove {
            self.remove(name)?;
        }
        let digests = order
            .add
            .into_iter()
            .map(|(name, package)| Ok((name.clone(), self.add(&name, package)?)));
        let digests = digests.collect::<anyhow::Result<_>>()?;
        if let Some(rate) = order.rate {
            self.wire().limit(rate);
        }
        if let Some(rules) = order.faults {
            self.wire().replace(rules);
        }
        if order.cut {
            self.wire().cut();
        }
        Ok(digests)
    }
}

fn answer(result: anyhow::Result<impl Serialize>) -> Response<Body> {
    match result.and_then(|value| Ok(serde_json::to_string(&value)?)) {
        Ok(body) => json(StatusCode::OK, body),
        Err(error) => json(
            StatusCode::BAD_REQUEST,
            serde_json::json!({"error": format!("{error:#}")}).to_string(),
        ),
    }
}

/// A registry in another process, or behind a forwarded port.
#[derive(Clone)]
pub struct Remote(Upstream);

impl Remote {
    /// The registry that is reached at this address.
    ///
    /// # Errors
    /// Never for an address that can be written as a URL.
    pub fn new(address: SocketAddr) -> anyhow::Result<Self> {
        Upstream::http(&format!("http://{address}")).map(Self)
    }

    /// Changes models, faults and speed.
    ///
    /// # Errors
    /// If the registry cannot be reached, or cannot carry it out; it then says why.
    pub async fn order(&self, order: &Order) -> anyhow::Result<Digests> {
        self.call(Method::POST, "/_ctl", serde_json::to_vec(order)?).await
    }

    /// The requests so far.
    ///
    /// # Errors
    /// If the registry cannot be reached.
    pub async fn requests(&self) -> anyhow::Result<Vec<Record>> {
        self.call(Method::GET, "/_log", Vec::new()).await
    }

    /// Empties the log.
    ///
    /// # Errors
    /// If the registry cannot be reached.
    pub async fn forget(&self) -> anyhow::Result<()> {
        self.call(Method::DELETE, "/_log", Vec::new()).await
    }

    async fn call<T: DeserializeOwned>(&self, method: Method, path: &str, body: Vec<u8>) -> anyhow::Result<T> {
        let request = Request::builder()
            .method(&method)
            .uri(path)
            .body(Full::new(Bytes::from(body)))?;
        let response = self
            .0
            .send(request)
            .await
            .with_context(|| format!("{method} {path} at the registry"))?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        let text = String::from_utf8_lossy(&body);
        ensure!(status.is_success(), "{method} {path} at the registry: {status}: {text}");
        serde_json::from_str(&text).with_context(|| format!("{method} {path} at the registry: {text}"))
    }
}
