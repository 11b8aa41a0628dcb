//! The metrics of the process, each registered by the part that counts it, in one registry on a port of its own.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use std::sync::Arc;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// An empty registry that puts our prefix in front of every name.
#[must_use]
pub fn registry() -> Registry {
    Registry::with_prefix("llm_operator")
}

/// `/metrics`.
pub fn router(registry: Arc<Registry>) -> Router {
    Router::new().route("/metrics", get(scrape)).with_state(registry)
}

async fn scrape(State(registry): State<Arc<Registry>>) -> Response {
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => ([(CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("cannot encode the metrics: {error}\n"),
        )
            .into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use prometheus_client::metrics::counter::Counter;
    use tower::ServiceExt;

    #[tokio::test]
    async fn a_counter_is_scraped_under_our_prefix() {
        let mut registry = registry();
        let shed: Counter = Counter::default();
        registry.register("webhook_shed", "Requests refused for want of room", shed.clone());
        shed.inc();
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let answer = router(Arc::new(registry)).oneshot(request).await.unwrap();
        assert_eq!(answer.headers()[CONTENT_TYPE], OPENMETRICS);
        let body = to_bytes(answer.into_body(), 10_000).await.unwrap();
        assert!(String::from_utf8_lossy(&body).contains("llm_operator_webhook_shed_total 1\n"));
    }
}
