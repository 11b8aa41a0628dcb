//! Questions, and the webhooks that they are put to.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use llm_operator::base::settings::Settings;
use llm_operator::metrics;
use llm_operator::webhook::{Metrics, router};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use std::sync::Arc;
use tower::ServiceExt;

/// The two webhooks, and what they counted.
pub struct Webhooks {
    registry: Registry,
    pub router: Router,
}

impl Webhooks {
    pub fn new(settings: Settings) -> Self {
        let mut registry = metrics::registry();
        let metrics = Metrics::register(&mut registry);
        Self {
            registry,
            router: router(Arc::new(settings), metrics),
        }
    }

    pub async fn send(&self, path: &str, body: impl Into<Body>) -> (StatusCode, Vec<u8>) {
        let request = Request::post(path)
            .header(CONTENT_TYPE, "application/json")
            .body(body.into())
            .unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let status = answer.status();
        (status, to_bytes(answer.into_body(), usize::MAX).await.unwrap().to_vec())
    }

    /// The `response` of an answer that has the form the API server insists on.
    pub async fn ask(&self, path: &str, review: &Value) -> Value {
        let (status, body) = self.send(path, review.to_string()).await;
        assert_eq!(status, StatusCode::OK);
        let answer: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(answer["apiVersion"], "admission.k8s.io/v1");
        assert_eq!(answer["kind"], "AdmissionReview");
        assert_eq!(answer["response"]["uid"], review["request"]["uid"]);
        answer["response"].clone()
    }

    pub fn metrics(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).unwrap();
        text
    }
}

/// The webhooks with the settings that an installation has by default.
pub fn webhooks() -> Webhooks {
    Webhooks::new(Settings::default())
}

/// A deployment with that spec.
pub fn deployment(spec: impl Into<Value>) -> Value {
    json!({
        "apiVersion": "llm.geeper.io/v1alpha1",
        "kind": "LMDeployment",
        "metadata": {"name": "chat", "namespace": "team"},
        "spec": spec.into(),
    })
}

/// The question about a change.
pub fn review(operation: &str, object: &Value, old: &Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "llm.geeper.io", "version": "v1alpha1", "kind": "LMDeployment"},
            "resource": {"group": "llm.geeper.io", "version": "v1alpha1", "resource": "lmdeployments"},
            "name": "chat",
            "namespace": "team",
            "operation": operation,
            "userInfo": {"username": "jane"},
            "object": object,
            "oldObject": old,
            "dryRun": false,
        },
    })
}

/// The question about a new deployment.
pub fn create(spec: Value) -> Value {
    review("CREATE", &deployment(spec), &Value::Null)
}

/// A spec without fault.
pub fn good() -> Value {
    json!({"ollama": {"models": ["llama3.2:1b"], "persistence": {"enabled": true}}})
}

/// The object after the patch of the answer.
pub fn patched(object: &Value, response: &Value) -> Value {
    assert_eq!(response["patchType"], "JSONPatch");
    let patch = STANDARD.decode(response["patch"].as_str().unwrap()).unwrap();
    let mut object = object.clone();
    let patch: json_patch::Patch = serde_json::from_slice(&patch).unwrap();
    json_patch::patch(&mut object, &patch).unwrap();
    object
}
