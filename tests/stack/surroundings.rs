//! What a stack needs and is not its own, when it is gone or of the wrong shape: its node, its Secrets.

use super::live::LIMIT;
use super::live::stage::Stage;
use super::trouble::{spec, told};
use anyhow::{Result, ensure};
use serde_json::{Value, json};

/// A node that the API knows and that nothing runs on. Nobody else's pods may go there.
const GONE: &str = "gone-for-good";

fn node() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": GONE, "labels": {"test/gone": "true"}},
        "spec": {"taints": [{"key": "test/gone", "effect": "NoSchedule"}]},
    })
}

pub async fn a_node_that_is_gone_is_told_of() -> Result<()> {
    let stage = Stage::shared("node-gone").await?;
    stage.namespace.apply(&node().to_string()).await?;
    let result = lose(&stage).await;
    stage
        .namespace
        .kubectl(&["delete", "node", GONE, "--ignore-not-found"])
        .await?;
    result?;
    // With its node, the pod is gone, and what took its place may go anywhere.
    stage.stack("chat", &spec(&json!({}))).await?;
    stage.ready("chat").await?;
    Ok(())
}

async fn lose(stage: &Stage) -> Result<()> {
    let room = json!({"cpu": "4", "memory": "8Gi", "pods": "9"});
    let now = jiff::Timestamp::now().to_string();
    let ready = json!([{"type": "Ready", "status": "True", "lastHeartbeatTime": now}]);
    let status = json!({"status": {"capacity": room, "allocatable": room, "conditions": ready}}).to_string();
    let patch = |kind: &'static str, name: String, status: String| async move {
        let patch = [
            "patch",
            kind,
            &name,
            "--subresource=status",
            "--type=merge",
            "-p",
            &status,
        ];
        stage.namespace.kubectl(&patch).await.map(drop)
    };
    patch("node", GONE.into(), status).await?;
    let there = json!({
        "nodeSelector": {"test/gone": "true"},
        "tolerations": [
            {"operator": "Exists", "effect": "NoSchedule"},
            {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 20},
        ],
    });
    stage.stack("chat", &spec(&there)).await?;
    let bound = async || {
        let pods = stage.pods("chat", "ollama").await?;
        Ok(pods.into_iter().find(|pod| pod["spec"]["nodeName"] == GONE))
    };
    let pod = stage.namespace.until("a pod on that node", LIMIT, bound).await?;
    // The last that its kubelet has said: all is well.
    let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_string();
    let running = json!({"status": {
        "phase": "Running", "podIP": "192.0.2.1", "podIPs": [{"ip": "192.0.2.1"}],
        "conditions": [{"type": "Ready", "status": "True"}, {"type": "ContainersReady", "status": "True"}],
        "containerStatuses": [{
            "name": "ollama", "ready": true, "started": true, "restartCount": 0, "image": "x", "imageID": "x",
            "state": {"running": {"startedAt": now}},
        }],
    }});
    patch("pod", name, running.to_string()).await?;
    told(
        stage,
        "NodeLost",
        &["node gone-for-good does not answer, so nobody knows whether it runs"],
    )
    .await?;
    let words = [
        "node gone-for-good does not say that it did",
        "kubectl delete node gone-for-good",
    ];
    told(stage, "NodeLost", &words).await
}

pub async fn secrets_of_the_wrong_shape_are_told_of() -> Result<()> {
    let stage = Stage::shared("secrets").await?;
    let mut stack = spec(&json!({}));
    stack["openwebui"] = json!({
        "enabled": true, "admin": {"email": "a@example.com", "secretRef": {"name": "admin"}},
        "redis": {"urlSecretRef": {"name": "cache"}},
    });
    stage.stack("chat", &stack).await?;
    let missing = ["Secret admin does not exist; its key password is needed"];
    told(&stage, "SecretMissing", &missing).await?;
    let secret = |name: &str, data: Value| {
        let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data});
        let namespace = &stage.namespace;
        async move { namespace.apply(&object.to_string()).await.map(drop) }
    };
    for (data, reason, words) in [
        (
            json!({"pass": "YQ=="}),
            "SecretMissing",
            "Secret admin has no key password, or nothing under it",
        ),
        (
            json!({"password": ""}),
            "SecretMissing",
            "Secret admin has no key password, or nothing under it",
        ),
        (
            json!({"password": "//79"}),
            "SecretMissing",
            "Secret cache does not exist; its key url is needed",
        ),
    ] {
        secret("admin", data).await?;
        told(&stage, reason, &[words]).await?;
    }
    for (data, words) in [
        // "redis"
        (
            json!({"url": "cmVkaXM="}),
            "Secret admin: what is under password is no text",
        ),
        (
            json!({"url": "//79"}),
            "Secret admin: what is under password is no text",
        ),
    ] {
        secret("cache", data).await?;
        told(&stage, "SecretInvalid", &[words]).await?;
    }
    secret("admin", json!({"password": "c2VjcmV0"})).await?;
    told(&stage, "SecretInvalid", &["Secret cache: what is under url is no text"]).await?;
    secret("cache", json!({"url": "cmVkaXM="})).await?;
    told(
        &stage,
        "SecretInvalid",
        &["Secret cache: url is no address such as redis://"],
    )
    .await?;
    ensure!(
        stage.find("Deployment", "chat-openwebui").await?.is_none(),
        "it would only crash"
    );
    Ok(())
}
