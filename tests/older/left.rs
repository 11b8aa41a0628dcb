//! A stack as the older Go operator left it, object by object (facts: older operators 1.1.6), and what becomes of it.

use super::live::objects::{name, names, uid};
use super::live::stage::Stage;
use super::live::{LIMIT, operator};
use anyhow::{Context, Result, ensure};
use cluster::{Helm, images};
use kube::api::PostParams;
use serde_json::{Value, json};

/// The name under which its client wrote.
const MANAGER: &str = "manager";

/// The stack's own object, as that operator keeps it.
fn stack(stage: &Stage) -> Value {
    let small = json!({"requests": {"cpu": "10m", "memory": "64Mi"}});
    json!({
        "apiVersion": "llm.geeper.io/v1alpha1", "kind": "LMDeployment",
        "metadata": {"name": "old", "finalizers": ["llm.geeper.io/finalizer"]},
        "spec": {
            "ollama": {"replicas": 1, "drainSeconds": 0, "image": images::OLLAMA, "models": [stage.item("tiny")],
                "resources": small, "service": {"type": "ClusterIP", "port": 11434}},
            "openwebui": {"enabled": true, "replicas": 1, "image": "localhost/none:1", "imagePullPolicy": "Never",
                "resources": small, "persistence": {"enabled": true, "size": "1Gi"}},
        },
    })
}

struct Older<'a> {
    stage: &'a Stage,
    owner: Value,
}

impl Older<'_> {
    fn labels(component: &str) -> Value {
        json!({"llm-deployment": "old", "app": component})
    }

    async fn make(&self, kind: &str, version: &str, name: &str, component: &str, fields: &Value) -> Result<Value> {
        let mut object = json!({
            "apiVersion": version, "kind": kind,
            "metadata": {"name": name, "labels": Self::labels(component)},
        });
        // Its claims name no owner.
        if kind != "PersistentVolumeClaim" {
            object["metadata"]["ownerReferences"] = json!([self.owner]);
        }
        llm_operator::base::object::merge(&mut object, fields.clone());
        let parameters = PostParams {
            field_manager: Some(MANAGER.into()),
            ..PostParams::default()
        };
        let made = self
            .stage
            .api(kind)?
            .create(&parameters, &serde_json::from_value(object)?)
            .await?;
        Ok(json!(made))
    }

    async fn workload(&self, component: &str, claim: Option<&str>) -> Result<()> {
        let labels = Self::labels(component);
        let volume = match claim {
            Some(claim) => json!({"name": "data", "persistentVolumeClaim": {"claimName": claim}}),
            None => json!({"name": "data", "emptyDir": {}}),
        };
        // The pods need not serve; what matters is when they go.
        let container = json!({
            "name": component, "image": images::BUSYBOX, "imagePullPolicy": "Never",
            "command": ["/bin/sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1; done"],
            "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        });
        let pod = json!({"containers": [container], "volumes": [volume], "terminationGracePeriodSeconds": 5});
        let spec = json!({
            "replicas": 1, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        });
        self.make(
            "Deployment",
            "apps/v1",
            &format!("old-{component}"),
            component,
            &json!({"spec": spec}),
        )
        .await?;
        Ok(())
    }

    async fn service(&self, component: &str, port: i32) -> Result<Value> {
        let ports = [json!({"name": "http", "port": port, "targetPort": port, "protocol": "TCP"})];
        let spec = json!({"type": "ClusterIP", "selector": Self::labels(component), "ports": ports, "sessionAffinity": "ClientIP"});
        self.make(
            "Service",
            "v1",
            &format!("old-{component}"),
            component,
            &json!({"spec": spec}),
        )
        .await
    }
}

/// What holds data, or is known by its address.
struct Before {
    claim: Value,
    cache: Value,
    secret: Value,
    service: Value,
    /// The pod that serves.
    server: Value,
}

/// The stack before an upgrade: definitions and objects are there, and nobody who watches.
async fn build(stage: &Stage) -> Result<Before> {
    stage.namespace.apply(&stack(stage).to_string()).await?;
    let own = stage.get("LMDeployment", "old").await?;
    let older = Older {
        stage,
        owner: json!({
            "apiVersion": "llm.geeper.io/v1alpha1", "kind": "LMDeployment", "name": "old", "uid": uid(&own),
            "controller": true, "blockOwnerDeletion": true,
        }),
    };
    let storage = json!({"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    let claim = |name, component| older.make("PersistentVolumeClaim", "v1", name, component, &storage);
    let (claim, cache) = (
        claim("old-openwebui-data", "openwebui").await?,
        claim("old-redis", "redis").await?,
    );
    let key = json!({"type": "Opaque", "stringData": {"WEBUI_SECRET_KEY": "the-key-of-every-session"}});
    let secret = older
        .make("Secret", "v1", "old-openwebui-secret", "openwebui", &key)
        .await?;
    let service = older.service("ollama", 11434).await?;
    older.service("openwebui", 8080).await?;
    older.workload("ollama", None).await?;
    older.workload("openwebui", Some("old-openwebui-data")).await?;
    let server = pod(stage, "ollama").await?;
    pod(stage, "openwebui").await?;
    Ok(Before {
        claim,
        cache,
        secret,
        service,
        server,
    })
}

/// The pod of the older operator, once it runs.
async fn pod(stage: &Stage, component: &str) -> Result<Value> {
    let labels = format!("llm-deployment=old,app={component},!app.kubernetes.io/name");
    let check = async || Ok(stage.list("Pod", &labels).await?.pop().filter(runs));
    stage
        .namespace
        .until(&format!("the old pod of {component}"), LIMIT, check)
        .await
}

pub async fn a_stack_of_the_older_operator_is_taken_over() -> Result<()> {
    let alone = operator::alone("older-left").await?;
    let busybox = images::busybox()?;
    alone.load(busybox.archive.to_str().context("not UTF-8")?).await?;
    alone
        .helm(
            Helm::V4,
            &["uninstall", operator::RELEASE, "-n", operator::NAMESPACE, "--wait"],
        )
        .await?;
    let stage = Stage::on(&alone, "older-left").await?;
    // Its pods hold to no standard.
    let level = "pod-security.kubernetes.io/enforce=baseline";
    alone
        .kubectl(&["label", "namespace", stage.namespace.name(), "--overwrite", level])
        .await?;
    let before = build(&stage).await?;
    // So slow that what the older operator made must serve meanwhile.
    stage.registry.wire().limit(1 << 10);

    alone.install().await?;
    let child = stage.child("old", "tiny").await?;
    stage
        .until("is being pulled", "OllamaModel", &child, |m| {
            m["status"]["state"] == "pulling"
        })
        .await?;
    let still = stage.get("Pod", name(&before.server)).await?;
    ensure!(
        still["metadata"]["deletionTimestamp"].is_null(),
        "it serves until the new server is Ready: {still}"
    );
    let pointed = stage.get("Service", "old-ollama").await?;
    assert_eq!(
        pointed["spec"]["selector"],
        Older::labels("ollama"),
        "and is found meanwhile"
    );
    stage.registry.wire().limit(0);

    stage.gone("Pod", name(&before.server)).await?;
    let new = stage.get("Deployment", "old-ollama").await?;
    assert_eq!(
        new["status"]["readyReplicas"], 1,
        "the old pod went after the new one was Ready"
    );
    let taken = |s: &Value| s["spec"]["selector"]["app.kubernetes.io/instance"] == "old";
    let after = stage.until("is ours", "Service", "old-ollama", taken).await?;
    taken_over(&before.service, &after)?;
    assert!(!stage.ask("old", &stage.model("tiny")).await?.is_empty());

    let of_web = |d: &Value| d["spec"]["selector"]["matchLabels"]["app.kubernetes.io/instance"] == "old";
    stage.until("is ours", "Deployment", "old-openwebui", of_web).await?;
    assert_eq!(
        stage
            .list("ReplicaSet", "llm-deployment=old,!app.kubernetes.io/name")
            .await?,
        [Value::Null; 0]
    );
    kept(&stage, &before).await?;

    stage.delete("LMDeployment", "old").await?;
    stage.gone("LMDeployment", "old").await?;
    stage.gone("Service", "old-ollama").await?;
    kept(&stage, &before).await
}

fn runs(pod: &Value) -> bool {
    pod["status"]["phase"] == "Running"
}

/// The Service is the same one, reached at the same address, and holds nothing that only the older operator wrote.
fn taken_over(before: &Value, after: &Value) -> Result<()> {
    assert_eq!(uid(before), uid(after));
    assert_eq!(before["spec"]["clusterIP"], after["spec"]["clusterIP"]);
    let labels = json!({
        "app.kubernetes.io/name": "ollama", "app.kubernetes.io/instance": "old", "app.kubernetes.io/component": "ollama",
    });
    assert_eq!(
        after["spec"]["selector"], labels,
        "the old labels select nothing any more"
    );
    assert_eq!(after["spec"]["sessionAffinity"], "None", "what nobody asks for is gone");
    let managers = after["metadata"]["managedFields"]
        .as_array()
        .context("managed by nobody")?;
    ensure!(managers.iter().all(|m| m["manager"] != MANAGER), "{managers:?}");
    Ok(())
}

/// Data is where it was, and is found by both labels.
async fn kept(stage: &Stage, before: &Before) -> Result<()> {
    let Before {
        claim, cache, secret, ..
    } = before;
    for (kind, before) in [
        ("PersistentVolumeClaim", claim),
        ("PersistentVolumeClaim", cache),
        ("Secret", secret),
    ] {
        let after = stage.get(kind, name(before)).await?;
        assert_eq!(
            (uid(before), &before["data"]),
            (uid(&after), &after["data"]),
            "{kind} {}",
            name(before)
        );
        ensure!(
            after["metadata"]["deletionTimestamp"].is_null(),
            "{kind} {} goes",
            name(before)
        );
    }
    for label in ["llm-deployment=old", "ollama-deployment=old"] {
        let claims = stage.list("PersistentVolumeClaim", label).await?;
        ensure!(names(&claims).contains(&"old-openwebui-data"), "{label}: {claims:?}");
        let secrets = stage.list("Secret", label).await?;
        ensure!(
            names(&secrets).contains(&"old-openwebui-secret"),
            "{label}: {secrets:?}"
        );
    }
    Ok(())
}
