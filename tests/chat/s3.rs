//! Uploads in a bucket of a real S3 server: two Open WebUI without a volume share them, and what is wrong is seen.

use super::client::Person;
use super::live::LIMIT;
use super::live::objects::{names, uid};
use super::live::stage::Stage;
use super::{ready, secret, spec};
use anyhow::{Context, Result, ensure};
use cluster::images;
use cluster::tools::{self, Tool};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tokio::task::spawn_blocking;

const ADMIN: &str = "admin@example.com";

/// A server with the bucket `uploads`, reached as `s3`.
async fn serve(stage: &Stage) -> Result<()> {
    let image = spawn_blocking(|| images::s3(&tools::path(Tool::Versitygw)?)).await??;
    let archive = image.archive.to_str().context("the image's path is not UTF-8")?;
    stage.cluster().load(archive).await?;
    let key =
        |name: &str, key: &str| json!({"name": name, "valueFrom": {"secretKeyRef": {"name": "bucket", "key": key}}});
    let confined = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "s3", "labels": {"app": "s3"}},
        "spec": {
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 1000, "fsGroup": 1000, "seccompProfile": {"type": "RuntimeDefault"},
            },
            "volumes": [{"name": "data", "emptyDir": {}}],
            "containers": [{
                "name": "s3", "image": images::S3, "imagePullPolicy": "Never", "securityContext": confined,
                "command": ["/bin/sh", "-c", "mkdir -p /data/uploads && exec versitygw --port :7070 posix /data"],
                "env": [key("ROOT_ACCESS_KEY", "accessKeyId"), key("ROOT_SECRET_KEY", "secretAccessKey")],
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                "readinessProbe": {"tcpSocket": {"port": 7070}, "periodSeconds": 1},
            }],
        },
    });
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "s3"},
        "spec": {"selector": {"app": "s3"}, "ports": [{"port": 7070}]},
    });
    for object in [pod, service] {
        stage.namespace.apply(&object.to_string()).await?;
    }
    stage
        .namespace
        .kubectl(&["wait", "--for=condition=Ready", "pod/s3", "--timeout=120s"])
        .await
        .map(drop)
}

fn keys(secret: &str) -> Value {
    json!({"accessKeyId": "a-key", "secretAccessKey": secret})
}

/// The stack with uploads in that bucket of that server.
fn chat(stage: &Stage, replicas: i32, endpoint: &str, bucket: &str, secret: &str) -> Value {
    spec(
        stage,
        &json!({
            "replicas": replicas,
            "persistence": {"enabled": false},
            "storage": {"s3": {"endpoint": endpoint, "bucket": bucket, "secretRef": {"name": secret}}},
            "admin": {"email": ADMIN, "secretRef": {"name": "admin"}},
            "resources": {"requests": {"cpu": "50m", "memory": "256Mi"}},
        }),
    )
}

async fn hosts(stage: &Stage) -> Result<Vec<String>> {
    let pods = stage.pods("chat", "openwebui").await?;
    Ok(pods
        .iter()
        .filter_map(|p| p["status"]["podIP"].as_str().map(str::to_string))
        .collect())
}

async fn uids(stage: &Stage) -> Result<BTreeSet<String>> {
    let pods = stage.pods("chat", "openwebui").await?;
    Ok(pods.iter().map(|pod| uid(pod).to_string()).collect())
}

pub async fn uploads_are_in_a_bucket_and_nowhere_else() -> Result<()> {
    let stage = super::stage("chat-s3").await?;
    secret(&stage, "bucket", &keys("a-secret-key")).await?;
    secret(&stage, "admin", &json!({"password": "first"})).await?;
    serve(&stage).await?;
    let server = "http://s3:7070";
    stage
        .stack("chat", &chat(&stage, 2, server, "uploads", "bucket"))
        .await?;
    ready(&stage).await?;
    let claims = stage
        .list("PersistentVolumeClaim", "app.kubernetes.io/component=openwebui")
        .await?;
    ensure!(claims.is_empty(), "it needs no volume: {:?}", names(&claims));

    let both = hosts(&stage).await?;
    let [a, b] = &both[..] else {
        anyhow::bail!("{} pods in place of two", both.len())
    };
    let ada = Person::sign_in(&stage, a, ADMIN, "first").await?;
    let file = ada.upload(a, "a file of mine").await?;
    assert_eq!(
        ada.download(b, &file).await?,
        (200, json!("a file of mine")),
        "read through the other"
    );
    let listed = [
        "exec",
        "s3",
        "--",
        "sh",
        "-c",
        "cd /data/uploads && for f in *; do echo \"$f $(cat \"$f\")\"; done",
    ];
    let listed = stage.namespace.kubectl(&listed).await?;
    ensure!(
        listed.contains("_a.txt a file of mine"),
        "the bucket holds it: {listed}"
    );

    let before = uids(&stage).await?;
    let all = [
        "delete",
        "pods",
        "--selector=app.kubernetes.io/component=openwebui",
        "--grace-period=1",
    ];
    stage.namespace.kubectl(&all).await?;
    let replaced = async || {
        let now = uids(&stage).await?;
        Ok((now.len() == 2 && now.is_disjoint(&before)).then_some(()))
    };
    stage.namespace.until("two other pods", LIMIT, replaced).await?;
    stage
        .namespace
        .kubectl(&["rollout", "status", "deployment/chat-openwebui", "--timeout=180s"])
        .await?;
    ready(&stage).await?;
    for host in hosts(&stage).await? {
        assert_eq!(
            ada.download(&host, &file).await?,
            (200, json!("a file of mine")),
            "it outlives all pods"
        );
    }
    tells_what_is_wrong(&stage, &ada, server).await
}

/// Open WebUI speaks to the bucket when somebody uploads, so its start and its probes show none of this.
async fn tells_what_is_wrong(stage: &Stage, ada: &Person<'_>, server: &str) -> Result<()> {
    secret(stage, "wrong", &keys("another")).await?;
    for (what, endpoint, bucket, keys, words) in [
        ("another key", server, "uploads", "wrong", "SignatureDoesNotMatch"),
        ("no such bucket", server, "nothing", "bucket", "NoSuchBucket"),
        (
            "nobody there",
            "http://s3:1",
            "uploads",
            "bucket",
            "Could not connect to the endpoint URL",
        ),
    ] {
        let before = uids(stage).await?;
        stage.stack("chat", &chat(stage, 1, endpoint, bucket, keys)).await?;
        let rolled = async || {
            let now = uids(stage).await?;
            Ok((now.len() == 1 && now.is_disjoint(&before)).then_some(()))
        };
        stage.namespace.until("another pod", LIMIT, rolled).await?;
        ready(stage).await?;
        let host = hosts(stage).await?.pop().context("no pod")?;
        let said = ada.upload(&host, "lost").await.err().context("it is taken")?;
        println!("{what}: {said:#}");
        ensure!(format!("{said:#}").starts_with("400 "), "{what}: {said:#}");
        let log = stage
            .namespace
            .kubectl(&["logs", "deployment/chat-openwebui", "--tail=400"])
            .await?;
        ensure!(log.contains(words), "{what}: its log has {words}: {log}");
    }
    Ok(())
}
