//! The two webhooks without the operator: what an API server takes for asking and for what comes of it, whoever answers.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use serde_json::{Value, json};

use crate::bench::bed::{Bed, NAMESPACE, RELEASE};
use crate::faults::listen::Server;
use crate::faults::{Body, Leaf};

/// Namespaces with this label are admitted by these webhooks.
pub(super) const LABEL: &str = "bench.test/bare";
const MUTATE: &str = "/mutate";

/// They answer until it is dropped.
pub(super) struct Bare {
    _server: Server,
}

impl Bare {
    /// `spec` is what the operator makes of that of each object.
    pub(super) async fn start(bed: &Bed, spec: &Value) -> Result<Self> {
        let leaf = Leaf::for_loopback()?;
        let listener = bed
            .cluster
            .listen_on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            .await?;
        let patch = json!([{"op": "replace", "path": "/spec", "value": spec}]).to_string();
        let patch = BASE64_STANDARD.encode(patch);
        let server = Server::on(listener, Some(leaf.acceptor()?), move |request| {
            admit(request, patch.clone())
        })?;
        for (kind, path) in [("mutating", MUTATE), ("validating", "/validate")] {
            let own = format!("{kind}webhookconfiguration/{NAMESPACE}-{RELEASE}-{kind}");
            let mut object: Value = serde_json::from_str(&bed.cluster.kubectl(&["get", &own, "-o", "json"]).await?)?;
            object["metadata"] = json!({"name": "bare"});
            let webhook = &mut object["webhooks"][0];
            webhook["name"] = "bare.bench.test".into();
            webhook["namespaceSelector"] = json!({"matchExpressions": [{"key": LABEL, "operator": "Exists"}]});
            webhook["clientConfig"] = json!({
                "url": format!("https://{}{path}", server.address), "caBundle": BASE64_STANDARD.encode(&leaf.ca_pem),
            });
            bed.cluster
                .kubectl_with(&["create", "-f", "-"], &object.to_string())
                .await?;
        }
        Ok(Self { _server: server })
    }
}

async fn admit(request: Request<Incoming>, patch: String) -> Result<Response<Body>> {
    let fills = request.uri().path() == MUTATE;
    let review: Value = serde_json::from_slice(&request.into_body().collect().await?.to_bytes())?;
    let mut answer = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "response": {"uid": review["request"]["uid"], "allowed": true},
    });
    if fills {
        answer["response"]["patchType"] = "JSONPatch".into();
        answer["response"]["patch"] = patch.into();
    }
    let body = Full::from(answer.to_string())
        .map_err(|never| match never {})
        .boxed_unsync();
    Ok(Response::builder()
        .header("content-type", "application/json")
        .body(body)?)
}
