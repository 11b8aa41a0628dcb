//! A limit of bytes per second over all connections of a server.

use std::time::{Duration, Instant};

/// The largest piece of a body that is handed on at once.
const PIECE: u64 = 16 << 10;

/// The speed of all connections together.
pub(super) struct Pace {
    /// Bytes per second; 0 is full speed.
    rate: u64,
    /// When what was let through so far will have taken its time.
    free_at: Instant,
}

impl Pace {
    pub(super) fn new(rate: u64) -> Self {
        Self {
            rate,
            free_at: Instant::now(),
        }
    }

    /// When these bytes may pass; `None` is at once.
    pub(super) fn reserve(&mut self, bytes: usize) -> Option<Instant> {
        if self.rate == 0 {
            return None;
        }
        let start = self.free_at.max(Instant::now());
        self.free_at = start + Duration::from_nanos(bytes as u64 * 1_000_000_000 / self.rate);
        Some(start)
    }

    /// How much may pass at once: a twentieth of a second's worth, so that a new limit is felt at once.
    pub(super) fn piece(&self) -> usize {
        let piece = if self.rate == 0 {
            PIECE
        } else {
            (self.rate / 20).clamp(1, PIECE)
        };
        usize::try_from(piece).expect("at most PIECE")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_share_one_rate() {
        let mut pace = Pace::new(1000);
        let turns: Vec<_> = (0..3).filter_map(|_| pace.reserve(500)).collect();
        assert!(turns[1] - turns[0] >= Duration::from_millis(500));
        assert!(turns[2] - turns[0] >= Duration::from_secs(1));
        assert_eq!(Pace::new(0).reserve(500), None);
    }
}
