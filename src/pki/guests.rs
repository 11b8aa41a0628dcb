//! Authorities in the live bundles that nobody here put there. While the keeper of the certificates changes, from the
//! operator to somebody else or back, replicas of both ways run side by side, and each must leave the other's trust alone
//! until the last of the other kind has gone.

use crate::pki::book::{Certificate, MOST_TRUSTED};
use jiff::{SignedDuration, Timestamp};

/// A rollout that takes longer than this is stuck.
const STAY: SignedDuration = SignedDuration::from_hours(1);

/// What this process has met, and when for the first time.
#[derive(Clone, Debug, Default)]
pub struct Guests(Vec<(Certificate, Timestamp)>);

impl Guests {
    /// Looks once more. Returns those that may stay: an hour after they were met they have to go, and so has what has ended.
    pub fn meet(&mut self, own: &[Certificate], live: &[Vec<Certificate>], now: Timestamp) -> Vec<Certificate> {
        let strangers = live.iter().flatten().filter(|c| !own.contains(c));
        let mut met: Vec<(Certificate, Timestamp)> = vec![];
        for stranger in strangers {
            if met.iter().all(|(known, _)| known != stranger) {
                let before = self.0.iter().find(|(known, _)| known == stranger);
                met.push((stranger.clone(), before.map_or(now, |(_, since)| *since)));
            }
        }
        self.0 = met;
        let stays = |(c, since): &&(Certificate, Timestamp)| c.not_after > now && now.duration_since(*since) < STAY;
        let room = MOST_TRUSTED.saturating_sub(own.len());
        self.0.iter().filter(stays).take(room).map(|(c, _)| c.clone()).collect()
    }
}

/// Whether a live bundle is as it should be: our own certificates in their order, and perhaps guests.
#[must_use]
pub fn settled(live: &[Certificate], own: &[Certificate], guests: &[Certificate]) -> bool {
    live.iter().filter(|c| own.contains(c) || !guests.contains(c)).eq(own)
}

/// What a live bundle should be: our own certificates, and after them the guests that it has.
#[must_use]
pub fn bundle(live: &[Certificate], own: &[Certificate], guests: &[Certificate]) -> Vec<Certificate> {
    let staying = live.iter().filter(|c| guests.contains(c) && !own.contains(c));
    own.iter().chain(staying).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes)
    }

    fn certificate(name: u8, end: i64) -> Certificate {
        Certificate {
            der: vec![name],
            not_before: at(0),
            not_after: at(end),
        }
    }

    #[test]
    fn a_stranger_stays_for_an_hour_and_does_not_come_back_by_staying() {
        let (own, other) = (certificate(1, 9999), certificate(2, 9999));
        let live = [vec![other.clone(), own.clone()], vec![own.clone()]];
        let own = [own];
        let mut guests = Guests::default();
        assert_eq!(guests.meet(&own, &live, at(0)), std::slice::from_ref(&other));
        assert_eq!(guests.meet(&own, &live, at(59)), std::slice::from_ref(&other));
        assert!(guests.meet(&own, &live, at(60)).is_empty());
        assert!(guests.meet(&own, &live, at(90)).is_empty(), "its hour is over");
        assert!(guests.meet(&own, &[own.to_vec()], at(91)).is_empty());
        assert_eq!(guests.meet(&own, &live, at(92)), [other], "a new visit");
    }

    #[test]
    fn what_has_ended_is_no_guest_and_a_bundle_stays_small() {
        let own = [certificate(1, 9999)];
        let many: Vec<Certificate> = (10..30).map(|name| certificate(name, 9999)).collect();
        let mut guests = Guests::default();
        assert!(guests.meet(&own, &[vec![certificate(2, 5)]], at(6)).is_empty());
        assert_eq!(guests.meet(&own, &[many], at(6)).len(), MOST_TRUSTED - 1);
    }

    #[test]
    fn a_bundle_is_settled_once_ours_are_in_it_in_order_and_the_rest_are_guests() {
        let [a, b, guest, ended] = [1, 2, 3, 4].map(|name| certificate(name, 9999));
        let own = [a.clone(), b.clone()];
        let guests = [guest.clone()];
        let wanted = bundle(&[ended.clone(), guest.clone()], &own, &guests);
        assert_eq!(wanted, [a.clone(), b.clone(), guest.clone()]);
        assert!(settled(&wanted, &own, &guests));
        assert!(settled(&[guest.clone(), a.clone(), b.clone()], &own, &guests));
        assert!(!settled(&[guest, b, a.clone()], &own, &guests));
        assert!(!settled(&[a, ended], &own, &guests));
    }
}
