//! How long one admission review and one list of objects take, on one core, in this process: no TLS, no API server.
//!
//! `make bench` prints the machine and the figures, each also as a ratio to reading and writing the same JSON, which no
//! handler can avoid. Nothing here fails for being slow.

use llm_operator::base::settings::Settings;
use llm_operator::kind;
use llm_operator::webhook::{mutate, validate};
use serde_json::{Value, json};
use std::fs;
use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

/// Enough for a 99th percentile that stays where it is from run to run.
const ROUNDS: usize = 5000;

fn main() {
    println!("llm-operator {} on {}\n", env!("CARGO_PKG_VERSION"), machine());
    let good =
        json!({"ollama": {"models": ["llama3.2:1b", "nomic-embed-text"], "replicas": 2}, "tabby": {"enabled": true}});
    let bad =
        json!({"ollama": {"models": ["llama3.2:1b"], "replicas": 11}, "tabby": {"enabled": true, "chatModel": "x"}});
    let settings = Settings::default();
    let (good, bad) = (review(&good), review(&bad));
    let json = measure(|| {
        let value: Value = serde_json::from_slice(black_box(&good)).unwrap_or_default();
        black_box(value.to_string());
    });
    println!("{:<28} {:>9} {:>9} {:>7}", "", "p50 µs", "p99 µs", "ratio");
    print("the JSON, read and written", json, json);
    print(
        "mutate, good",
        measure(|| drop(black_box(mutate(&good, &settings).answer.json()))),
        json,
    );
    print(
        "mutate, refused",
        measure(|| drop(black_box(mutate(&bad, &settings).answer.json()))),
        json,
    );
    print(
        "validate, good",
        measure(|| drop(black_box(validate(&good, &settings).answer.json()))),
        json,
    );
    let object = serde_json::from_slice::<Value>(&good).unwrap_or_default()["request"]["object"].clone();
    if let Some(form) = kind::of(&object) {
        print(
            "objects of a stack",
            measure(|| drop(black_box((form.render)(&object, &settings)))),
            json,
        );
    }
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

/// Median and 99th percentile.
fn measure(mut work: impl FnMut()) -> (Duration, Duration) {
    (0..ROUNDS / 10).for_each(|_| work());
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    (times[ROUNDS / 2], times[ROUNDS * 99 / 100])
}

fn print(what: &str, (half, most): (Duration, Duration), (base, _): (Duration, Duration)) {
    let micros = |d: Duration| d.as_secs_f64() * 1e6;
    println!(
        "{what:<28} {:>9.1} {:>9.1} {:>7.1}",
        micros(half),
        micros(most),
        micros(half) / micros(base)
    );
}

fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|l| l.strip_prefix("model name"))
        .unwrap_or("\t: an unnamed processor");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let rustc = Command::new("rustc")
        .arg("--version")
        .output()
        .map(|o| String::from_utf8_lossy(&o.stdout).trim().to_string());
    let model = model.trim_start_matches([' ', '\t', ':']);
    format!(
        "{model}, {cores} cores, {}",
        rustc.unwrap_or_else(|_| "an unknown rustc".into())
    )
}
