//! What can be wrong with the certificate of the webhooks.

use super::*;

/// A certificate that somebody else keeps, good for so long.
fn given(p: &mut Picture, life: SignedDuration) {
    let (terms, authority) = (Terms::default(), authority());
    let service = p.installation.service.clone();
    let mut params = rcgen::CertificateParams::new([service.host()]).unwrap();
    let end = p.now + life;
    params.not_before = time::OffsetDateTime::from_unix_timestamp(0).unwrap();
    params.not_after = time::OffsetDateTime::from_unix_timestamp(end.as_second()).unwrap();
    let signer = rcgen::KeyPair::try_from(&rustls::pki_types::PrivatePkcs8KeyDer::from(authority.key.0.as_slice()));
    let der = rustls::pki_types::CertificateDer::from(authority.certificate.der.as_slice());
    let issuer = rcgen::Issuer::from_ca_cert_der(&der, signer.unwrap()).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = params.signed_by(&key, &issuer).unwrap();
    let trusted = [authority.certificate];
    assert!(trusted[0].remaining(p.now) > terms.stage);
    let data = [
        ("tls.crt", leaf.pem()),
        ("tls.key", key.serialize_pem()),
        ("ca.crt", x509::write_bundle(&trusted)),
    ];
    let data = data.map(|(key, text)| (key.to_owned(), ByteString(text.into_bytes())));
    p.secret = Ok(Some(Secret {
        data: Some(data.into()),
        ..Secret::default()
    }));
    p.installation.keeper = Keeper::Other;
    p.mutating = Ok(Some(read(configuration("defaults.llm.geeper.io", &trusted))));
    p.validating = Ok(Some(read(configuration("checks.llm.geeper.io", &trusted))));
}

#[test]
fn the_secret_may_be_gone_empty_or_broken() {
    problem(
        |p| p.secret = Ok(None),
        "certificates",
        "Secret ops/llm-operator-webhook-ca: is not there",
    );
    problem(|p| p.secret = Ok(Some(Secret::default())), "certificates", "is empty");
    let broken = |p: &mut Picture| {
        let data = ["tls.crt", "tls.key"].map(|key| (key.to_owned(), ByteString(b"x".to_vec())));
        p.secret = Ok(Some(Secret {
            data: Some(data.into()),
            ..Secret::default()
        }));
    };
    problem(broken, "certificates", "cannot be used");
    note(
        |p| p.secret = Err("secrets is forbidden".into()),
        "certificates",
        "was not looked at",
    );
}

#[test]
fn a_successor_may_be_late() {
    let change = |p: &mut Picture| {
        let (later, leaf) = (
            now() + SignedDuration::from_hours(330 * 24),
            SignedDuration::from_hours(100),
        );
        p.now = later;
        p.metrics = vec![("one".into(), Ok(metrics(later + leaf)))];
        p.lease = Ok(Some(read(json!({"spec": {"holderIdentity": "one"}}))));
    };
    note(change, "certificates", "its successor is late");
}

#[test]
fn one_of_somebody_else_ends() {
    let mut fine = healthy();
    given(&mut fine, SignedDuration::from_hours(1000));
    let found = judge(&fine);
    assert!(found.iter().all(|finding| finding.level == Level::Ok), "{found:#?}");
    problem(
        |p| given(p, SignedDuration::from_hours(24)),
        "certificates",
        "ends within a week",
    );
    let mut ended = healthy();
    given(&mut ended, SignedDuration::from_hours(-1));
    let found = judge(&ended);
    assert!(
        found
            .iter()
            .any(|f| f.part == "certificates" && f.message.contains("it has ended")),
        "{found:#?}"
    );
    assert!(
        found
            .iter()
            .any(|f| f.part == "webhooks" && f.message.contains("does not trust")),
        "{found:#?}"
    );
}

#[test]
fn a_pod_may_serve_what_nobody_trusts_or_what_ends() {
    let pod = |text: String| move |p: &mut Picture| p.metrics = vec![("one".into(), Ok(text))];
    let fine = metrics(now() + SignedDuration::from_hours(100));
    problem(
        pod(fine.replace("in_sync 1", "in_sync 0")),
        "certificates",
        "Pod ops/one: the API server does not trust",
    );
    problem(
        pod(fine.replace("skew_seconds 0", "skew_seconds -4000")),
        "certificates",
        "the clock of its node",
    );
    problem(
        pod(metrics(now() + SignedDuration::from_hours(5))),
        "certificates",
        "is not renewed",
    );
    note(
        pod(METRICS.into()),
        "certificates",
        "does not say when its certificate ends",
    );
    let unseen = |p: &mut Picture| p.metrics = vec![("one".into(), Err("pods/proxy is forbidden".into()))];
    note(unseen, "certificates", "was not looked at: pods/proxy is forbidden");
}
