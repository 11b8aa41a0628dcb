//! What verifies against what, what the API server is told to trust, and what is served.

use super::*;
use jiff::SignedDuration;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use llm_operator::pki::configuration::Configuration;
use llm_operator::pki::{Serving, dial};
use llm_operator::server::{Limits, Port};
use llm_operator::webhook::tls;
use prometheus_client::metrics::counter::Counter;
use serde_json::json;
use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

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
