//! What the kubelet asks: is the process alive, and may it be sent requests.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Everything that must hold before this replica may be sent requests. Clones share the same gates.
#[derive(Clone, Debug, Default)]
pub struct Gates(Arc<Mutex<BTreeMap<&'static str, Option<String>>>>);

/// One gate, in the hands of the part that opens and closes it.
#[derive(Clone, Debug)]
pub struct Gate {
    name: &'static str,
    gates: Gates,
}

impl Gates {
    /// A new gate, closed until its owner opens it.
    #[must_use]
    pub fn gate(&self, name: &'static str) -> Gate {
        let gate = Gate {
            name,
            gates: self.clone(),
        };
        self.set(name, Some("starting".into()));
        gate
    }

    /// Closes a gate that never opens again: the process is on its way out.
    pub fn drain(&self) {
        self.set("shutdown", Some("draining".into()));
    }

    /// The gates that are closed, each with its reason.
    #[must_use]
    pub fn closed(&self) -> Vec<(&'static str, String)> {
        let gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        gates
            .iter()
            .filter_map(|(name, reason)| Some((*name, reason.clone()?)))
            .collect()
    }

    fn set(&self, name: &'static str, reason: Option<String>) {
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if gates.get(name) == Some(&reason) {
            return;
        }
        if let Some(reason) = &reason {
            tracing::info!(gate = name, reason, "not ready");
        } else {
            tracing::info!(gate = name, "ready");
        }
        gates.insert(name, reason);
    }
}

impl Gate {
    /// The condition holds.
    pub fn open(&self) {
        self.gates.set(self.name, None);
    }

    /// The condition does not hold; the reason is what `/readyz` says.
    pub fn close(&self, reason: impl Into<String>) {
        self.gates.set(self.name, Some(reason.into()));
    }
}

/// `/healthz` and `/readyz`.
pub fn router(gates: Gates) -> Router {
    Router::new()
        // That an answer comes at all is the whole check: it depends on neither the API server nor a certificate,
        // since a restart would mend neither.
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(gates)
}

async fn ready(State(gates): State<Gates>) -> Response {
    let closed = gates.closed();
    if closed.is_empty() {
        return "ok\n".into_response();
    }
    let lines: Vec<String> = closed
        .iter()
        .map(|(name, reason)| {
            format!(
                "{name}: {reason}
"
            )
        })
        .collect();
    (StatusCode::SERVICE_UNAVAILABLE, lines.concat()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt;

    async fn ask(gates: &Gates, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = router(gates.clone()).oneshot(request).await.unwrap();
        let status = answer.status();
        let body = to_bytes(answer.into_body(), 10_000).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_replica_is_ready_when_every_gate_is_open() {
        let gates = Gates::default();
        let (certificate, controllers) = (gates.gate("certificate"), gates.gate("controllers"));
        certificate.close("no Secret");
        assert_eq!(
            ask(&gates, "/readyz").await,
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "certificate: no Secret\ncontrollers: starting\n".into()
            )
        );
        certificate.open();
        controllers.open();
        assert_eq!(ask(&gates, "/readyz").await.0, StatusCode::OK);
        gates.drain();
        assert_eq!(ask(&gates, "/readyz").await.1, "shutdown: draining\n");
        assert_eq!(ask(&gates, "/healthz").await.0, StatusCode::OK);
    }
}
