//! How long one admission review and one list of objects take, on one core, in this process: no TLS, no API server.
//!
//! Beside each stands reading and writing the same JSON, which no handler can avoid. Nothing here fails for being slow.
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use criterion::{Criterion, criterion_group, criterion_main};
use llm_operator::base::settings::Settings;
use llm_operator::kind;
use llm_operator::webhook::{mutate, validate};
use serde_json::{Value, json};
use std::hint::black_box;
use std::time::Duration;

fn handlers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("handlers");
    group
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    let good =
        json!({"ollama": {"models": ["llama3.2:1b", "nomic-embed-text"], "replicas": 2}, "tabby": {"enabled": true}});
    let bad =
        json!({"ollama": {"models": ["llama3.2:1b"], "replicas": 11}, "tabby": {"enabled": true, "chatModel": "x"}});
    let settings = Settings::default();
    let (good, bad) = (review(&good), review(&bad));
    group.bench_function("json", |b| {
        b.iter(|| {
            let value: Value = serde_json::from_slice(black_box(&good)).unwrap_or_default();
            value.to_string()
        });
    });
    group.bench_function("mutate, good", |b| {
        b.iter(|| mutate(black_box(&good), &settings).answer.json());
    });
    group.bench_function("mutate, refused", |b| {
        b.iter(|| mutate(black_box(&bad), &settings).answer.json());
    });
    group.bench_function("validate, good", |b| {
        b.iter(|| validate(black_box(&good), &settings).answer.json());
    });
    let object = serde_json::from_slice::<Value>(&good).unwrap_or_default()["request"]["object"].clone();
    if let Some(form) = kind::of(&object) {
        group.bench_function("objects of a stack", |b| {
            b.iter(|| (form.render)(black_box(&object), &settings));
        });
    }
    group.finish();
}

fn review(spec: &Value) -> Vec<u8> {
    let object = json!({
        "apiVersion": "llm.geeper.io/v1alpha1", "kind": "LMDeployment",
        "metadata": {"name": "bench", "namespace": "default"}, "spec": spec,
    });
    let kind = json!({"group": "llm.geeper.io", "version": "v1alpha1", "kind": "LMDeployment"});
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "00000000-0000-4000-8000-000000000000", "operation": "CREATE", "name": "bench", "namespace": "default",
            "kind": kind, "requestKind": kind,
            "resource": {"group": "llm.geeper.io", "version": "v1alpha1", "resource": "lmdeployments"},
            "userInfo": {}, "object": object,
        },
    });
    review.to_string().into_bytes()
}

criterion_group!(all, handlers);
criterion_main!(all);
