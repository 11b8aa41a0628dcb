//! The operator itself: at rest, killed, and with its certificates taken away.

use super::CLUSTER;
use super::live::LIMIT;
use super::live::objects::{Objects, name};
use super::live::operator::{self, Alone, NAMESPACE, USER};
use super::live::stage::Stage;
use anyhow::{Context, Result, ensure};
use cluster::gguf::Model;
use cluster::test::until;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const SELECTOR: &str = "app.kubernetes.io/name=llm-operator,app.kubernetes.io/component!=selfcheck";

/// How many reconciles the operator's pods have counted together.
async fn reconciles(alone: &Alone) -> Result<u64> {
    let pods = Objects::new(alone.client().await?, NAMESPACE)
        .list("Pod", SELECTOR)
        .await?;
    let mut count = 0;
    for pod in pods {
        let address = pod["status"]["podIP"].as_str().context("a pod without an address")?;
        let text = alone
            .http("GET", &format!("http://{address}:8080/metrics"), None)
            .await?
            .text()
            .await?;
        let lines = text.lines().filter(|l| l.starts_with("llm_operator_reconciles_total{"));
        count += lines
            .filter_map(|l| l.rsplit(' ').next()?.parse::<u64>().ok())
            .sum::<u64>();
    }
    Ok(count)
}

pub async fn nothing_is_written_at_rest() -> Result<()> {
    let alone = operator::alone(CLUSTER).await?;
    alone
        .install_with(&json!({"extraArgs": ["--resync-seconds=2"]}))
        .await?;
    let stage = Stage::on(&alone, "rest").await?;
    let persistent = json!({"enabled": true, "size": "1Gi"});
    let items = [stage.item("tiny"), stage.item("embed")];
    let tabby = json!({"enabled": true, "embeddingModel": stage.model("embed"), "persistence": persistent});
    stage
        .stack(
            "code",
            &json!({"ollama": {"drainSeconds": 0, "models": items}, "tabby": tabby}),
        )
        .await?;
    let kept = json!({"drainSeconds": 0, "replicas": 2, "models": [stage.item("tiny")], "persistence": persistent});
    stage.stack("chat", &json!({"ollama": kept})).await?;
    stage.ready("code").await?;
    stage.ready("chat").await?;
    // Two stacks and three models. What still happened because of their start is over after one round.
    let round = 5;
    let rounds = async |count: u64| {
        let start = reconciles(&alone).await?;
        let done = async || Ok((reconciles(&alone).await? >= start + count * round).then_some(()));
        until("resyncs of every object", LIMIT, done).await
    };
    rounds(2).await?;
    let mark = alone.audit().mark()?;
    rounds(3).await?;
    let mut counts = BTreeMap::<String, usize>::new();
    for request in alone.audit().since(mark)?.into_iter().filter(|r| r.user == USER) {
        let what = format!("{} {}{}", request.verb, request.resource, request.subresource);
        *counts.entry(what).or_default() += 1;
    }
    println!("requests of the operator over two resyncs of 2 stacks and 3 models: {counts:?}");
    let idle = |what: &&String| !what.ends_with(" leases") && !what.starts_with("watch ");
    let busy: Vec<&String> = counts.keys().filter(idle).collect();
    ensure!(busy.is_empty(), "at rest only the Lease is written: {counts:?}");
    Ok(())
}

pub async fn a_pull_survives_the_operator() -> Result<()> {
    let alone = operator::alone(CLUSTER).await?;
    let stage = Stage::on(&alone, "mid-pull").await?;
    stage
        .registry
        .registry()
        .add("library/large:latest", Model::llama().seed(9).pad_mib(16))?;
    stage.registry.wire().limit(512 << 10);
    stage
        .stack(
            "chat",
            &json!({"ollama": {"drainSeconds": 0, "models": [stage.item("large")]}}),
        )
        .await?;
    let child = stage.child("chat", "large").await?;
    let begun = |m: &Value| m["status"]["progress"].as_i64().is_some_and(|p| p > 0);
    stage.until("is half way", "OllamaModel", &child, begun).await?;
    let pods = Objects::new(alone.client().await?, NAMESPACE)
        .list("Pod", SELECTOR)
        .await?;
    let names: Vec<&str> = pods.iter().map(name).collect();
    alone
        .kubectl(
            &[
                &["-n", NAMESPACE, "delete", "pod", "--grace-period=0", "--force"],
                &names[..],
            ]
            .concat(),
        )
        .await?;
    stage.registry.wire().limit(0);
    stage.ready("chat").await?;
    let model = stage.get("OllamaModel", &child).await?;
    assert_eq!(
        (&model["status"]["state"], &model["status"]["progress"]),
        (&json!("ready"), &json!(100))
    );
    assert!(!stage.ask("chat", &stage.model("large")).await?.is_empty());
    Ok(())
}

const SECRET: &str = "llm-operator-webhook-ca";

pub async fn certificates_mend_themselves() -> Result<()> {
    let alone = operator::alone(CLUSTER).await?;
    let stage = Stage::on(&alone, "certificates").await?;
    let system = Objects::new(alone.client().await?, NAMESPACE);
    let full = async || {
        let secret = system.find("Secret", SECRET).await?;
        let data = secret.and_then(|s| s["data"].as_object().cloned()).unwrap_or_default();
        let good = data
            .values()
            .filter_map(Value::as_str)
            .any(|v| v.starts_with("LS0tLS1CRUdJTi")); // "-----BEGIN"
        Ok(good.then_some(data))
    };
    let data = until("the Secret", LIMIT, full).await?;
    let wiped: serde_json::Map<String, Value> = data.keys().map(|k| (k.clone(), Value::Null)).collect();
    let corrupt: serde_json::Map<String, Value> = data.keys().map(|k| (k.clone(), json!("bm9uc2Vuc2U="))).collect();
    for (what, patch) in [("empty", Some(wiped)), ("corrupt", Some(corrupt)), ("deleted", None)] {
        match patch {
            Some(data) => drop(system.merge("Secret", SECRET, &json!({"data": data})).await?),
            None => system.delete("Secret", SECRET).await?,
        }
        until(&format!("a whole Secret after it was {what}"), LIMIT, full).await?;
        admits(&stage, what).await?;
    }
    // Whatever the operator mended, the release can still be upgraded.
    alone.install().await?;
    for kind in ["mutating", "validating"] {
        let configuration = format!("{kind}webhookconfiguration/llm-operator-system-llm-operator-{kind}");
        let wipe = json!([{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]).to_string();
        alone
            .kubectl(&["patch", &configuration, "--type=json", "-p", &wipe])
            .await?;
        let trusted = async || {
            let bundle = "jsonpath={.webhooks[0].clientConfig.caBundle}";
            Ok((!alone.kubectl(&["get", &configuration, "-o", bundle]).await?.is_empty()).then_some(()))
        };
        until("the authority is injected again", LIMIT, trusted).await?;
        admits(&stage, "no longer trusted").await?;
    }
    Ok(())
}

/// Both webhooks answer: a good object is filled, and a bad one refused by name.
async fn admits(stage: &Stage, after: &str) -> Result<()> {
    let manifest = |replicas: i32| {
        json!({"apiVersion": "llm.geeper.io/v1alpha1", "kind": "LMDeployment", "metadata": {"name": "try"},
            "spec": {"ollama": {"models": ["a"], "service": {"port": 80}}, "tabby": {"enabled": true, "replicas": replicas, "chatModel": "b"}}})
        .to_string()
    };
    let works = async || {
        let said = stage.namespace.refuses(&manifest(1)).await?;
        ensure!(said.contains("spec.tabby.chatModel"), "{said}");
        let good = manifest(1).replace("\"b\"", "\"a\"");
        let accepted = stage.namespace.accepts(&good).await?;
        ensure!(accepted.object["spec"]["ollama"]["drainSeconds"] == 30, "not filled");
        Ok(Some(()))
    };
    stage
        .namespace
        .until(&format!("admission works after its Secret was {after}"), LIMIT, works)
        .await
}
