//! Certificates: what is written into the Secret and read back, what verifies against what, and what the API server
//! is told to trust.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends by panicking")]

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use llm_operator::pki::book::{Authority, Book, Terms};
use llm_operator::pki::configuration::Configuration;
use llm_operator::pki::plan::Stored;
use llm_operator::pki::x509::{self, Service};
use llm_operator::pki::{Serving, dial, secret};
use llm_operator::server::{Limits, Port};
use llm_operator::webhook::tls;
use prometheus_client::metrics::counter::Counter;
use proptest::prelude::*;
use serde_json::json;
use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

fn service() -> Service {
    Service {
        name: "llm-operator-webhook".into(),
        namespace: "llm-operator-system".into(),
    }
}

/// A moment that certificates can express.
fn now() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap()
}

fn authority(generation: u64) -> Authority {
    x509::authority(&service(), generation, now(), &Terms::default()).unwrap()
}

fn book() -> Book {
    Book::opened(authority(1), 1, &[], now(), &Terms::default())
}

fn written(book: &Book) -> Secret {
    secret::write(None, "ca", &service(), book)
}

fn read(secret: &Secret) -> Stored {
    secret::read(Some(secret), &service(), &Terms::default())
}

fn set(secret: &mut Secret, key: &str, value: impl Into<Vec<u8>>) {
    secret
        .data
        .as_mut()
        .unwrap()
        .insert(key.into(), ByteString(value.into()));
}

#[test]
fn a_book_reads_back_as_it_was_written_at_every_stage() {
    let terms = Terms::default();
    let staged = book().staged(authority(2), 2, now(), &terms);
    let promoted = staged.promoted(now() + SignedDuration::from_hours(30), &terms);
    for book in [book(), staged, promoted] {
        assert_eq!(read(&written(&book)), Stored::Ours(book));
    }
}

#[test]
fn a_write_keeps_everything_else_in_the_secret() {
    let mut existing = written(&book().staged(authority(2), 2, now(), &Terms::default()));
    existing.metadata.resource_version = Some("41".into());
    existing.metadata.labels = Some([("app".into(), "x".into())].into());
    existing
        .metadata
        .annotations
        .as_mut()
        .unwrap()
        .insert("meta.helm.sh/release-name".into(), "r".into());
    let over = secret::write(Some(existing.clone()), "ca", &service(), &book());
    assert_eq!(over.metadata.resource_version, existing.metadata.resource_version);
    assert_eq!(over.metadata.labels, existing.metadata.labels);
    assert!(
        over.metadata
            .annotations
            .as_ref()
            .unwrap()
            .contains_key("meta.helm.sh/release-name")
    );
    assert!(
        !over.data.unwrap().contains_key("next.key"),
        "the key of an authority that is no longer next is gone"
    );
    assert!(
        !over
            .metadata
            .annotations
            .unwrap()
            .contains_key("llm.geeper.io/staged-at")
    );
}

#[test]
fn a_secret_as_the_chart_renders_it_is_blank() {
    assert_eq!(secret::read(None, &service(), &Terms::default()), Stored::Blank);
    assert_eq!(read(&Secret::default()), Stored::Blank);
    let mut emptied = written(&book());
    set(&mut emptied, "tls.crt", "");
    set(&mut emptied, "tls.key", "");
    assert_eq!(read(&emptied), Stored::Blank);
}

#[test]
fn what_cannot_vouch_for_our_service_is_broken_and_its_trust_is_kept() {
    let good = book();
    let pem = |a: &Authority| x509::write_bundle(std::slice::from_ref(&a.certificate));
    let elsewhere = Service {
        namespace: "restored-elsewhere".into(),
        ..service()
    };
    let foreign = x509::authority(&elsewhere, 1, now(), &Terms::default()).unwrap();
    let no_authority = rcgen::generate_simple_self_signed([service().host()]).unwrap();
    let cases: [(&str, Vec<u8>, Vec<u8>, &str); 6] = [
        ("no key", pem(&good.active).into(), vec![], "the key cannot be read"),
        (
            "no PEM",
            b"\xff\x00".to_vec(),
            x509::write_key(&good.active.key).into(),
            "no certificate",
        ),
        (
            "another's key",
            pem(&good.active).into(),
            x509::write_key(&authority(2).key).into(),
            "cannot vouch",
        ),
        (
            "another's name",
            pem(&foreign).into(),
            x509::write_key(&foreign.key).into(),
            "cannot vouch",
        ),
        (
            "no authority",
            no_authority.cert.pem().into(),
            no_authority.signing_key.serialize_pem().into(),
            "not one of an authority",
        ),
        (
            "cut",
            pem(&good.active).into(),
            x509::write_key(&good.active.key)[..100].into(),
            "the key cannot be read",
        ),
    ];
    for (case, crt, key, words) in cases {
        let mut broken = written(&good);
        set(&mut broken, "tls.crt", crt);
        set(&mut broken, "tls.key", key);
        let Stored::Broken {
            why,
            trusted,
            generation,
        } = read(&broken)
        else {
            panic!("{case}: {:?}", read(&broken))
        };
        assert!(why.contains(words), "{case}: {why}");
        assert_eq!((trusted, generation), (good.trusted.clone(), 1), "{case}");
    }
}

#[test]
fn a_next_authority_that_cannot_be_used_is_as_good_as_none() {
    let mut secret = written(&book().staged(authority(2), 2, now(), &Terms::default()));
    set(&mut secret, "next.key", "rubbish");
    let Stored::Ours(read) = read(&secret) else { panic!() };
    assert_eq!(read.next, None);
    assert_eq!(
        read.former().count(),
        1,
        "it stays trusted for a while, since nobody knows who used it"
    );
}

#[test]
fn another_format_is_read_as_far_as_possible() {
    let mut newer = written(&book());
    newer
        .metadata
        .annotations
        .as_mut()
        .unwrap()
        .insert("llm.geeper.io/pki-format".into(), "2".into());
    assert_eq!(
        read(&newer),
        Stored::Foreign {
            format: "2".into(),
            book: Some(book_of(&newer))
        }
    );
    newer.data = None;
    assert_eq!(
        read(&newer),
        Stored::Foreign {
            format: "2".into(),
            book: None
        }
    );
}

fn book_of(secret: &Secret) -> Book {
    let mut ours = secret.clone();
    ours.metadata
        .annotations
        .as_mut()
        .unwrap()
        .insert("llm.geeper.io/pki-format".into(), "1".into());
    let Stored::Ours(book) = read(&ours) else { panic!() };
    book
}

proptest! {
    #[test]
    fn no_secret_makes_reading_panic(
        crt in prop::collection::vec(any::<u8>(), 0..80),
        key in "(-----BEGIN PRIVATE KEY-----\n)?[A-Za-z0-9+/=\n]{0,80}(-----END PRIVATE KEY-----\n)?",
        cut in 0..900usize,
        note in ".{0,20}",
    ) {
        let mut secret = written(&fixed());
        let whole = secret.data.as_ref().unwrap()["tls.crt"].0.clone();
        set(&mut secret, "next.crt", crt.clone());
        set(&mut secret, "tls.crt", [&whole[..cut.min(whole.len())], &crt].concat());
        set(&mut secret, "tls.key", key);
        set(&mut secret, "ca.crt", crt);
        for value in secret.metadata.annotations.as_mut().unwrap().values_mut() {
            value.clone_from(&note);
        }
        read(&secret);
    }
}

/// Keys take time to make; one is enough for the property above.
fn fixed() -> Book {
    static BOOK: std::sync::OnceLock<Book> = std::sync::OnceLock::new();
    BOOK.get_or_init(book).clone()
}

#[test]
fn a_leaf_verifies_under_its_own_authority_name_and_time_only() {
    let terms = Terms::default();
    let (one, two) = (authority(1), authority(2));
    let (leaf, dates) = x509::leaf(&one, &service(), now(), &terms).unwrap();
    let [only_one, only_two] = [&one, &two].map(|a| vec![a.certificate.clone()]);
    let both = [only_two.clone(), only_one.clone()].concat();
    let verify = |service: &Service, trusted: &[_], at| x509::verify(&leaf, service, trusted, at);
    for trusted in [&only_one, &both] {
        for at in [
            now() - SignedDuration::from_mins(59),
            now(),
            now() + SignedDuration::from_hours(167),
        ] {
            verify(&service(), trusted, at).unwrap();
        }
    }
    verify(&service(), &only_two, now()).unwrap_err();
    verify(&service(), &[], now()).unwrap_err();
    verify(&service(), &both, now() + terms.leaf + SignedDuration::from_secs(2)).unwrap_err();
    verify(&service(), &both, now() - SignedDuration::from_hours(2)).unwrap_err();
    verify(
        &Service {
            name: "other".into(),
            ..service()
        },
        &both,
        now(),
    )
    .unwrap_err();
    assert_eq!(dates.not_after, now() + terms.leaf);
    assert_eq!(dates.issuer, one.certificate);
}

#[test]
fn a_leaf_never_outlives_its_authority() {
    let terms = Terms::default();
    let late = now() + terms.authority - SignedDuration::from_hours(1);
    let authority = authority(1);
    let (_, leaf) = x509::leaf(&authority, &service(), late, &terms).unwrap();
    assert_eq!(leaf.not_after, authority.certificate.not_after);
}

/// A second opinion, stricter than ours, from another library.
#[test]
fn openssl_accepts_the_chain_in_its_strict_mode() {
    let directory = std::env::temp_dir().join(format!("llm-operator-pki-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let authority = authority(1);
    let (leaf, _) = x509::leaf(&authority, &service(), now(), &Terms::default()).unwrap();
    let bundle = x509::write_bundle(&[self::authority(2).certificate, authority.certificate]);
    std::fs::write(directory.join("ca.pem"), bundle).unwrap();
    let verify = Command::new("openssl")
        .args([
            "verify",
            "-x509_strict",
            "-purpose",
            "sslserver",
            "-verify_hostname",
            &service().host(),
            "-CAfile",
        ])
        .arg(directory.join("ca.pem"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut verify) = verify else {
        assert!(std::env::var_os("CI").is_none(), "openssl must be there on CI");
        println!("skipped: openssl is not installed");
        return;
    };
    let pem = base64_pem(&leaf.cert[0]);
    verify.stdin.take().unwrap().write_all(pem.as_bytes()).unwrap();
    let output = verify.wait_with_output().unwrap();
    std::fs::remove_dir_all(directory).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn base64_pem(der: &[u8]) -> String {
    let certificate = llm_operator::pki::book::Certificate {
        der: der.to_vec(),
        not_before: now(),
        not_after: now(),
    };
    x509::write_bundle(&[certificate])
}

fn configuration(bundle: Option<&str>) -> ValidatingWebhookConfiguration {
    use base64::Engine;
    let bundle = bundle.map(|text| base64::engine::general_purpose::STANDARD.encode(text));
    let client =
        |name: &str| json!({"service": {"name": name, "namespace": "llm-operator-system"}, "caBundle": bundle});
    let hook = |name: &str, client| json!({"name": name, "clientConfig": client, "sideEffects": "None", "admissionReviewVersions": ["v1"]});
    serde_json::from_value(json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "v", "resourceVersion": "7"},
        "webhooks": [
            hook("checks.llm.geeper.io", client("llm-operator-webhook")),
            hook("other.example.com", client("another-service")),
            hook("url.example.com", json!({"url": "https://example.com"})),
        ],
    }))
    .unwrap()
}

#[test]
fn only_bundles_of_webhooks_that_call_us_are_injected() {
    let book = book();
    let bare = Configuration::validating(&configuration(None), &service());
    assert!(!bare.trusts(&book.trusted, &[]));
    let patch = bare.injection(&book.trusted, &[]);
    assert_eq!(patch["metadata"], json!({"name": "v", "resourceVersion": "7"}));
    let entries = patch["webhooks"].as_array().unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0]["name"], "checks.llm.geeper.io");
    assert_eq!(
        entries[0]["clientConfig"]
            .as_object()
            .unwrap()
            .keys()
            .collect::<Vec<_>>(),
        ["caBundle"]
    );
    let live = Configuration::validating(&configuration(Some(&x509::write_bundle(&book.trusted))), &service());
    assert!(live.trusts(&book.trusted, &[]));
    let more = format!("{}rubbish\n", x509::write_bundle(&[authority(9).certificate]));
    assert!(!Configuration::validating(&configuration(Some(&more)), &service()).trusts(&book.trusted, &[]));
}

async fn served(serving: Arc<Serving>) -> (SocketAddr, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let tls = Some(tls::config(serving).unwrap());
    let router = axum::Router::new();
    let port = Port {
        listener,
        tls,
        router,
        limits: Limits::default(),
        failed_handshakes: Counter::default(),
    };
    tokio::spawn(port.serve(stop.clone()));
    (address, stop)
}

#[tokio::test]
async fn a_swapped_certificate_is_served_from_the_next_handshake_on() {
    let terms = Terms::default();
    let serving = Arc::new(Serving::default());
    let (address, stop) = served(Arc::clone(&serving)).await;
    let (one, two) = (authority(1), authority(2));
    let [only_one, only_two] = [&one, &two].map(|a| vec![a.certificate.clone()]);
    let both = [only_one.clone(), only_two.clone()].concat();
    dial::dial(address, &service(), &both, Timestamp::now())
        .await
        .unwrap_err();
    serving.swap(x509::leaf(&one, &service(), now(), &terms).unwrap().0);
    dial::dial(address, &service(), &only_one, Timestamp::now())
        .await
        .unwrap();
    let error = dial::dial(address, &service(), &only_two, Timestamp::now())
        .await
        .unwrap_err();
    assert!(error.contains("certificate"), "{error}");

    // A rollover under load: whoever trusts both authorities notices nothing.
    let calls = tokio::spawn(async move {
        for _ in 0..200 {
            dial::dial(address, &service(), &both, Timestamp::now()).await.unwrap();
        }
    });
    while !calls.is_finished() {
        for authority in [&two, &one] {
            serving.swap(x509::leaf(authority, &service(), now(), &terms).unwrap().0);
            tokio::task::yield_now().await;
        }
    }
    calls.await.unwrap();
    serving.swap(x509::leaf(&two, &service(), now(), &terms).unwrap().0);
    dial::dial(address, &service(), &only_two, Timestamp::now())
        .await
        .unwrap();
    dial::dial(address, &service(), &only_one, Timestamp::now())
        .await
        .unwrap_err();
    stop.cancel();
}
