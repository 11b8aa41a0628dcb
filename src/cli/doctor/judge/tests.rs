//! Each finding: a healthy cluster, and what one change of it makes of it.

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

mod operator {
    use super::*;

    fn deployment(p: &mut Picture, change: impl FnOnce(&mut Value)) {
        let mut value = json!(p.deployments.as_ref().unwrap()[0]);
        change(&mut value);
        p.deployments = Ok(vec![read(value)]);
    }

    #[test]
    fn it_may_not_be_there() {
        let change = |p: &mut Picture| p.deployments = Ok(vec![]);
        problem(
            change,
            "operator",
            "Deployment ops/llm-operator-controller-manager: is not there",
        );
    }

    #[test]
    fn it_may_be_scaled_to_nothing() {
        let change = |p: &mut Picture| deployment(p, |d| d["spec"]["replicas"] = 0.into());
        let found = problem(change, "operator", "is scaled to nothing");
        assert_eq!(
            (found.field.as_deref(), found.value.as_deref()),
            (Some("spec.replicas"), Some("0"))
        );
        assert!(
            found
                .remedy
                .unwrap()
                .contains("scale deployment/llm-operator-controller-manager --replicas=2")
        );
    }

    #[test]
    fn its_pods_may_be_in_trouble() {
        let change = |p: &mut Picture| {
            deployment(p, |d| d["status"]["availableReplicas"] = 1.into());
            p.pods = Ok(vec![read(
                json!({"metadata": {"name": "one"}, "status": {"containerStatuses": [{
                "name": "manager", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}]}}),
            )]);
        };
        problem(
            change,
            "operator",
            "1 of 2 pods are available: one: ImagePullBackOff no such image",
        );
    }

    #[test]
    fn it_may_be_alone_or_of_another_version_or_one_of_several() {
        note(
            |p| {
                deployment(p, |d| {
                    (d["spec"]["replicas"], d["status"]["availableReplicas"]) = (1.into(), 1.into());
                });
            },
            "operator",
            "its one pod is available",
        );
        note(
            |p| {
                deployment(p, |d| {
                    d["metadata"]["labels"]["app.kubernetes.io/version"] = "9.9.9".into();
                });
            },
            "operator",
            "is llm-operator 9.9.9",
        );
        let twice = |p: &mut Picture| {
            let mut other = p.deployments.as_ref().unwrap()[0].clone();
            other.metadata.namespace = Some("other".into());
            p.deployments.as_mut().unwrap().push(other);
        };
        note(twice, "operator", "there are several operators");
    }

    #[test]
    fn nobody_may_lead() {
        problem(
            |p| p.lease = Ok(None),
            "operator",
            "Lease ops/llm-operator-leader: is not there",
        );
        let released = |p: &mut Picture| p.lease = Ok(Some(read(json!({"spec": {"holderIdentity": ""}}))));
        problem(released, "operator", "nobody leads");
        let silent = json!({"spec": {"holderIdentity": "one", "renewTime": "2025-12-31T23:50:00.000000Z"}});
        let silent = |p: &mut Picture| p.lease = Ok(Some(read(silent)));
        problem(silent, "operator", "one has not renewed it for 600 s");
    }
}

mod definitions {
    use super::*;

    fn first(p: &mut Picture, change: impl FnOnce(&mut Value)) {
        let mut value = json!(p.definitions[0].1.as_ref().unwrap());
        change(&mut value);
        p.definitions[0].1 = Ok(Some(read(value)));
    }

    #[test]
    fn one_may_be_missing() {
        let change = |p: &mut Picture| p.definitions[0].1 = Ok(None);
        let found = problem(change, "definitions", "lmdeployments.llm.geeper.io: is not there");
        assert!(found.remedy.unwrap().contains("llm-operator crd | kubectl apply"));
    }

    #[test]
    fn an_older_name_may_be_left_out_on_purpose() {
        let change = |p: &mut Picture| {
            p.installation.legacy = false;
            p.definitions[1].1 = Ok(None);
        };
        note(change, "definitions", "ollamadeployments.llm.geeper.io: is not there");
        problem(
            |p| p.definitions[1].1 = Ok(None),
            "definitions",
            "ollamadeployments.llm.geeper.io: is not there",
        );
    }

    #[test]
    fn one_may_be_of_another_version() {
        let path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/ollama/properties/replicas";
        let change = |p: &mut Picture| first(p, |d| d.pointer_mut(path).unwrap()["maximum"] = 3.into());
        let found = problem(change, "definitions", "is not that of llm-operator");
        assert!(found.field.unwrap().ends_with("ollama.properties.replicas.maximum"));
        assert_eq!(found.value.as_deref(), Some("3.0"));
    }

    #[test]
    fn one_may_not_be_in_use() {
        problem(
            |p| first(p, |d| d["spec"]["versions"][0]["served"] = false.into()),
            "definitions",
            "must be served",
        );
        let refused = json!({"type": "NamesAccepted", "status": "False", "reason": "r", "message": "taken by another"});
        let change = |p: &mut Picture| first(p, |d| d["status"]["conditions"] = json!([refused]));
        problem(change, "definitions", "taken by another");
        let other = |p: &mut Picture| first(p, |d| d["spec"]["versions"][0]["name"] = "v9".into());
        problem(other, "definitions", "has no version v1alpha1");
        let stored = |p: &mut Picture| first(p, |d| d["status"]["storedVersions"] = json!(["v1alpha1", "v0"]));
        note(stored, "definitions", "may still be stored as v0");
    }
}

mod rights {
    use super::*;

    #[test]
    fn one_may_be_missing() {
        let change = |p: &mut Picture| {
            let right = p
                .rights
                .iter_mut()
                .find(|right| right.need.resource == "statefulsets")
                .unwrap();
            right.lacking = Ok(vec!["create", "patch"]);
        };
        problem(
            change,
            "rights",
            "may not create, patch statefulsets of apps in all namespaces",
        );
    }

    #[test]
    fn they_may_be_nobodys_business() {
        let change = |p: &mut Picture| {
            for right in &mut p.rights {
                right.lacking = Err("subjectaccessreviews is forbidden".into());
            }
        };
        note(change, "rights", "was not looked at: subjectaccessreviews is forbidden");
    }

    #[test]
    fn you_may_lack_some_yourself() {
        note(
            |p| p.own = Ok(false),
            "rights",
            "you: may not create LMDeployments in the namespace ops",
        );
    }
}

mod webhooks {
    use super::*;

    fn tried(p: &mut Picture, change: impl FnOnce(&mut Trial)) {
        change(p.trial.1.as_mut().unwrap());
    }

    #[test]
    fn a_configuration_may_be_gone() {
        problem(
            |p| p.validating = Ok(None),
            "webhooks",
            "ValidatingWebhookConfiguration",
        );
        problem(|p| p.mutating = Ok(None), "webhooks", "nothing is filled in");
    }

    #[test]
    fn it_may_trust_nobody_or_somebody_else() {
        let wiped = |p: &mut Picture| p.validating = Ok(Some(read(configuration("checks.llm.geeper.io", &[]))));
        let found = problem(wiped, "webhooks", "trusts nobody");
        assert_eq!(
            found.field.as_deref(),
            Some("webhooks[checks.llm.geeper.io].clientConfig.caBundle")
        );
        let other = [authority().certificate];
        let other = |p: &mut Picture| p.validating = Ok(Some(read(configuration("checks.llm.geeper.io", &other))));
        problem(other, "webhooks", "does not trust what is served");
    }

    #[test]
    fn it_may_call_somebody_else_or_let_everything_pass() {
        let trusted = [authority().certificate];
        let mut elsewhere = configuration("defaults.llm.geeper.io", &trusted);
        elsewhere["webhooks"][0]["clientConfig"]["service"]["name"] = "other".into();
        problem(
            |p| p.mutating = Ok(Some(read(elsewhere))),
            "webhooks",
            "calls no Service llm-operator-webhook.ops.svc",
        );
        let lenient = |p: &mut Picture| {
            let mut value = json!(p.validating.as_ref().unwrap());
            value["webhooks"][0]["failurePolicy"] = "Ignore".into();
            p.validating = Ok(Some(read(value)));
        };
        note(lenient, "webhooks", "objects pass unchecked while no operator answers");
    }

    #[test]
    fn admission_may_not_work() {
        let refused = |message: &str| Err(Box::new(read(status(500, "InternalError", message))));
        let unreachable = "failed calling webhook \"checks.llm.geeper.io\": no endpoints available";
        let change = |p: &mut Picture| tried(p, |t| t.good = refused(unreachable));
        let found = problem(change, "webhooks", "no endpoints available");
        assert!(found.remedy.unwrap().contains("10250"));
        let bare = |p: &mut Picture| tried(p, |t| t.good = Ok(json!({"spec": {"ollama": {}}})));
        problem(bare, "webhooks", "was admitted, but not filled");
        problem(
            |p| tried(p, |t| t.bad = Ok(json!({}))),
            "webhooks",
            "with the model \"not a model\" was admitted",
        );
        problem(
            |p| tried(p, |t| t.bad = refused("a policy")),
            "webhooks",
            "for another cause: a policy",
        );
        problem(
            |p| tried(p, |t| t.good = refused("a quota")),
            "webhooks",
            "was not admitted: a quota",
        );
        let forbidden = |p: &mut Picture| {
            tried(p, |t| {
                t.good = Err(Box::new(read(status(403, "Forbidden", "you may not"))));
            });
        };
        note(forbidden, "webhooks", "was not looked at: you may not");
    }
}

mod certificates {
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
}

mod platform {
    use super::*;

    #[test]
    fn there_may_be_no_default_class() {
        problem(|p| p.classes = Ok(vec![]), "storage", "none of 0 is the default");
    }

    #[test]
    fn volumes_may_not_grow_or_have_two_defaults() {
        note(
            |p| p.classes.as_mut().unwrap()[0].allow_volume_expansion = None,
            "storage",
            "its volumes cannot grow",
        );
        let twice = |p: &mut Picture| {
            let again = p.classes.as_ref().unwrap()[0].clone();
            p.classes.as_mut().unwrap().push(again);
        };
        note(twice, "storage", "several are the default");
    }

    #[test]
    fn there_may_be_no_gpu_and_nodes_that_are_away() {
        let bare = json!({"metadata": {"name": "n"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
        note(|p| p.nodes = Ok(vec![read(bare)]), "nodes", "no node offers a GPU");
        let away =
            json!({"metadata": {"name": "m"}, "status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}});
        problem(
            |p| p.nodes.as_mut().unwrap().push(read(away)),
            "nodes",
            "1 of 2 are Ready",
        );
    }

    #[test]
    fn kinds_of_others_may_be_missing() {
        for (group, title) in [
            ("keda.sh", "KEDA"),
            ("cert-manager.io", "cert-manager"),
            ("gateway.networking.k8s.io", "Gateway API"),
        ] {
            let change = |p: &mut Picture| {
                p.groups.as_mut().unwrap().remove(group);
            };
            note(change, "kinds", &format!("{title}: is not there"));
        }
    }
}
