//! Looking after the certificate: whenever one of the objects that it is about changes, and now and then.

use crate::pki::cluster::{Cluster, Seen};
use crate::pki::hearsay::Hearsay;
use crate::pki::x509::Service;
use futures::StreamExt;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// No more than so many changes in this time.
const MINUTE: Duration = Duration::from_secs(60);
/// While this replica is not ready: someone is waiting.
const IMPATIENT: Duration = Duration::from_secs(1);
/// Changes in a minute. More would be a quarrel with someone who undoes them.
const MOST_CHANGES: usize = 20;

/// Whoever looks after the certificate.
pub(super) trait Look: Send {
    /// How long to wait at most before looking again.
    fn pause(&self) -> Duration;

    /// Something was not possible.
    fn failed(&mut self, error: &str);

    /// Looks, and does what there is to do.
    fn look(&mut self, heard: Seen) -> impl Future<Output = ()> + Send;
}

/// Looks until `stop`.
pub(super) async fn keep(mut looker: impl Look, cluster: Cluster, service: Service, stop: CancellationToken) {
    let mut news = cluster.watch();
    let mut hearsay = Hearsay::default();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(looker.pause()) => {}
            Some(item) = news.next() => match item {
                Ok(item) => hearsay.hear(item),
                Err(error) => {
                    looker.failed(&format!("cannot watch: {error}"));
                    continue;
                }
            },
        }
        let Some(heard) = hearsay.seen(&service) else {
            continue;
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = looker.look(heard) => {}
        }
    }
}

/// How long to wait, for a replica that has or has not been called yet, after so many failures in a row.
pub(super) fn pause(proven: bool, failures: u32, tick: Duration) -> Duration {
    match failures {
        0 if proven => tick,
        0 => IMPATIENT,
        failures => (IMPATIENT * 2_u32.saturating_pow(failures.min(6))).min(tick),
    }
}

/// The changes of the last minute.
#[derive(Default)]
pub(super) struct Changes(VecDeque<Instant>);

impl Changes {
    /// Counts one more; false where it would be too many.
    pub(super) fn may_change(&mut self) -> bool {
        while self.0.front().is_some_and(|then| then.elapsed() > MINUTE) {
            self.0.pop_front();
        }
        if self.0.len() >= MOST_CHANGES {
            let changes = self.0.len();
            tracing::warn!(changes, "someone undoes what is done here; waiting");
            return false;
        }
        self.0.push_back(Instant::now());
        true
    }
}
