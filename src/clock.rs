//! What time it is: by this machine's clock, or by the API server's where the two are far apart. Certificates are judged by
//! the API server, so its time is the one that counts.

use axum::http::HeaderMap;
use axum::http::header::DATE;
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Up to here clocks are said to agree: `Date` has whole seconds, an answer takes time, and certificates are valid from an
/// hour before they are made.
const NEAR: SignedDuration = SignedDuration::from_mins(5);

/// The time. Clones share what they hear.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// How many seconds the API server is ahead of this machine, as far as that matters.
    ahead: Arc<AtomicI64>,
    skew: Gauge,
    #[cfg(feature = "test-clock")]
    shift: SignedDuration,
}

impl Clock {
    /// A clock whose difference from the API server is measured.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let clock = Self::default();
        registry.register(
            "clock_skew_seconds",
            "How far the API server's clock is ahead of this machine's",
            clock.skew.clone(),
        );
        clock
    }

    /// The same clock on a machine whose own is wrong by so much.
    #[cfg(feature = "test-clock")]
    #[must_use]
    pub fn shifted(self, shift: SignedDuration) -> Self {
        Self { shift, ..self }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let ahead = SignedDuration::from_secs(self.ahead.load(Ordering::Relaxed));
        let machine = self.machine();
        machine.checked_add(ahead).unwrap_or(machine)
    }

    /// Takes note of the time in an answer of the API server.
    pub fn hear(&self, headers: &HeaderMap) {
        let date = headers.get(DATE).and_then(|date| date.to_str().ok());
        if let Some(theirs) = date.and_then(|date| DateTimeParser::new().parse_timestamp(date).ok()) {
            self.compare(theirs);
        }
    }

    fn compare(&self, theirs: Timestamp) {
        let skew = theirs.duration_since(self.machine());
        self.skew.set(skew.as_secs());
        let ahead = if skew.abs() <= NEAR { 0 } else { skew.as_secs() };
        let before = self.ahead.swap(ahead, Ordering::Relaxed);
        if (before == 0) != (ahead == 0) {
            let seconds = skew.as_secs();
            tracing::warn!(
                seconds,
                "how far the API server's clock is ahead of this machine's; beyond five minutes the API server's counts"
            );
        }
    }

    #[cfg(not(feature = "test-clock"))]
    #[allow(clippy::unused_self)] // in the other build it is shifted
    fn machine(&self) -> Timestamp {
        Timestamp::now()
    }

    #[cfg(feature = "test-clock")]
    fn machine(&self) -> Timestamp {
        Timestamp::now() + self.shift
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(date: &str) -> HeaderMap {
        HeaderMap::from_iter([(DATE, date.parse().unwrap())])
    }

    fn dated(from_now: SignedDuration) -> HeaderMap {
        let then = (Timestamp::now() + from_now).strftime("%a, %d %b %Y %H:%M:%S GMT");
        told(&then.to_string())
    }

    fn off(clock: &Clock, expected: SignedDuration) -> bool {
        let off = clock.now().duration_since(Timestamp::now()) - expected;
        off.abs() < SignedDuration::from_secs(3)
    }

    #[test]
    fn a_clock_that_is_far_off_is_the_api_servers_until_it_is_set_right() {
        let clock = Clock::default();
        for days in [-400, 400] {
            let far = SignedDuration::from_hours(24 * days);
            clock.hear(&dated(far));
            assert!(off(&clock, far), "{}", clock.now());
        }
        clock.hear(&dated(SignedDuration::from_mins(4)));
        assert!(off(&clock, SignedDuration::ZERO), "small differences do not count");
    }

    #[test]
    fn rubbish_and_silence_change_nothing() {
        let clock = Clock::default();
        let far = SignedDuration::from_hours(5);
        clock.hear(&dated(far));
        for headers in [
            HeaderMap::new(),
            told("yesterday"),
            told("Sat, 99 Nov 2026 20:00:00 GMT"),
        ] {
            clock.hear(&headers);
        }
        assert!(off(&clock, far));
    }

    #[test]
    fn a_clone_hears_what_the_others_hear() {
        let clock = Clock::default();
        let far = SignedDuration::from_hours(-3);
        clock.clone().hear(&dated(far));
        assert!(off(&clock, far));
    }
}
