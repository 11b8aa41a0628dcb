//! The Lease as an object of the API.

use crate::lease::standing::{Record, Terms};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::ResourceExt;
use kube::api::ObjectMeta;
use std::time::Duration;

/// What the Lease says to those who read it.
pub(super) fn record(lease: &Lease) -> Record {
    let spec = lease.spec.clone().unwrap_or_default();
    let seconds = spec
        .lease_duration_seconds
        .and_then(|s| u64::try_from(s).ok())
        .unwrap_or_default();
    Record {
        holder: spec.holder_identity.unwrap_or_default(),
        duration: Duration::from_secs(seconds),
        version: lease.resource_version().unwrap_or_default(),
    }
}

/// A Lease that nobody ever held.
pub(super) fn blank(name: &str) -> Lease {
    Lease {
        metadata: ObjectMeta {
            name: Some(name.into()),
            ..ObjectMeta::default()
        },
        spec: None,
    }
}

/// The Lease with our name in it. The times are for people; no replica judges by them.
pub(super) fn claimed(mut lease: Lease, me: &str, terms: Terms) -> Lease {
    let now = MicroTime(Timestamp::now());
    let before = lease.spec.take().unwrap_or_default();
    let ours = before.holder_identity.as_deref() == Some(me);
    lease.spec = Some(LeaseSpec {
        holder_identity: Some(me.into()),
        lease_duration_seconds: i32::try_from(terms.duration.as_secs()).ok(),
        acquire_time: if ours { before.acquire_time } else { Some(now.clone()) },
        renew_time: Some(now),
        lease_transitions: Some(before.lease_transitions.unwrap_or_default() + i32::from(!ours)),
        ..before
    });
    lease
}

/// The Lease without a holder, which anyone may take at once.
pub(super) fn released(mut lease: Lease) -> Lease {
    if let Some(spec) = &mut lease.spec {
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
    }
    lease
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renewal_keeps_the_time_of_taking_and_a_takeover_counts() {
        let taken = claimed(blank("l"), "a", Terms::default());
        let spec = taken.spec.clone().unwrap();
        assert_eq!(
            (spec.lease_transitions, spec.lease_duration_seconds),
            (Some(1), Some(15))
        );
        let renewed = claimed(taken, "a", Terms::default()).spec.unwrap();
        assert_eq!(
            (&renewed.acquire_time, renewed.lease_transitions),
            (&spec.acquire_time, Some(1))
        );
        let over = claimed(
            Lease {
                spec: Some(renewed),
                ..blank("l")
            },
            "b",
            Terms::default(),
        );
        assert_eq!(over.spec.unwrap().lease_transitions, Some(2));
    }

    #[test]
    fn a_lease_without_a_holder_is_free() {
        let record = record(&blank("l"));
        assert_eq!((record.holder.as_str(), record.duration), ("", Duration::ZERO));
    }
}
