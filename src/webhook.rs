//! The admission webhooks: a review in, a review out, over TLS. No handler asks anyone anything.

pub mod answer;
pub mod handler;
pub mod metrics;
pub mod request;
pub mod router;
pub mod tls;

pub use handler::{mutate, validate};
pub use metrics::Metrics;
pub use router::router;
