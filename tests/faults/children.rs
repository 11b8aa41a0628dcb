//! Children that cannot be made, or do not stay as they were made.

use super::CLUSTER;
use super::live::objects::{message, uid};
use super::live::stage::Stage;
use super::live::{LIMIT, operator};
use anyhow::{Result, ensure};
use serde_json::{Value, json};

/// A stack that is Ready as soon as its server answers.
fn plain() -> Value {
    json!({"ollama": {"drainSeconds": 0, "models": []}})
}

pub async fn a_name_that_is_taken_is_not_taken_over() -> Result<()> {
    let alone = operator::alone(CLUSTER).await?;
    let stage = Stage::on(&alone, "conflict").await?;
    let theirs = "{apiVersion: v1, kind: Service, metadata: {name: chat-ollama}, spec: {ports: [{port: 1}]}}";
    stage.namespace.apply(theirs).await?;
    let before = stage.get("Service", "chat-ollama").await?;
    stage.stack("chat", &plain()).await?;
    let stack = stage.told("chat", "Stalled", "True", "Conflict").await?;
    let said = message(&stack, "Stalled");
    ensure!(
        said.contains("Service chat-ollama exists and does not belong to"),
        "{said}"
    );
    let after = stage.get("Service", "chat-ollama").await?;
    assert_eq!(
        after["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"],
        "it is left alone"
    );
    stage.delete("Service", "chat-ollama").await?;
    stage.ready("chat").await?;
    let ours = stage.get("Service", "chat-ollama").await?;
    assert_eq!(ours["metadata"]["labels"]["llm-deployment"], "chat");
    Ok(())
}

pub async fn a_quota_is_told_of_and_healed() -> Result<()> {
    let alone = operator::alone(CLUSTER).await?;
    let stage = Stage::on(&alone, "quota").await?;
    stage
        .namespace
        .kubectl(&["create", "quota", "none", "--hard=count/deployments.apps=0"])
        .await?;
    let counted = async || {
        let used = stage
            .namespace
            .kubectl(&["get", "quota", "none", "-o", "jsonpath={.status.used}"])
            .await?;
        Ok(used.contains("deployments").then_some(()))
    };
    stage.namespace.until("the quota counts", LIMIT, counted).await?;
    stage.stack("chat", &plain()).await?;
    let stack = stage.told("chat", "Stalled", "True", "Refused").await?;
    let said = message(&stack, "Stalled");
    ensure!(
        said.contains("Deployment chat-ollama was refused") && said.contains("exceeded quota: none"),
        "{said}"
    );
    assert!(
        stage.find("Service", "chat-ollama").await?.is_some(),
        "the rest is made"
    );
    stage.namespace.kubectl(&["delete", "quota", "none"]).await?;
    stage.ready("chat").await?;
    Ok(())
}

pub async fn children_changed_by_hand_are_repaired() -> Result<()> {
    let alone = operator::alone(CLUSTER).await?;
    let stage = Stage::on(&alone, "repair").await?;
    stage
        .stack(
            "chat",
            &json!({"ollama": {"drainSeconds": 0, "models": [stage.item("tiny")]}}),
        )
        .await?;
    stage.ready("chat").await?;
    stage
        .namespace
        .kubectl(&["scale", "deployment/chat-ollama", "--replicas=2"])
        .await?;
    stage
        .until("is scaled back", "Deployment", "chat-ollama", |d| {
            d["spec"]["replicas"] == 1
        })
        .await?;
    stage
        .merge(
            "Service",
            "chat-ollama",
            &json!({"spec": {"selector": {"app": "other"}}}),
        )
        .await?;
    stage
        .until("selects its pods", "Service", "chat-ollama", |s| {
            s["spec"]["selector"]["app"].is_null() || s["spec"]["selector"]["app"] == "ollama"
        })
        .await?;
    // Labels make no new generation.
    let labels = json!({"metadata": {"labels": {"app.kubernetes.io/component": null, "app.kubernetes.io/name": "x"}}});
    stage.merge("Deployment", "chat-ollama", &labels).await?;
    stage
        .until("has its labels", "Deployment", "chat-ollama", |d| {
            let labels = &d["metadata"]["labels"];
            labels["app.kubernetes.io/component"] == "ollama" && labels["app.kubernetes.io/name"] == "ollama"
        })
        .await?;
    stage
        .merge(
            "ConfigMap",
            "chat-ollama-models",
            &json!({"data": {"required": "nonsense\n"}}),
        )
        .await?;
    let expected = format!("{}:latest\n", stage.model("tiny"));
    stage
        .until("asks for the model", "ConfigMap", "chat-ollama-models", |m| {
            m["data"]["required"] == expected
        })
        .await?;
    let child = stage.child("chat", "tiny").await?;
    for (kind, name) in [
        ("Service", "chat-ollama-headless"),
        ("ServiceAccount", "chat-ollama"),
        ("NetworkPolicy", "chat-ollama"),
        ("ConfigMap", "chat-ollama-models"),
        ("OllamaModel", &child),
        ("Deployment", "chat-ollama"),
    ] {
        let before = stage.get(kind, name).await?;
        stage.delete(kind, name).await?;
        stage
            .until("is made again", kind, name, |o| uid(o) != uid(&before))
            .await?;
    }
    stage.ready("chat").await?;
    assert!(!stage.ask("chat", &stage.model("tiny")).await?.is_empty());
    Ok(())
}

const DEFINITION: &str = "crd/lmdeployments.llm.geeper.io";

pub async fn an_object_that_does_not_decode_stalls_nobody() -> Result<()> {
    let alone = operator::alone(CLUSTER).await?;
    let stage = Stage::on(&alone, "undecodable").await?;
    let kept = alone.kubectl(&["get", DEFINITION, "-o", "json"]).await?;
    let mut kept: Value = serde_json::from_str(&kept)?;
    let loose = json!([{"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema", "value": {
        "type": "object", "x-kubernetes-preserve-unknown-fields": true,
        "properties": {"metadata": {"type": "object"}},
    }}]);
    // As an older release may have stored it: with another schema, and webhooks that did not look.
    let webhooks = [
        "delete",
        "mutatingwebhookconfigurations,validatingwebhookconfigurations",
        "--all",
    ];
    alone.kubectl(&webhooks).await?;
    alone
        .kubectl(&["patch", DEFINITION, "--type=json", "-p", &loose.to_string()])
        .await?;
    let stored = async || {
        stage.stack("old", &json!({"ollama": {"replicas": "one"}})).await?;
        Ok(Some(()))
    };
    stage.namespace.until("the schema is gone", LIMIT, stored).await?;
    if let Some(metadata) = kept["metadata"].as_object_mut() {
        metadata.retain(|field, _| ["name", "labels", "annotations"].contains(&field.as_str()));
    }
    // As Helm wrote it, so that it is Helm's again.
    let restore = [
        "apply",
        "--server-side",
        "--force-conflicts",
        "--field-manager=helm",
        "-f",
        "-",
    ];
    alone.kubectl_with(&restore, &kept.to_string()).await?;
    alone.install().await?;

    stage.stack("new", &plain()).await?;
    stage.ready("new").await?;
    let stack = stage.told("old", "Valid", "False", "Undecodable").await?;
    let said = message(&stack, "Valid");
    ensure!(
        said.contains("does not fit LMDeployment") && said.contains("apply it again"),
        "{said}"
    );
    stage.stack("old", &plain()).await?;
    stage.ready("old").await?;
    Ok(())
}

pub async fn a_namespace_goes_with_its_stacks() -> Result<()> {
    let alone = operator::alone(CLUSTER).await?;
    let (stage, other) = (Stage::on(&alone, "going").await?, Stage::on(&alone, "staying").await?);
    stage
        .stack(
            "chat",
            &json!({"ollama": {"drainSeconds": 0, "models": [stage.item("tiny")]}}),
        )
        .await?;
    stage.ready("chat").await?;
    // Something that holds it for as long as the test wants, so that children go while their stack is still there.
    stage
        .merge(
            "LMDeployment",
            "chat",
            &json!({"metadata": {"finalizers": ["example.com/hold"]}}),
        )
        .await?;
    let mark = alone.audit().mark()?;
    stage
        .namespace
        .kubectl(&["delete", "namespace", stage.namespace.name(), "--wait=false"])
        .await?;
    stage.gone("Deployment", "chat-ollama").await?;
    other.stack("chat", &plain()).await?;
    other.ready("chat").await?;
    stage
        .merge("LMDeployment", "chat", &json!({"metadata": {"finalizers": null}}))
        .await?;
    stage
        .namespace
        .kubectl(&[
            "wait",
            "--for=delete",
            &format!("namespace/{}", stage.namespace.name()),
            "--timeout=120s",
        ])
        .await?;
    let writes =
        alone.audit().since(mark)?.into_iter().filter(|r| {
            r.user == operator::USER && r.namespace == stage.namespace.name() && r.is_write() && r.code >= 400
        });
    let refused: Vec<_> = writes
        .map(|r| format!("{} {} {}: {}", r.verb, r.resource, r.name, r.code))
        .collect();
    ensure!(refused.len() < 10, "it does not go on trying: {refused:#?}");
    Ok(())
}
