//! `llm-operator cleanup` where no operator runs any more: it lets go what that held, and touches nothing else.

use super::CLUSTER;
use super::live::objects::name;
use super::live::operator;
use super::live::stage::Stage;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::process::Output;
use tokio::process::Command;

async fn cleanup(stage: &Stage, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(operator::binary().await?);
    command
        .arg("cleanup")
        .args(arguments)
        .env("KUBECONFIG", stage.cluster().kubeconfig());
    command.output().await.context("cannot run cleanup")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The versions of everything in the namespace but what is to be let go and what the node's pods write.
async fn versions(stage: &Stage) -> Result<Vec<String>> {
    let mut all = vec![];
    for kind in [
        "Deployment",
        "StatefulSet",
        "Service",
        "ConfigMap",
        "Secret",
        "PersistentVolumeClaim",
        "NetworkPolicy",
    ] {
        for object in stage.list(kind, "").await? {
            all.push(format!(
                "{kind} {} {}",
                name(&object),
                object["metadata"]["resourceVersion"]
            ));
        }
    }
    Ok(all)
}

pub async fn what_an_operator_held_is_let_go_without_it() -> Result<()> {
    let alone = operator::alone(CLUSTER).await?;
    let (stage, other) = (Stage::on(&alone, "held").await?, Stage::on(&alone, "held-too").await?);
    let persistent = json!({"enabled": true, "size": "1Gi"});
    for stage in [&stage, &other] {
        let ollama = json!({"drainSeconds": 0, "persistence": persistent, "models": [stage.item("tiny")]});
        stage.stack("chat", &json!({"ollama": ollama})).await?;
        stage.ready("chat").await?;
    }
    let (child, child_too) = (stage.child("chat", "tiny").await?, other.child("chat", "tiny").await?);
    // As an older operator, and somebody else, left it.
    let finalizers = json!(["llm.geeper.io/finalizer", "example.com/hold"]);
    stage
        .merge("LMDeployment", "chat", &json!({"metadata": {"finalizers": finalizers}}))
        .await?;
    stage.ready("chat").await?;
    alone.scale(0).await?;
    let result = let_go(&stage, &other, &child, &child_too).await;
    alone.scale(2).await?;
    result
}

async fn let_go(stage: &Stage, other: &Stage, child: &str, child_too: &str) -> Result<()> {
    let (before, namespace) = (versions(stage).await?, stage.namespace.name().to_string());
    let stack = format!("LMDeployment {namespace}/chat");
    let model = format!("OllamaModel {namespace}/{child}");

    let asked = cleanup(stage, &[]).await?;
    let text = said(&asked);
    assert_eq!(asked.status.code(), Some(1), "without consent: {text}");
    for line in [
        format!("{stack}: llm.geeper.io/finalizer"),
        format!("{model}: llm.geeper.io/cleanup"),
        format!(
            "OllamaModel {}/{child_too}: llm.geeper.io/cleanup",
            other.namespace.name()
        ),
    ] {
        ensure!(text.lines().any(|l| l == line), "{line} is not in: {text}");
    }
    ensure!(
        text.contains("3 objects have finalizers of the operator; nothing was changed") && text.contains("--yes"),
        "{text}"
    );
    let held = |object: &Value| object["metadata"]["finalizers"].clone();
    assert_eq!(
        held(&stage.get("OllamaModel", child).await?),
        json!(["llm.geeper.io/cleanup"])
    );

    let done = cleanup(stage, &["--namespace", &namespace, "--yes"]).await?;
    let text = said(&done);
    assert_eq!(done.status.code(), Some(0), "{text}");
    assert_eq!(
        text,
        format!("{stack}: released\n{model}: released\nfinalizers taken off 2 objects; models stay on their servers\n")
    );
    assert_eq!(
        held(&stage.get("LMDeployment", "chat").await?),
        json!(["example.com/hold"]),
        "that of others stays"
    );
    assert_eq!(held(&stage.get("OllamaModel", child).await?), Value::Null);
    assert_eq!(
        held(&other.get("OllamaModel", child_too).await?),
        json!(["llm.geeper.io/cleanup"])
    );
    assert_eq!(versions(stage).await?, before, "nothing else is touched");
    let none = cleanup(stage, &["--namespace", &namespace]).await?;
    assert_eq!(
        (none.status.code(), said(&none).contains("nothing to do")),
        (Some(0), true)
    );

    // What was held goes now, without an operator, and the data stays.
    stage
        .merge("LMDeployment", "chat", &json!({"metadata": {"finalizers": null}}))
        .await?;
    stage.delete("LMDeployment", "chat").await?;
    for (kind, name) in [
        ("LMDeployment", "chat"),
        ("OllamaModel", child),
        ("StatefulSet", "chat-ollama"),
    ] {
        stage.gone(kind, name).await?;
    }
    let claim = stage.get("PersistentVolumeClaim", "data-chat-ollama-0").await?;
    ensure!(claim["metadata"]["deletionTimestamp"].is_null(), "{claim}");
    Ok(())
}
