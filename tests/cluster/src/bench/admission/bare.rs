//! Two webhooks that admit everything at once: what an API server takes for asking, whoever answers.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use serde_json::{Value, json};

use crate::bench::bed::Bed;
use crate::faults::listen::Server;
use crate::faults::{Body, Leaf};

/// Namespaces with this label are admitted by these webhooks.
pub(super) const LABEL: &str = "bench.test/bare";

/// They answer until it is dropped.
pub(super) struct Bare {
    _server: Server,
}

impl Bare {
    pub(super) async fn start(bed: &Bed) -> Result<Self> {
        let leaf = Leaf::for_loopback()?;
        let listener = bed
            .cluster
            .listen_on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            .await?;
        let server = Server::on(listener, Some(leaf.acceptor()?), admit)?;
        let webhook = json!({
            "name": "bare.bench.test", "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "clientConfig": {
                "url": format!("https://{}/", server.address), "caBundle": BASE64_STANDARD.encode(&leaf.ca_pem),
            },
            "namespaceSelector": {"matchExpressions": [{"key": LABEL, "operator": "Exists"}]},
            "rules": [{
                "apiGroups": ["llm.geeper.io"], "apiVersions": ["*"], "operations": ["CREATE"], "resources": ["lmdeployments"],
            }],
        });
        for kind in ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"] {
            let object = json!({
                "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": "bare"},
                "webhooks": [webhook],
            });
            bed.cluster
                .kubectl_with(&["create", "-f", "-"], &object.to_string())
                .await?;
        }
        Ok(Self { _server: server })
    }
}

async fn admit(request: Request<Incoming>) -> Result<Response<Body>> {
    let review: Value = serde_json::from_slice(&request.into_body().collect().await?.to_bytes())?;
    let answer = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "response": {"uid": review["request"]["uid"], "allowed": true},
    });
    let body = Full::from(answer.to_string())
        .map_err(|never| match never {})
        .boxed_unsync();
    Ok(Response::builder()
        .header("content-type", "application/json")
        .body(body)?)
}
