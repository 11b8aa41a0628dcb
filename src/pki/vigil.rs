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
/// Between changes in a quarrel.
const SPACING: Duration = Duration::from_secs(3);

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
pub(super) struct Changes {
    times: VecDeque<Instant>,
    held_back: bool,
}

impl Changes {
    /// Counts one more; false where it would come too soon. Whoever undoes what is done here gets an answer now and then,
    /// and nobody waits for a minute when he stops.
    pub(super) fn may_change(&mut self) -> bool {
        while self.times.front().is_some_and(|then| then.elapsed() > MINUTE) {
            self.times.pop_front();
        }
        let many = self.times.len() >= MOST_CHANGES;
        self.held_back = many && self.times.back().is_some_and(|then| then.elapsed() < SPACING);
        if self.held_back {
            let changes = self.times.len();
            tracing::warn!(changes, "someone undoes what is done here; waiting");
            return false;
        }
        self.times.push_back(Instant::now());
        true
    }

    /// The pause, or less where a change had to wait.
    pub(super) fn pause(&self, pause: Duration) -> Duration {
        let soon = self.held_back && self.times.back().is_some_and(|then| then.elapsed() < SPACING);
        if soon { pause.min(SPACING) } else { pause }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_quarrel_slows_down_and_never_stops_for_long() {
        let mut changes = Changes::default();
        assert!(
            (0..MOST_CHANGES).all(|_| changes.may_change()),
            "what happens once is mended at once"
        );
        assert!(!changes.may_change());
        assert_eq!(changes.pause(MINUTE), SPACING, "it looks again soon");
        tokio::time::advance(SPACING).await;
        assert!(changes.may_change());
        assert_eq!(changes.pause(MINUTE), MINUTE);
        assert!(!changes.may_change());
        tokio::time::advance(MINUTE + SPACING).await;
        assert!((0..MOST_CHANGES).all(|_| changes.may_change()), "it is forgotten");
    }
}
