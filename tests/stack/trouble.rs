//! What cannot run says which pod, why, and what to do, and heals by itself once that is done.

use super::live::LIMIT;
use super::live::objects::{condition, is_observed, message};
use super::live::stage::Stage;
use anyhow::{Result, ensure};
use serde_json::{Value, json};

/// A stack that is Ready as soon as its server answers, with these fields of Ollama.
pub fn spec(more: &Value) -> Value {
    let small = json!({"requests": {"cpu": "10m", "memory": "64Mi"}});
    let mut ollama = json!({"drainSeconds": 0, "models": [], "resources": small});
    llm_operator::base::object::merge(&mut ollama, more.clone());
    json!({"ollama": ollama})
}

/// Returns once `Ready` has the reason and all of the words; `Degraded` says the same.
pub async fn told(stage: &Stage, reason: &str, words: &[&str]) -> Result<()> {
    let is = |stack: &Value| {
        let said = message(stack, "Ready");
        is_observed(stack) && condition(stack, "Ready") == ("False", reason) && words.iter().all(|w| said.contains(w))
    };
    let what = format!("is {reason} with the words {words:?}");
    let stack = stage.until(&what, "LMDeployment", "chat", is).await?;
    println!("{reason}: {}", message(&stack, "Ready"));
    assert_eq!(condition(&stack, "Degraded"), ("True", reason));
    Ok(())
}

/// What is said stays the same while its cause does: nothing is written.
async fn stays(stage: &Stage) -> Result<()> {
    let version = |stack: &Value| stack["metadata"]["resourceVersion"].clone();
    let before = stage.get("LMDeployment", "chat").await?;
    tokio::time::sleep(std::time::Duration::from_secs(12)).await;
    let after = stage.get("LMDeployment", "chat").await?;
    ensure!(
        version(&before) == version(&after),
        "{} became {}",
        before["status"],
        after["status"]
    );
    Ok(())
}

pub async fn pods_that_cannot_run_are_told_of() -> Result<()> {
    let stage = Stage::shared("cannot-run").await?;
    let cases = [
        (
            json!({"image": "localhost:1/nothing:here", "imagePullPolicy": "IfNotPresent"}),
            "ImagePullFailed",
            vec![
                "Pod chat-ollama-",
                "image localhost:1/nothing:here cannot be pulled: ",
                "registry",
            ],
        ),
        (
            json!({"image": "localhost:1/nothing:here", "imagePullSecrets": [{"name": "regcred"}]}),
            "ImagePullFailed",
            vec!["a Secret of spec.ollama.imagePullSecrets does not exist: make it"],
        ),
        (
            json!({"image": "localhost/nothing:here", "imagePullPolicy": "Never"}),
            "ImagePullFailed",
            vec!["the node has not got the image", "spec.ollama.imagePullPolicy"],
        ),
        (
            json!({"initContainers": [{
                "name": "first", "image": cluster::images::OLLAMA, "imagePullPolicy": "Never",
                "command": ["/bin/sh", "-c", "echo starting; echo 'fatal: no such thing' >&2; exit 3"],
            }]}),
            "ContainerCrashed",
            vec!["container first ended with exit code 3: fatal: no such thing; kubectl logs chat-ollama-"],
        ),
        (
            json!({"resources": {"requests": {"memory": "12Mi"}, "limits": {"memory": "12Mi"}}}),
            "OutOfMemory",
            vec![
                "container ollama was killed at its limit of 12Mi of memory",
                "spec.ollama.resources.limits.memory",
            ],
        ),
        (
            json!({"resources": {"requests": {"memory": "900Gi"}}}),
            "Unschedulable",
            vec![
                "no node takes it",
                "Insufficient memory",
                "lower spec.ollama.resources.requests",
            ],
        ),
        (
            json!({"nodeSelector": {"disk": "fast"}}),
            "Unschedulable",
            vec!["correct spec.ollama.nodeSelector"],
        ),
        (
            json!({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "a"}}}]}),
            "PodWaiting",
            vec!["CreateContainerConfigError: secret \"keys\" not found; make it, or correct spec.ollama.env"],
        ),
        (
            json!({"volumes": [{"name": "x", "secret": {"secretName": "gone"}}], "volumeMounts": [{"name": "x", "mountPath": "/x"}]}),
            "PodWaiting",
            vec![
                "FailedMount",
                "secret \"gone\" not found; make it, or correct spec.ollama.volumes",
            ],
        ),
        (
            json!({"persistence": {"enabled": true, "existingClaim": "mine"}}),
            "Unschedulable",
            vec![
                "persistentvolumeclaim \"mine\" not found; make that claim, or correct spec.ollama.persistence.existingClaim",
            ],
        ),
    ];
    for (fields, reason, words) in cases {
        stage.stack("chat", &spec(&fields)).await?;
        told(&stage, reason, &words).await?;
        if reason == "ContainerCrashed" {
            stays(&stage).await?;
        }
        // What follows is another start, not a change of one that cannot go on.
        stage.delete("LMDeployment", "chat").await?;
        stage.gone("LMDeployment", "chat").await?;
    }
    stage
        .stack("chat", &spec(&json!({"nodeSelector": {"disk": "fast"}})))
        .await?;
    told(&stage, "Unschedulable", &[]).await?;
    stage.stack("chat", &spec(&json!({}))).await?;
    let stack = stage.ready("chat").await?;
    assert_eq!(condition(&stack, "Degraded").0, "False");
    Ok(())
}

pub async fn claims_that_are_not_bound_are_told_of() -> Result<()> {
    let stage = Stage::shared("not-bound").await?;
    let cases = [
        (
            json!({"enabled": true, "size": "1Gi", "storageClass": "nowhere"}),
            vec![
                "Pod chat-ollama-0: PersistentVolumeClaim data-chat-ollama-0 is not bound: ",
                "\"nowhere\" not found; make that StorageClass, or delete the claim and name another in \
                 spec.ollama.persistence.storageClass",
            ],
        ),
        (
            // No class at all: volumes that an administrator makes, and there is none of that size.
            json!({"enabled": true, "size": "900Gi", "storageClass": ""}),
            vec![
                "PersistentVolumeClaim data-chat-ollama-0 is not bound: no persistent volumes available for this claim",
                "name one in spec.ollama.persistence.storageClass, or make a PersistentVolume of that size",
            ],
        ),
    ];
    for (persistence, words) in cases {
        stage.stack("chat", &spec(&json!({"persistence": persistence}))).await?;
        told(&stage, "ClaimPending", &words).await?;
        stage.delete("LMDeployment", "chat").await?;
        stage.gone("StatefulSet", "chat-ollama").await?;
        stage.delete("PersistentVolumeClaim", "data-chat-ollama-0").await?;
        stage.gone("PersistentVolumeClaim", "data-chat-ollama-0").await?;
    }
    // A volume that is made where the pod goes, and no node that may take it.
    let nowhere = json!({"persistence": {"enabled": true, "size": "1Gi"}, "nodeSelector": {"disk": "fast"}});
    stage.stack("chat", &spec(&nowhere)).await?;
    told(
        &stage,
        "Unschedulable",
        &["Pod chat-ollama-0", "spec.ollama.nodeSelector"],
    )
    .await?;
    stage
        .stack("chat", &spec(&json!({"persistence": {"enabled": true, "size": "1Gi"}})))
        .await?;
    stage.ready("chat").await?;
    Ok(())
}

pub async fn pods_that_are_refused_are_told_of() -> Result<()> {
    let stage = Stage::shared("refused").await?;
    let quota = "{apiVersion: v1, kind: ResourceQuota, metadata: {name: none}, spec: {hard: {pods: 0}}}";
    for (persistence, what) in [
        (
            json!({"enabled": false}),
            "a pod of Deployment chat-ollama is refused: ",
        ),
        (
            json!({"enabled": true, "size": "1Gi"}),
            "a pod of StatefulSet chat-ollama is refused: ",
        ),
    ] {
        stage.namespace.apply(quota).await?;
        let counted = async || {
            let used = stage
                .namespace
                .kubectl(&["get", "quota", "none", "-o", "jsonpath={.status.hard}"])
                .await?;
            Ok(used.contains("pods").then_some(()))
        };
        stage.namespace.until("the quota counts", LIMIT, counted).await?;
        stage.stack("chat", &spec(&json!({"persistence": persistence}))).await?;
        let words = [what, "exceeded quota: none", "have the ResourceQuota raised"];
        told(&stage, "Refused", &words).await?;
        stage.namespace.kubectl(&["delete", "quota", "none"]).await?;
        stage.delete("LMDeployment", "chat").await?;
        stage.gone("LMDeployment", "chat").await?;
    }
    let range = "{apiVersion: v1, kind: LimitRange, metadata: {name: small}, spec: {limits: [{type: Container, max: {memory: 32Mi}}]}}";
    stage.namespace.apply(range).await?;
    stage
        .stack("chat", &spec(&json!({"resources": {"limits": {"memory": "1Gi"}}})))
        .await?;
    let words = [
        "maximum memory usage per Container is 32Mi",
        "keep spec.ollama.resources within the LimitRange",
    ];
    told(&stage, "Refused", &words).await?;
    stage.namespace.kubectl(&["delete", "limitrange", "small"]).await?;
    stage.delete("LMDeployment", "chat").await?;
    stage.gone("LMDeployment", "chat").await?;

    let root = json!({"podSecurityContext": {"runAsNonRoot": false, "runAsUser": 0}});
    stage.stack("chat", &spec(&root)).await?;
    let words = [
        "violates PodSecurity",
        "runAsNonRoot",
        "take what it lists out of spec.ollama",
    ];
    told(&stage, "Refused", &words).await?;
    stage.stack("chat", &spec(&json!({}))).await?;
    stage.ready("chat").await?;
    Ok(())
}
