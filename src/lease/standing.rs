//! Who may write, decided from what this process saw of the Lease and when. Pure: times are readings of one
//! monotonic clock, so that no wall clock, here or on another node, can make two processes lead at once.

use std::time::Duration;

/// How long a claim lasts.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Others take the Lease when it did not change for this long.
    pub duration: Duration,
    /// The holder gives up when it could not renew for this long; must be shorter than `duration`, since the holder
    /// counts from sending a renewal and the others from seeing it, which is later.
    pub deadline: Duration,
    /// Between two looks at the Lease, whoever holds it.
    pub retry: Duration,
}

impl Default for Terms {
    /// The numbers of Kubernetes' own controllers.
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(15),
            deadline: Duration::from_secs(10),
            retry: Duration::from_secs(2),
        }
    }
}

/// What a Lease says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The holder's identity; empty when it was given back.
    pub holder: String,
    /// For how long the holder claims it at each renewal.
    pub duration: Duration,
    /// Changes with every write, whoever writes.
    pub version: String,
}

/// What to do about the Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nobody ever held it: make it.
    Create,
    /// Nobody holds it any more: write our name over it.
    Take,
    /// We hold it: say so again.
    Renew,
    /// Someone else holds it.
    Wait,
}

/// What this process knows of the Lease, and since when.
#[derive(Clone, Debug)]
pub struct Standing {
    me: String,
    terms: Terms,
    /// The version seen last, and when it was seen first.
    seen: Option<(String, Duration)>,
    /// When the last write that made or kept us the holder was sent.
    confirmed: Option<Duration>,
}

impl Standing {
    /// A process that knows nothing yet. `me` must be different for every process that ever runs.
    #[must_use]
    pub fn new(me: String, terms: Terms) -> Self {
        Self {
            me,
            terms,
            seen: None,
            confirmed: None,
        }
    }

    /// Takes note of what a read returned at `now`, and says what to do.
    pub fn decide(&mut self, record: Option<&Record>, now: Duration) -> Step {
        let Some(record) = record else { return Step::Create };
        let since = match &self.seen {
            Some((version, since)) if *version == record.version => *since,
            _ => now,
        };
        self.seen = Some((record.version.clone(), since));
        if record.holder == self.me {
            Step::Renew
        } else if record.holder.is_empty() || now.saturating_sub(since) >= record.duration {
            Step::Take
        } else {
            self.confirmed = None;
            Step::Wait
        }
    }

    /// A write that names us the holder, sent at `sent`, was accepted.
    pub fn confirm(&mut self, sent: Duration) {
        self.confirmed = Some(sent);
    }

    /// Until when we lead; `None` when we do not.
    #[must_use]
    pub fn leads_until(&self) -> Option<Duration> {
        self.confirmed.map(|sent| sent + self.terms.deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The API server's Lease, with its compare-and-swap.
    #[derive(Default)]
    struct Server {
        record: Option<Record>,
        writes: u64,
    }

    impl Server {
        fn write(&mut self, holder: &str, expected: Option<&str>) -> bool {
            let current = self.record.as_ref().map(|r| r.version.as_str());
            if current != expected {
                return false;
            }
            self.writes += 1;
            let duration = Terms::default().duration;
            self.record = Some(Record {
                holder: holder.into(),
                duration,
                version: self.writes.to_string(),
            });
            true
        }
    }

    /// What happens to one look of one replica.
    #[derive(Clone, Debug)]
    struct Turn {
        replica: usize,
        /// Since the turn before, in milliseconds: replicas may be stopped, starved or cut off for long.
        pause: u64,
        /// Between the read and the write, and between the write and its answer.
        delay: u64,
        /// The read, the write, or the answer to the write is lost.
        lost: Option<u8>,
        released: bool,
    }

    fn turn() -> impl Strategy<Value = Turn> {
        let pause = prop_oneof![8 => 0..3000u64, 1 => 3000..40_000u64];
        let delay = prop_oneof![8 => 0..500u64, 1 => 500..30_000u64];
        let lost = prop_oneof![4 => Just(None), 1 => (0..3u8).prop_map(Some)];
        (0..3usize, pause, delay, lost, prop::bool::weighted(0.05)).prop_map(
            |(replica, pause, delay, lost, released)| Turn {
                replica,
                pause,
                delay,
                lost,
                released,
            },
        )
    }

    fn leaders(replicas: &[Standing], now: Duration) -> usize {
        replicas
            .iter()
            .filter(|r| r.leads_until().is_some_and(|until| now < until))
            .count()
    }

    /// A write on its way: it may arrive after others had their turns.
    struct Late {
        replica: usize,
        at: Duration,
        sent: Duration,
        expected: Option<String>,
        answered: bool,
    }

    proptest! {
        #[test]
        fn never_two_lead_at_once(turns in prop::collection::vec(turn(), 1..120)) {
            let terms = Terms::default();
            let names = ["a", "b", "c"];
            let mut replicas: Vec<_> = names.iter().map(|n| Standing::new((*n).into(), terms)).collect();
            let mut server = Server::default();
            let mut late: Vec<Late> = Vec::new();
            let mut now = Duration::ZERO;
            for turn in turns {
                now += Duration::from_millis(turn.pause);
                late.sort_by_key(|l| l.at);
                while late.first().is_some_and(|l| l.at <= now) {
                    let write = late.remove(0);
                    let accepted = server.write(names[write.replica], write.expected.as_deref());
                    if accepted && write.answered {
                        replicas[write.replica].confirm(write.sent);
                    }
                    prop_assert!(leaders(&replicas, write.at) <= 1);
                }
                if turn.lost == Some(0) {
                    continue;
                }
                let record = server.record.clone();
                let replica = &mut replicas[turn.replica];
                let leads = replica.leads_until().is_some_and(|until| now < until);
                let step = replica.decide(record.as_ref(), now);
                if leads && turn.released {
                    // Giving back: the caller stopped its work first.
                    replica.confirmed = None;
                    server.write("", record.as_ref().map(|r| r.version.as_str()));
                } else if step != Step::Wait && turn.lost != Some(1) {
                    let at = now + Duration::from_millis(turn.delay);
                    let expected = record.map(|r| r.version);
                    late.push(Late { replica: turn.replica, at, sent: now, expected, answered: turn.lost.is_none() });
                }
                prop_assert!(leaders(&replicas, now) <= 1);
            }
        }

        #[test]
        fn a_silent_holder_is_replaced_after_its_duration(offset in 0..2000u64) {
            let mut standing = Standing::new("me".into(), Terms::default());
            let record = Record { holder: "gone".into(), duration: Duration::from_secs(15), version: "7".into() };
            let start = Duration::from_millis(offset);
            prop_assert_eq!(standing.decide(Some(&record), start), Step::Wait);
            prop_assert_eq!(standing.decide(Some(&record), start + Duration::from_millis(14_999)), Step::Wait);
            prop_assert_eq!(standing.decide(Some(&record), start + Duration::from_secs(15)), Step::Take);
        }
    }

    #[test]
    fn a_lease_that_was_given_back_is_taken_at_once() {
        let mut standing = Standing::new("me".into(), Terms::default());
        let record = Record {
            holder: String::new(),
            duration: Duration::from_secs(1),
            version: "7".into(),
        };
        assert_eq!(standing.decide(Some(&record), Duration::ZERO), Step::Take);
        assert_eq!(standing.decide(None, Duration::ZERO), Step::Create);
    }

    #[test]
    fn a_renewal_by_the_holder_starts_the_wait_anew() {
        let mut standing = Standing::new("me".into(), Terms::default());
        let record = |version: &str| Record {
            holder: "other".into(),
            duration: Duration::from_secs(15),
            version: version.into(),
        };
        standing.decide(Some(&record("1")), Duration::ZERO);
        assert_eq!(standing.decide(Some(&record("2")), Duration::from_secs(14)), Step::Wait);
        assert_eq!(standing.decide(Some(&record("2")), Duration::from_secs(28)), Step::Wait);
        assert_eq!(standing.decide(Some(&record("2")), Duration::from_secs(29)), Step::Take);
    }
}
