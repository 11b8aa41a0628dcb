//! The certificate that the webhooks serve, and the trust that the API server has in it.

pub mod book;
pub mod cluster;
pub mod configuration;
pub mod dial;
pub mod hearsay;
pub mod keeper;
pub mod leaves;
pub mod metrics;
pub mod plan;
pub mod readiness;
pub mod report;
pub mod secret;
pub mod serving;
pub mod x509;

pub use cluster::Names;
pub use keeper::{Config, run};
pub use metrics::Metrics;
pub use serving::Serving;
pub use x509::Service;
