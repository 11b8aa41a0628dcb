//! Each finding: a healthy cluster, and what one change of it makes of it.

#[cfg(test)]
mod certificates;
#[cfg(test)]
mod definitions;
#[cfg(test)]
mod operator;
#[cfg(test)]
mod platform;
#[cfg(test)]
mod rights;
#[cfg(test)]
mod webhooks;

use super::*;
use crate::cli::doctor::finding::Level;
use crate::cli::doctor::installation::{Installation, Keeper};
use crate::cli::doctor::needs::needs;
use crate::cli::doctor::picture::Right;
use crate::cli::selfcheck::Trial;
use crate::kind;
use crate::pki::book::{Authority, Book, Certificate, Terms};
use crate::pki::{secret, x509};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::LazyLock;

const METRICS: &str = "llm_operator_webhook_cabundle_in_sync 1\nllm_operator_clock_skew_seconds 0\n";

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn read<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn authority() -> Authority {
    let service = Installation::of(None, "ops").unwrap().service;
    x509::authority(&service, 1, now(), &Terms::default()).unwrap()
}

fn configuration(webhook: &str, trusted: &[Certificate]) -> Value {
    let mut client = json!({"service": {"name": "llm-operator-webhook", "namespace": "ops"}});
    if !trusted.is_empty() {
        client["caBundle"] = STANDARD.encode(x509::write_bundle(trusted)).into();
    }
    json!({"metadata": {"name": "x"}, "webhooks": [{"name": webhook, "admissionReviewVersions": ["v1"],
        "sideEffects": "None", "failurePolicy": "Fail", "clientConfig": client}]})
}

fn metrics(leaf: Timestamp) -> String {
    let end = leaf.as_second();
    format!("{METRICS}llm_operator_webhook_cert_not_after_seconds{{kind=\"leaf\"}} {end}\n# EOF\n")
}

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({"status": "Failure", "code": code, "reason": reason, "message": message})
}

/// Our definitions as the API server has them. Making them takes a while.
static DEFINITIONS: LazyLock<Vec<(String, CustomResourceDefinition)>> = LazyLock::new(|| {
    let definition = |form: Form| {
        let mut crd = (form.crd)();
        crd.status = Some(read(json!({"storedVersions": ["v1alpha1"], "conditions": [
            {"type": "Established", "status": "True"}, {"type": "NamesAccepted", "status": "True"}]})));
        (definition_name(&form), crd)
    };
    kind::all().into_iter().map(definition).collect()
});

/// A cluster in which nothing is wrong and nothing is missing.
fn healthy() -> Picture {
    let installation = Installation::of(None, "ops").unwrap();
    let authority = authority();
    let trusted = [authority.certificate.clone()];
    let book = Book::opened(authority, 1, &[], now(), &Terms::default());
    let secret = secret::write(None, &installation.secret, &installation.service, &book);
    let definition = |(name, crd): &(String, CustomResourceDefinition)| (name.clone(), Ok(Some(crd.clone())));
    let rights = needs(&installation).into_iter();
    Picture {
        now: now(),
        server: "v1.37.0".into(),
        deployments: Ok(vec![read(
            json!({"metadata": {"name": "llm-operator-controller-manager", "namespace": "ops",
            "labels": {"app.kubernetes.io/version": env!("CARGO_PKG_VERSION")}},
            "spec": {"replicas": 2, "selector": {}, "template": {}}, "status": {"availableReplicas": 2}}),
        )]),
        pods: Ok(vec![]),
        metrics: vec![("one".into(), Ok(metrics(now() + SignedDuration::from_hours(100))))],
        lease: Ok(Some(read(
            json!({"spec": {"holderIdentity": "one", "renewTime": "2025-12-31T23:59:55.000000Z"}}),
        ))),
        definitions: DEFINITIONS.iter().map(definition).collect(),
        mutating: Ok(Some(read(configuration("defaults.llm.geeper.io", &trusted)))),
        validating: Ok(Some(read(configuration("checks.llm.geeper.io", &trusted)))),
        secret: Ok(Some(secret)),
        trial: (
            "ops".into(),
            Ok(Trial {
                kind: "LMDeployment",
                good: Ok(json!({"spec": {"ollama": {"replicas": 1}}})),
                bad: Err(Box::new(read(status(
                    422,
                    "Invalid",
                    "spec.ollama.models[0]: Invalid value",
                )))),
            }),
        ),
        rights: rights
            .map(|need| Right {
                need,
                lacking: Ok(vec![]),
            })
            .collect(),
        own: Ok(true),
        classes: Ok(vec![read(
            json!({"provisioner": "x", "allowVolumeExpansion": true, "metadata": {"name": "fast",
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}}),
        )]),
        nodes: Ok(vec![read(
            json!({"metadata": {"name": "n"}, "status": {"allocatable": {"nvidia.com/gpu": "2"},
            "conditions": [{"type": "Ready", "status": "True"}]}}),
        )]),
        groups: Ok([
            "metrics.k8s.io",
            "gateway.networking.k8s.io",
            "cert-manager.io",
            "monitoring.coreos.com",
            "keda.sh",
        ]
        .map(str::to_owned)
        .into()),
        installation,
    }
}

/// What a change of a healthy cluster is told as: the one finding that is not as it should be, with a way out.
#[track_caller]
fn told(change: impl FnOnce(&mut Picture), level: Level, part: &str, words: &str) -> Finding {
    let mut picture = healthy();
    change(&mut picture);
    let found: Vec<Finding> = judge(&picture).into_iter().filter(|f| f.level != Level::Ok).collect();
    let [finding] = found.as_slice() else {
        panic!("{found:#?}")
    };
    assert_eq!((finding.level, finding.part), (level, part), "{finding:?}");
    let text = format!("{}: {}", finding.object, finding.message);
    assert!(text.contains(words), "{text}");
    let absent = part == "kinds" || level == Level::Ok;
    assert!(absent || finding.remedy.is_some(), "no way out: {finding:?}");
    finding.clone()
}

#[track_caller]
fn problem(change: impl FnOnce(&mut Picture), part: &str, words: &str) -> Finding {
    told(change, Level::Problem, part, words)
}

#[track_caller]
fn note(change: impl FnOnce(&mut Picture), part: &str, words: &str) -> Finding {
    told(change, Level::Note, part, words)
}

#[test]
fn nothing_is_wrong_with_a_healthy_cluster() {
    let found = judge(&healthy());
    assert!(found.iter().all(|finding| finding.level == Level::Ok), "{found:#?}");
    let parts: Vec<&str> = found.iter().map(|finding| finding.part).collect();
    for part in [
        "cluster",
        "operator",
        "definitions",
        "rights",
        "webhooks",
        "certificates",
        "storage",
        "nodes",
        "kinds",
    ] {
        assert!(parts.contains(&part), "{part} is not looked at");
    }
}

#[test]
fn the_cluster_may_be_too_old() {
    problem(
        |p| p.server = "v1.29.4".into(),
        "cluster",
        "Kubernetes v1.29.4 is older than 1.30",
    );
}
