//! The certificates of the webhooks: in the Secret, and as the pods say of themselves.

use crate::cli::doctor::finding::Finding;
use crate::cli::doctor::installation::{Installation, Keeper};
use crate::cli::doctor::picture::Picture;
use crate::pki::book::{Certificate, Terms};
use crate::pki::plan::Stored;
use crate::pki::{secret, x509};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;

const PART: &str = "certificates";
/// A certificate of somebody else's should have been renewed by then.
const SOON: SignedDuration = SignedDuration::from_hours(7 * 24);
/// One of the operator's lives for a week, and is renewed long before its last day.
const LAST: SignedDuration = SignedDuration::from_hours(24);
/// Clocks that are further apart than this disagree on certificates.
const SKEW: f64 = 300.0;

pub(super) fn findings(picture: &Picture) -> Vec<Finding> {
    let mut found = vec![kept(picture)];
    for (pod, answer) in &picture.metrics {
        let object = format!("Pod {}/{pod}", picture.installation.namespace());
        found.push(match answer {
            Err(why) => Finding::unseen(PART, object, why),
            Ok(text) => served(object, text, picture.now),
        });
    }
    found
}

fn kept(picture: &Picture) -> Finding {
    let installation = &picture.installation;
    let object = format!("Secret {}/{}", installation.namespace(), installation.secret);
    match (&picture.secret, installation.keeper) {
        (Err(why), _) => Finding::unseen(PART, object, why),
        (Ok(None), Keeper::Operator) => Finding::problem(
            PART,
            object,
            "is not there: a running operator makes it within a minute",
        )
        .remedy("look at the pods, the log and the rights of the operator"),
        (Ok(None), Keeper::Other) => Finding::problem(PART, object, "is not there: there is nothing to serve")
            .remedy("make it, with tls.crt, tls.key and ca.crt, or see why cert-manager does not"),
        (Ok(Some(secret)), Keeper::Operator) => own(object, secret, installation, picture.now),
        (Ok(Some(secret)), Keeper::Other) => given(object, secret, picture),
    }
}

fn own(object: String, secret: &Secret, installation: &Installation, now: Timestamp) -> Finding {
    let terms = Terms::default();
    let book = match secret::read(Some(secret), &installation.service, &terms) {
        Stored::Ours(book) => book,
        Stored::Blank => {
            return Finding::problem(PART, object, "is empty: a running operator fills it within a minute")
                .at("data", "no tls.crt")
                .remedy("look at the pods, the log and the rights of the operator");
        }
        Stored::Broken { why, .. } => {
            return Finding::problem(PART, object, format!("cannot be used: {why}"))
                .at("data", "tls.crt, tls.key")
                .remedy("a running operator mends it; deleting the Secret makes it begin anew");
        }
        Stored::Foreign { format, .. } => {
            return Finding::note(
                PART,
                object,
                "was written by a newer version, which this one leaves alone",
            )
            .at("metadata.annotations[llm.geeper.io/pki-format]", format)
            .remedy("upgrade the operator");
        }
    };
    let end = book.active.certificate.not_after;
    if end <= now {
        return Finding::problem(PART, object, "its authority has ended")
            .at("data[tls.crt]", end)
            .remedy("a running operator makes another at once: look at its pods, its log and its rights");
    }
    let words = format!(
        "the operator keeps it (selfManaged), {}, until {end}",
        book.stage().name()
    );
    if book.active.certificate.remaining(now) < terms.stage / 2 {
        return Finding::note(PART, object, format!("{words}; its successor is late"))
            .at("data[tls.crt]", end)
            .remedy("the log of the operator and the events of the Secret say why");
    }
    Finding::ok(PART, object, words)
}

fn given(object: String, secret: &Secret, picture: &Picture) -> Finding {
    let pair = x509::read_pair(secret::field(secret, "tls.crt"), secret::field(secret, "tls.key"));
    let who = if secret.annotations().contains_key("cert-manager.io/certificate-name") {
        "cert-manager keeps it (certManager)"
    } else {
        "somebody else keeps it (existingSecret)"
    };
    let end = match pair {
        Err(why) => {
            return Finding::problem(PART, object, format!("cannot be served: {why}"))
                .at("data", "tls.crt, tls.key")
                .remedy(format!(
                    "give it a certificate for {}",
                    picture.installation.service.host()
                ));
        }
        Ok((_, end)) => end,
    };
    let left = end.duration_since(picture.now);
    if left <= SignedDuration::ZERO {
        return Finding::problem(PART, object, format!("{who}, and it has ended"))
            .at("data[tls.crt]", end)
            .remedy("renew it; a changed one is served without a restart");
    }
    let authorities: Vec<Certificate> = x509::read_bundle(secret::field(secret, "ca.crt"));
    if left < SOON
        || authorities
            .iter()
            .any(|authority| authority.remaining(picture.now) < SOON)
    {
        return Finding::problem(
            PART,
            object,
            format!("{who}, and it or its authority ends within a week"),
        )
        .at("data[tls.crt]", end)
        .remedy("renew it, or see why whoever should does not");
    }
    Finding::ok(PART, object, format!("{who}, until {end}"))
}

/// What a pod measures: that its trust is in place, the end of what it serves, its clock.
fn served(object: String, text: &str, now: Timestamp) -> Finding {
    let synced = sample(text, "llm_operator_webhook_cabundle_in_sync", "");
    if synced == Some(0.0) {
        return Finding::problem(PART, object, "the API server does not trust what it serves")
            .at("llm_operator_webhook_cabundle_in_sync", 0)
            .remedy("see the webhook configurations above, and the log of the pod");
    }
    let skew = sample(text, "llm_operator_clock_skew_seconds", "").unwrap_or_default();
    if skew.abs() > SKEW {
        return Finding::problem(PART, object, "the clock of its node is wrong")
            .at("llm_operator_clock_skew_seconds", skew)
            .remedy("set the clock of the node, and keep it with NTP");
    }
    #[allow(clippy::cast_possible_truncation, reason = "seconds since 1970")]
    let end = sample(text, "llm_operator_webhook_cert_not_after_seconds", "kind=\"leaf\"")
        .and_then(|seconds| Timestamp::from_second(seconds as i64).ok());
    let Some(end) = end else {
        return Finding::note(PART, object, "does not say when its certificate ends")
            .at("llm_operator_webhook_cert_not_after_seconds", "none")
            .remedy("it has none yet: see its log");
    };
    if end.duration_since(now) < LAST {
        return Finding::problem(PART, object, "the certificate that it serves is not renewed")
            .at("llm_operator_webhook_cert_not_after_seconds", end)
            .remedy("the log of the pod says why");
    }
    Finding::ok(
        PART,
        object,
        format!("serves a certificate that is trusted, until {end}"),
    )
}

/// The value of the first sample of a metric with this label.
fn sample(text: &str, name: &str, label: &str) -> Option<f64> {
    let lines = text
        .lines()
        .filter(|line| line.starts_with(name) && line.contains(label));
    let mut exact = lines.filter(|line| line[name.len()..].starts_with([' ', '{']));
    exact.next()?.rsplit_once(' ')?.1.parse().ok()
}
