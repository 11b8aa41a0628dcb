//! The routes of the webhooks, with their bounds: size, number at a time, time to arrive.

use crate::base::settings::Settings;
use crate::webhook::handler::{Handled, mutate, validate};
use crate::webhook::metrics::{Labels, Metrics, Webhook};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use prometheus_client::metrics::gauge::Gauge;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

/// Two objects of the largest size that etcd takes, and the question around them.
const LARGEST_BODY: usize = 7 * 1024 * 1024;
/// Questions at a time; with [`LARGEST_BODY`] this bounds the memory that clients can take.
const MOST_AT_A_TIME: usize = 64;
/// A question that takes longer to arrive comes from no API server, and must not keep its place.
const PATIENCE: Duration = Duration::from_secs(5);

type Handler = fn(&[u8], &Settings) -> Handled;

struct Shared {
    settings: Arc<Settings>,
    metrics: Metrics,
    room: Semaphore,
}

/// One of the two webhooks, as a route holds it.
#[derive(Clone)]
struct Route {
    name: &'static str,
    handler: Handler,
    shared: Arc<Shared>,
}

/// `POST /mutate` and `POST /validate`.
pub fn router(settings: Arc<Settings>, metrics: Metrics) -> Router {
    let shared = Arc::new(Shared {
        settings,
        metrics,
        room: Semaphore::new(MOST_AT_A_TIME),
    });
    let route = |name, handler: Handler| {
        post(answer).with_state(Route {
            name,
            handler,
            shared: Arc::clone(&shared),
        })
    };
    Router::new()
        .route("/mutate", route("mutate", mutate))
        .route("/validate", route("validate", validate))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
}

async fn answer(State(route): State<Route>, request: Request) -> Response {
    let metrics = &route.shared.metrics;
    let Ok(_place) = route.shared.room.try_acquire() else {
        metrics.shed.inc();
        // The API server's client asks again, within the webhook's timeout, only when told when.
        return (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, "1")]).into_response();
    };
    let _counted = InFlight::new(&metrics.in_flight);
    let body = match timeout(PATIENCE, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => body,
        Ok(Err(rejection)) => return rejection.into_response(),
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    route.handled(&body)
}

impl Route {
    fn handled(&self, body: &[u8]) -> Response {
        let Shared { settings, metrics, .. } = &*self.shared;
        let start = Instant::now();
        let answer = self.handler;
        let Ok(handled) = catch_unwind(|| answer(body, settings)) else {
            metrics.panics.inc();
            tracing::error!(webhook = self.name, "the handler panicked");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        let json = handled.answer.json();
        metrics
            .duration
            .get_or_create(&Webhook { webhook: self.name })
            .observe(start.elapsed().as_secs_f64());
        self.count(&handled);
        ([(CONTENT_TYPE, "application/json")], json).into_response()
    }

    fn count(&self, handled: &Handled) {
        let metrics = &self.shared.metrics;
        let Handled {
            answer,
            operation,
            kind,
            discarded,
        } = handled;
        let allowed = if answer.allowed() { "true" } else { "false" };
        let labels = Labels {
            webhook: self.name,
            operation,
            kind,
            allowed,
            code: answer.code(),
        };
        metrics.requests.get_or_create(&labels).inc();
        if *discarded {
            metrics.discarded.inc();
            tracing::error!(
                webhook = self.name,
                kind,
                "a patch would have done more than add to the spec"
            );
        }
        tracing::debug!(
            webhook = self.name,
            operation,
            kind,
            allowed,
            code = answer.code(),
            "answered"
        );
    }
}

/// Counts a request for as long as it lives, also when the client hangs up in the middle.
struct InFlight<'a>(&'a Gauge);

impl<'a> InFlight<'a> {
    fn new(gauge: &'a Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::registry::Registry;

    #[test]
    fn a_panic_ends_one_request_and_is_counted() {
        let metrics = Metrics::register(&mut Registry::default());
        let settings = Arc::new(Settings::default());
        let shared = Arc::new(Shared {
            settings,
            metrics: metrics.clone(),
            room: Semaphore::new(1),
        });
        let route = Route {
            name: "mutate",
            handler: |_, _| panic!("a mistake"),
            shared,
        };
        assert_eq!(route.handled(b"{}").status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(metrics.panics.get(), 1);
    }
}
