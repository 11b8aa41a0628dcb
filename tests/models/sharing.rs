//! Objects that name one model, and servers that write to one volume.

use super::live::objects::message;
use super::live::stage::Stage;
use super::live::volume::claim;
use super::place::{OPERATOR, add, apply, call, failed, fetched, figures, mib, on_chat, ready, stack, tags};
use anyhow::{Result, ensure};
use cluster::test::until;
use serde_json::json;

pub async fn two_objects_share_one_pull_and_the_last_one_deletes() -> Result<()> {
    let _turn = OPERATOR.read().await;
    let stage = Stage::shared("shared").await?;
    add(&stage, "model", 51, 8)?;
    stage.stack("chat", &stack(&[])).await?;
    stage.ready("chat").await?;
    stage.registry.wire().limit(4 << 20);
    apply(&stage, "one", &on_chat(&stage, "model")).await?;
    // By the Service of the stack, and written otherwise: the same servers, the same model.
    let mut second = on_chat(&stage, "model");
    second["name"] = json!(format!("{}:latest", stage.model("Model")));
    second["target"] = json!({"service": {"name": "chat-ollama"}});
    apply(&stage, "two", &second).await?;
    ready(&stage, "one").await?;
    ready(&stage, "two").await?;
    figures("two objects, one pull", mib(8), &stage);
    ensure!(
        fetched(&stage) < mib(9),
        "it was pulled once: {} bytes",
        fetched(&stage)
    );
    // A third that defines it otherwise waits until the others are gone.
    let mut other = on_chat(&stage, "model");
    other["digest"] = json!("0".repeat(64));
    apply(&stage, "other", &other).await?;
    let model = failed(&stage, "other", "Conflict").await?;
    let said = message(&model, "Ready");
    // The first two were made in the same second.
    ensure!(
        said.contains("the older OllamaModel ") && said.contains("another digest"),
        "{said}"
    );

    let pods = stage.pods("chat", "ollama").await?;
    let holds = async || {
        Ok::<_, anyhow::Error>(
            tags(&stage, &pods[0])
                .await?
                .keys()
                .any(|name| name.contains("/library/")),
        )
    };
    stage.delete("OllamaModel", "other").await?;
    stage.gone("OllamaModel", "other").await?;
    stage.delete("OllamaModel", "one").await?;
    stage.gone("OllamaModel", "one").await?;
    ensure!(holds().await?, "the second object still needs it");
    stage.delete("OllamaModel", "two").await?;
    stage.gone("OllamaModel", "two").await?;
    let gone = async || Ok::<_, anyhow::Error>((!holds().await?).then_some(()));
    until("the model is gone with its last object", super::live::LIMIT, gone).await?;

    // One that is to stay stays.
    let mut kept = on_chat(&stage, "tiny");
    kept["deletionPolicy"] = json!("Retain");
    apply(&stage, "kept", &kept).await?;
    ready(&stage, "kept").await?;
    stage.delete("OllamaModel", "kept").await?;
    stage.gone("OllamaModel", "kept").await?;
    ensure!(holds().await?, "deletionPolicy is Retain");

    // A model taken off a stack's list gives the disk back.
    stage
        .stack("chat", &stack(&[stage.item("tiny"), stage.item("model")]))
        .await?;
    stage.ready("chat").await?;
    let child = stage.child("chat", "model").await?;
    stage.stack("chat", &stack(&[stage.item("tiny")])).await?;
    stage.gone("OllamaModel", &child).await?;
    let left = tags(&stage, &pods[0]).await?;
    assert_eq!(
        left.into_keys().collect::<Vec<_>>(),
        [format!("{}:latest", stage.model("tiny"))]
    );
    let used = call(&stage, &pods[0], "GET", "/api/tags", &json!({})).await?.1;
    ensure!(!used.contains("model:latest"), "{used}");
    Ok(())
}

pub async fn servers_of_one_volume_pull_once() -> Result<()> {
    let _turn = OPERATOR.read().await;
    let stage = Stage::shared("volume").await?;
    add(&stage, "model", 52, 8)?;
    claim(&stage, "models", None).await?;
    let persistence =
        json!({"enabled": true, "existingClaim": "models", "accessModes": ["ReadWriteMany"], "size": "1Gi"});
    let models = [stage.item("model"), stage.item("tiny")];
    let spec = json!({"ollama": {"replicas": 2, "drainSeconds": 0, "persistence": persistence, "models": models}});
    stage.stack("chat", &spec).await?;
    let stack = stage.ready("chat").await?;
    assert_eq!(stack["status"]["models"][0]["readyOn"], "2/2");
    figures("two servers on one volume", mib(8), &stage);
    ensure!(
        fetched(&stage) < mib(9),
        "it was pulled once for both: {} bytes",
        fetched(&stage)
    );
    Ok(())
}
