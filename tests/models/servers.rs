//! Servers that hang, and servers that start again with nobody to help them.

use super::live::inside::{cgroup, signal};
use super::live::objects::uid;
use super::live::operator::NAMESPACE;
use super::live::stage::Stage;
use super::place::{OPERATOR, add, event, ready, stack};
use anyhow::{Result, ensure};
use cluster::test::until;
use serde_json::{Value, json};
use std::time::Instant;

pub async fn a_server_that_hangs_before_its_gate_is_replaced() -> Result<()> {
    let _turn = OPERATOR.read().await;
    let stage = Stage::shared("hangs").await?;
    // Another server, which shows that the network is whole.
    stage.stack("other", &stack(&[stage.item("tiny")])).await?;
    stage.ready("other").await?;
    add(&stage, "large", 71, 16)?;
    stage.registry.wire().limit(256 << 10);
    stage.stack("chat", &stack(&[stage.item("large")])).await?;
    let child = stage.child("chat", "large").await?;
    stage
        .until("is being pulled", "OllamaModel", &child, |m| {
            m["status"]["state"] == "pulling"
        })
        .await?;
    let before = stage.pods("chat", "ollama").await?.remove(0);
    signal(stage.cluster(), &cgroup(&before), "ollama serve", "STOP").await?;
    let begun = Instant::now();
    let said = event(&stage, "Restarted").await?;
    ensure!(said.contains("lmdeployment/chat"), "{said}");
    println!(
        "a server that hung before its gate was replaced after {:?}",
        begun.elapsed()
    );
    stage.registry.wire().limit(0);
    stage.ready("chat").await?;
    let after = stage.pods("chat", "ollama").await?.remove(0);
    assert_ne!(uid(&before), uid(&after));
    Ok(())
}

pub async fn models_outlive_pods_without_operator_and_registry() -> Result<()> {
    let _alone = OPERATOR.write().await;
    let stage = Stage::shared("outlive").await?;
    let persistence = json!({"enabled": true, "size": "1Gi"});
    let spec = json!({"ollama": {"drainSeconds": 0, "persistence": persistence, "models": [stage.item("tiny")]}});
    stage.stack("chat", &spec).await?;
    stage.ready("chat").await?;
    let child = stage.child("chat", "tiny").await?;
    ready(&stage, &child).await?;
    let before = stage.get("Pod", "chat-ollama-0").await?;
    let deployment = "deployment/llm-operator-controller-manager";
    let scale = async |replicas: u32| {
        let count = format!("--replicas={replicas}");
        stage
            .cluster()
            .kubectl(&["-n", NAMESPACE, "scale", deployment, &count])
            .await
            .map(drop)
    };
    scale(0).await?;
    let gone = async || {
        let pods = [
            "-n",
            NAMESPACE,
            "get",
            "pods",
            "--no-headers",
            "--selector=app.kubernetes.io/name=llm-operator",
        ];
        let left = stage.cluster().kubectl(&pods).await?;
        Ok(left.trim().is_empty().then_some(()))
    };
    until("no operator runs", super::live::LIMIT, gone).await?;
    stage.registry.wire().forget();
    let begun = Instant::now();
    stage.delete("Pod", "chat-ollama-0").await?;
    let again = |pod: &Value| {
        let conditions = pod["status"]["conditions"].as_array();
        let is_ready = conditions
            .into_iter()
            .flatten()
            .any(|c| c["type"] == "Ready" && c["status"] == "True");
        uid(pod) != uid(&before) && is_ready
    };
    let result = stage.until("is Ready again", "Pod", "chat-ollama-0", again).await;
    let took = begun.elapsed();
    scale(2).await?;
    result?;
    let asked = stage.registry.wire().requests().len();
    println!("without an operator, a deleted pod was Ready after {took:?}, with {asked} requests to the registry");
    assert_eq!(asked, 0);
    ensure!(!stage.ask("chat", &stage.model("tiny")).await?.is_empty(), "no answer");
    let wait = ["-n", NAMESPACE, "rollout", "status", deployment, "--timeout=120s"];
    stage.cluster().kubectl(&wait).await?;
    Ok(())
}
