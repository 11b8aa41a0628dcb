//! What every reconcile shares.

use super::cache::{Cache, Touched};
use super::index::Index;
use super::memory::Memory;
use super::metrics::Reconciles;
use super::places::Places;
use super::report::Teller;
use super::restart::Restarts;
use super::waits::Waits;
use super::wallet::Wallet;
use crate::base::settings::Settings;
use crate::clock::Clock;
use crate::ollama::fleet::Fleet;
use crate::ollama::metrics::Metrics;
use jiff::Timestamp;
use kube::Client;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

/// The operator at work.
pub(super) struct Context {
    pub(super) client: Client,
    pub(super) clock: Clock,
    pub(super) settings: Settings,
    pub(super) cache: Arc<Cache>,
    /// What the older operator left.
    pub(super) estate: Arc<Cache>,
    pub(super) fleet: Arc<Fleet>,
    pub(super) wallet: Wallet,
    pub(super) memory: Memory,
    pub(super) index: Index,
    pub(super) places: Places,
    pub(super) restarts: Restarts,
    pub(super) waits: Waits,
    pub(super) touched: broadcast::Sender<Touched>,
    pub(super) teller: Teller,
    pub(super) resync: Duration,
    pub(super) metrics: Reconciles,
    pub(super) models: Metrics,
    /// Cancelled when the operator is to end.
    pub(super) stop: CancellationToken,
}

impl Context {
    /// Returns when every store has listed what there is, or false when the operator ends before: the watches end with it,
    /// and what they have not listed by then they never list.
    pub(super) async fn complete(&self) -> bool {
        tokio::select! {
            () = self.index.filled() => true,
            () = self.stop.cancelled() => false,
        }
    }

    /// Now, in whole seconds, as the API server stores times.
    pub(super) fn now(&self) -> Timestamp {
        let now = self.clock.now();
        Timestamp::from_second(now.as_second()).unwrap_or(now)
    }
}
