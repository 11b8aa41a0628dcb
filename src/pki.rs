//! The certificate that the webhooks serve, and the trust that the API server has in it.

pub mod book;
pub mod cluster;
pub mod configuration;
pub mod dial;
mod given;
pub mod guests;
pub mod hearsay;
pub mod keeper;
pub mod leaves;
pub mod metrics;
pub mod plan;
pub mod readiness;
pub mod report;
pub mod secret;
pub mod serving;
mod vigil;
pub mod x509;

pub use cluster::Names;
pub use keeper::{Config, Source};
pub use metrics::Metrics;
pub use serving::Serving;
pub use x509::Service;

use crate::health::Gate;
use cluster::Cluster;
use given::Given;
use keeper::Keeper;
use kube::Client;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Looks after the certificate until `stop`. Errors are counted, said and tried over: serving goes on with what there is.
/// Every replica does this; none needs the lease.
pub async fn run(
    config: Config,
    client: Client,
    serving: Arc<Serving>,
    gate: Gate,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let cluster = Cluster::new(client.clone(), config.names.clone());
    let service = config.names.service.clone();
    match config.source {
        Source::Own => {
            let keeper = Keeper::new(config, client, serving, gate, metrics);
            Box::pin(vigil::keep(keeper, cluster, service, stop)).await;
        }
        Source::Given { .. } => {
            let given = Given::new(config, client, serving, gate, metrics);
            Box::pin(vigil::keep(given, cluster, service, stop)).await;
        }
    }
}
