//! Models on claims: kept when a pod goes, and when the stack moves between Deployment and StatefulSet.

use super::live::LIMIT;
use super::live::objects::{condition, message, name, names, uid};
use super::live::stage::Stage;
use anyhow::{Result, ensure};
use serde_json::{Value, json};

fn persistent() -> Value {
    json!({"enabled": true, "size": "1Gi"})
}

pub async fn claims_keep_the_models() -> Result<()> {
    let stage = Stage::shared("claims").await?;
    let ollama = json!({"replicas": 2, "drainSeconds": 0, "persistence": persistent(), "models": [stage.item("tiny")]});
    stage.stack("chat", &json!({"ollama": ollama})).await?;
    let stack = stage.ready("chat").await?;
    assert_eq!(stack["status"]["models"][0]["readyOn"], "2/2");
    assert_eq!(
        names(&stage.list("StatefulSet", "llm-deployment=chat").await?),
        ["chat-ollama"]
    );
    let claims = stage.list("PersistentVolumeClaim", "llm-deployment=chat").await?;
    assert_eq!(names(&claims), ["data-chat-ollama-0", "data-chat-ollama-1"]);

    stage.registry.wire().forget();
    let before = stage.get("Pod", "chat-ollama-0").await?;
    stage.delete("Pod", "chat-ollama-0").await?;
    let ready = |pod: &Value| {
        let all = pod["status"]["conditions"].as_array();
        let ready = all
            .into_iter()
            .flatten()
            .any(|c| c["type"] == "Ready" && c["status"] == "True");
        uid(pod) != uid(&before) && ready
    };
    stage.until("is Ready again", "Pod", "chat-ollama-0", ready).await?;
    stage.ready("chat").await?;
    assert!(!stage.ask("chat", &stage.model("tiny")).await?.is_empty());
    let asked: Vec<String> = stage.registry.wire().requests().into_iter().map(|r| r.path).collect();
    assert!(asked.is_empty(), "the registry is not needed again: {asked:?}");
    Ok(())
}

pub async fn persistence_can_be_switched_on_and_off() -> Result<()> {
    let stage = Stage::shared("switch").await?;
    let spec = |persistence: &Value| {
        // Small, so that there is room for both servers whatever else runs: otherwise the old one goes first.
        let small = json!({"requests": {"cpu": "10m", "memory": "64Mi"}});
        let models = [stage.item("tiny")];
        json!({"ollama": {"drainSeconds": 0, "resources": small, "persistence": persistence, "models": models}})
    };
    let off = json!({"enabled": false});
    stage.stack("chat", &spec(&off)).await?;
    stage.ready("chat").await?;

    // The registry is so slow that the new server cannot be Ready before it is let go.
    stage.registry.wire().limit(1 << 10);
    stage.stack("chat", &spec(&persistent())).await?;
    let child = stage.child("chat", "tiny").await?;
    let pulling = |m: &Value| {
        m["status"]["replicas"]
            .as_array()
            .is_some_and(|r| r.iter().any(|r| r["state"] == "pulling"))
    };
    stage
        .until("is pulled to the new server", "OllamaModel", &child, pulling)
        .await?;
    let old = stage.get("Deployment", "chat-ollama").await?;
    assert_eq!(
        old["status"]["readyReplicas"], 1,
        "the old server serves until the new one does"
    );
    assert!(!stage.ask("chat", &stage.model("tiny")).await?.is_empty());
    stage.registry.wire().limit(0);
    stage.gone("Deployment", "chat-ollama").await?;
    let new = stage.get("StatefulSet", "chat-ollama").await?;
    assert_eq!(new["status"]["readyReplicas"], 1);
    stage.ready("chat").await?;
    assert!(!stage.ask("chat", &stage.model("tiny")).await?.is_empty());

    stage.stack("chat", &spec(&off)).await?;
    stage.gone("StatefulSet", "chat-ollama").await?;
    let new = stage.get("Deployment", "chat-ollama").await?;
    assert_eq!(new["status"]["readyReplicas"], 1);
    stage.ready("chat").await?;
    assert!(!stage.ask("chat", &stage.model("tiny")).await?.is_empty());
    let claim = stage.get("PersistentVolumeClaim", "data-chat-ollama-0").await?;
    assert!(
        claim["metadata"]["deletionTimestamp"].is_null(),
        "{} is kept",
        name(&claim)
    );

    // The models are found on the claim, without the registry.
    stage.registry.wire().forget();
    stage.stack("chat", &spec(&persistent())).await?;
    stage.gone("Deployment", "chat-ollama").await?;
    stage.ready("chat").await?;
    assert_eq!(stage.registry.wire().count("GET", "/blobs/"), 0);
    Ok(())
}

/// What a claim asks for.
async fn size(stage: &Stage, claim: &str) -> Result<String> {
    let claim = stage.get("PersistentVolumeClaim", claim).await?;
    Ok(claim["spec"]["resources"]["requests"]["storage"]
        .as_str()
        .unwrap_or_default()
        .to_string())
}

/// The node has no resizer, so what a claim has stays what it was made with; that it asks for more is what is seen here.
pub async fn claims_grow_where_their_class_lets_them() -> Result<()> {
    let stage = Stage::shared("grow").await?;
    let class = format!("grows-{}", stage.namespace.name());
    let object = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": class},
        "provisioner": "rancher.io/local-path", "volumeBindingMode": "WaitForFirstConsumer", "reclaimPolicy": "Delete",
        "allowVolumeExpansion": true,
    });
    stage.namespace.apply(&object.to_string()).await?;
    let result = grow(&stage, &class).await;
    stage.namespace.kubectl(&["delete", "storageclass", &class]).await?;
    result
}

async fn grow(stage: &Stage, class: &str) -> Result<()> {
    let small = json!({"requests": {"cpu": "10m", "memory": "64Mi"}});
    let spec = |size: &str, class: &str| {
        let claim = json!({"enabled": true, "size": size, "storageClass": class});
        let models = [stage.item("tiny"), stage.item("embed")];
        let embed = stage.model("embed");
        json!({
            "ollama": {"replicas": 2, "drainSeconds": 0, "models": models, "persistence": claim, "resources": small},
            "tabby": {"enabled": true, "embeddingModel": embed, "persistence": claim, "resources": small},
        })
    };
    let claims = ["data-chat-ollama-0", "data-chat-ollama-1", "chat-tabby-data"];
    stage.stack("chat", &spec("1Gi", class)).await?;
    stage.ready("chat").await?;
    let pods = async || {
        let mut uids = vec![];
        for part in ["ollama", "tabby"] {
            uids.extend(stage.pods("chat", part).await?.iter().map(|p| uid(p).to_string()));
        }
        uids.sort();
        anyhow::Ok(uids)
    };
    let before = pods().await?;
    stage.stack("chat", &spec("2Gi", class)).await?;
    let grown = async || {
        for claim in claims {
            if size(stage, claim).await? != "2Gi" {
                return Ok(None);
            }
        }
        Ok(Some(()))
    };
    stage.namespace.until("each claim asks for more", LIMIT, grown).await?;
    stage.ready("chat").await?;
    assert_eq!(pods().await?, before, "nobody is restarted for it");
    let said = stage
        .stack("chat", &spec("1Gi", class))
        .await
        .err()
        .map(|e| format!("{e:#}"))
        .unwrap_or_default();
    ensure!(said.contains("claims cannot shrink"), "{said}");

    // The same where the class lets no claim grow: the claims stay as they are, and it is said.
    stage.stack("fixed", &spec("1Gi", "local-path")).await?;
    stage.ready("fixed").await?;
    stage.stack("fixed", &spec("2Gi", "local-path")).await?;
    let stack = stage.told("fixed", "Stalled", "True", "Refused").await?;
    let told = message(&stack, "Ready");
    for words in [
        "PersistentVolumeClaim data-fixed-ollama-0 was refused",
        "PersistentVolumeClaim fixed-tabby-data",
        "allowVolumeExpansion",
    ] {
        ensure!(told.contains(words), "{words} is not in: {told}");
    }
    assert_eq!(condition(&stack, "Ready"), ("False", "Refused"));
    assert_eq!(size(stage, "fixed-tabby-data").await?, "1Gi");
    assert_eq!(stack["status"]["ready"], "3/3", "it serves on");
    Ok(())
}
