//! What these tests do with servers, models and the registry of a stage.

use super::live::objects::{condition, is_observed};
use super::live::operator::NAMESPACE;
use super::live::stage::Stage;
use anyhow::{Context, Result, ensure};
use cluster::gguf::Model;
use cluster::test::until;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Tests that stop every operator wait for the others, and the others for them.
pub static OPERATOR: tokio::sync::RwLock<()> = tokio::sync::RwLock::const_new(());

/// Short enough for a person to wait.
pub const SOON: Duration = Duration::from_secs(20);

/// A stack without waiting at its end.
pub fn stack(models: &[Value]) -> Value {
    json!({"ollama": {"drainSeconds": 0, "models": models}})
}

/// Puts a model of that many MiB into the registry as `library/<name>:latest`; its digest as servers print it.
pub fn add(stage: &Stage, name: &str, seed: u64, mib: usize) -> Result<String> {
    let model = Model::llama().seed(seed).pad_mib(mib);
    let digest = stage
        .registry
        .registry()
        .add(&format!("library/{name}:latest"), model)?;
    Ok(digest.trim_start_matches("sha256:").to_string())
}

/// Bytes of a padded model, roughly: what the padding adds to the toy.
pub fn mib(mib: u64) -> u64 {
    mib << 20
}

/// Applies an `OllamaModel`.
pub async fn apply(stage: &Stage, name: &str, spec: &Value) -> Result<()> {
    let manifest = json!({
        "apiVersion": "ollama.smithforge.dev/v1alpha1", "kind": "OllamaModel", "metadata": {"name": name}, "spec": spec,
    });
    stage.namespace.apply(&manifest.to_string()).await.map(drop)
}

/// The spec of a model of the stage's registry on the stack `chat`.
pub fn on_chat(stage: &Stage, name: &str) -> Value {
    json!({"name": stage.model(name), "insecure": true, "target": {"deploymentRef": {"name": "chat"}}})
}

/// The model once it is ready in its present form.
pub async fn ready(stage: &Stage, name: &str) -> Result<Value> {
    let is = |m: &Value| is_observed(m) && m["status"]["state"] == "ready";
    stage.until("is ready", "OllamaModel", name, is).await
}

/// The model once it has failed for that reason.
pub async fn failed(stage: &Stage, name: &str, reason: &str) -> Result<Value> {
    let is = |m: &Value| m["status"]["state"] == "failed" && condition(m, "Ready").1 == reason;
    stage
        .until(&format!("failed for {reason}"), "OllamaModel", name, is)
        .await
}

/// The model once a pull of it shows progress.
pub async fn moving(stage: &Stage, name: &str) -> Result<Value> {
    let is = |m: &Value| (15..60).contains(&m["status"]["progress"].as_i64().unwrap_or_default());
    stage.until("has come some way", "OllamaModel", name, is).await
}

/// Returns when an event of that reason is there.
pub async fn event(stage: &Stage, reason: &str) -> Result<String> {
    let selector = format!("--field-selector=reason={reason}");
    let check = async || {
        let events = stage
            .namespace
            .kubectl(&["get", "events", &selector, "--no-headers"])
            .await?;
        Ok(events.contains(reason).then_some(events))
    };
    until(&format!("an event {reason}"), super::live::LIMIT, check).await
}

/// Sends a request to a pod's server; the status and the body.
pub async fn call(stage: &Stage, pod: &Value, method: &str, path: &str, body: &Value) -> Result<(u16, String)> {
    let ip = pod["status"]["podIP"].as_str().context("the pod has no address")?;
    let url = format!("http://{ip}:11434{path}");
    let reply = stage.cluster().http(method, &url, Some(body)).await?;
    Ok((reply.status, reply.text().await?))
}

/// Names and digests of the models on a pod's server.
pub async fn tags(stage: &Stage, pod: &Value) -> Result<BTreeMap<String, String>> {
    let (status, body) = call(stage, pod, "GET", "/api/tags", &json!({})).await?;
    ensure!(status == 200, "{body}");
    let body: Value = serde_json::from_str(&body)?;
    let models = body["models"].as_array().cloned().unwrap_or_default();
    let text = |v: &Value| v.as_str().unwrap_or_default().to_string();
    Ok(models.iter().map(|m| (text(&m["name"]), text(&m["digest"]))).collect())
}

/// One part of a blob that the registry was asked for: the first byte, and how many were handed out.
#[derive(Clone, Debug)]
pub struct Part {
    pub first: u64,
    pub sent: u64,
}

/// The parts of large blobs that the registry was asked for, in the order of their arrival.
pub fn parts(stage: &Stage) -> Vec<Part> {
    let requests = stage.registry.wire().requests();
    let blobs = requests
        .iter()
        .filter(|r| r.method == "GET" && r.path.contains("/blobs/"));
    let ranged = blobs.filter_map(|r| {
        let range = r.headers.get("range")?.strip_prefix("bytes=")?;
        let (first, last) = range.split_once('-')?;
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        (last > 1 << 20).then_some(Part { first, sent: r.sent })
    });
    ranged.collect()
}

/// Bytes that the registry handed out, large blobs and small, whoever took them.
pub fn fetched(stage: &Stage) -> u64 {
    let requests = stage.registry.wire().requests();
    let ranged = requests
        .iter()
        .filter(|r| r.path.contains("/blobs/") && r.headers.contains_key("range"));
    ranged.map(|r| r.sent).sum()
}

/// Says what a test has moved; `--show-output` shows it.
pub fn figures(test: &str, size: u64, stage: &Stage) {
    let parts: Vec<String> = parts(stage)
        .iter()
        .map(|p| format!("from {} sent {}", p.first, p.sent))
        .collect();
    println!(
        "{test}: model of {size} bytes, {} bytes fetched: {}",
        fetched(stage),
        parts.join("; ")
    );
}

/// The pod of the operator that reconciles.
pub async fn leader(stage: &Stage) -> Result<String> {
    let lease = [
        "-n",
        NAMESPACE,
        "get",
        "lease",
        "llm-operator-leader",
        "-o",
        "jsonpath={.spec.holderIdentity}",
    ];
    let holder = stage.cluster().kubectl(&lease).await?;
    Ok(holder.split('_').next().unwrap_or_default().to_string())
}

/// The metrics of the operator that reconciles.
pub async fn metrics(stage: &Stage) -> Result<String> {
    let pod = leader(stage).await?;
    let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/{pod}:8080/proxy/metrics");
    stage.cluster().kubectl(&["get", "--raw", &path]).await
}
