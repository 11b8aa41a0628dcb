//! Models come, go and fail without their neighbours noticing.

use super::live::LIMIT;
use super::live::objects::{condition, message};
use super::live::stage::Stage;
use anyhow::{Result, ensure};
use cluster::gguf::Model;
use futures::{StreamExt, TryStreamExt};
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub async fn a_model_joins_and_leaves_without_a_restart() -> Result<()> {
    let stage = Stage::shared("joins").await?;
    let spec = |models: &[&str]| {
        let items: Vec<Value> = models.iter().map(|m| stage.item(m)).collect();
        json!({"ollama": {"models": items}})
    };
    stage.stack("chat", &spec(&["tiny"])).await?;
    stage.ready("chat").await?;
    let pod = stage.pod("chat", "ollama").await?;
    let first = format!("{}:latest", stage.model("tiny"));
    assert_eq!(stage.gate("chat").await?, std::slice::from_ref(&first));

    stage
        .registry
        .registry()
        .add("library/second:latest", Model::llama().seed(2).pad_mib(4))?;
    stage.registry.wire().limit(64 << 10);
    stage.stack("chat", &spec(&["tiny", "second"])).await?;
    let child = stage.child("chat", "second").await?;
    stage
        .until("is being pulled", "OllamaModel", &child, |m| {
            m["status"]["state"] == "pulling"
        })
        .await?;
    assert_eq!(
        stage.gate("chat").await?,
        std::slice::from_ref(&first),
        "a model that is not there yet must not take a pod out"
    );
    assert!(
        !stage.ask("chat", &first).await?.is_empty(),
        "the others are served meanwhile"
    );
    let stack = stage.get("LMDeployment", "chat").await?;
    assert_eq!(
        (
            stack["status"]["ready"].as_str(),
            stack["status"]["modelsReady"].as_str()
        ),
        (Some("1/1"), Some("1/2"))
    );
    stage.registry.wire().limit(0);
    stage.ready("chat").await?;
    let second = format!("{}:latest", stage.model("second"));
    assert_eq!(stage.gate("chat").await?, [first.clone(), second.clone()]);
    assert!(!stage.ask("chat", &second).await?.is_empty());
    assert_eq!(
        stage.pod("chat", "ollama").await?,
        pod,
        "the same pod, without a restart"
    );

    let gone = stage.child("chat", "tiny").await?;
    stage.stack("chat", &spec(&["second"])).await?;
    stage.gone("OllamaModel", &gone).await?;
    let stack = stage.ready("chat").await?;
    assert_eq!(stack["status"]["modelsReady"], "1/1");
    assert_eq!(stage.gate("chat").await?, [second]);
    assert_eq!(
        stage.pod("chat", "ollama").await?,
        pod,
        "the same pod, without a restart"
    );
    Ok(())
}

pub async fn an_unknown_model_fails_alone() -> Result<()> {
    let stage = Stage::shared("unknown-model").await?;
    let spec = json!({"ollama": {"models": [stage.item("tiny"), stage.item("nothing")]}});
    stage.stack("chat", &spec).await?;
    let child = stage.child("chat", "nothing").await?;
    let model = stage
        .until("failed", "OllamaModel", &child, |m| m["status"]["state"] == "failed")
        .await?;
    assert_eq!(condition(&model, "Ready"), ("False", "UnknownModel"));
    assert_eq!(condition(&model, "Stalled"), ("True", "UnknownModel"));
    let error = model["status"]["error"].as_str().unwrap_or_default();
    assert!(!error.is_empty(), "{model}");
    let stack = stage.told("chat", "Degraded", "True", "UnknownModel").await?;
    assert!(
        message(&stack, "Degraded").contains(&child),
        "it says where to look: {}",
        message(&stack, "Degraded")
    );
    assert_eq!(condition(&stack, "ModelsReady"), ("False", "UnknownModel"));
    assert_eq!(condition(&stack, "Ready").0, "False");
    let stack = stage
        .until("serves the others", "LMDeployment", "chat", |s| {
            s["status"]["ready"] == "1/1"
        })
        .await?;
    assert_eq!(stack["status"]["modelsReady"], "1/2");
    assert!(!stage.ask("chat", &stage.model("tiny")).await?.is_empty());
    let events = stage
        .namespace
        .kubectl(&["get", "events", "--field-selector=type=Warning,reason=UnknownModel"])
        .await?;
    ensure!(events.contains("UnknownModel"), "a warning tells of it: {events}");
    Ok(())
}

pub async fn progress_counts_up_to_ready() -> Result<()> {
    let stage = Stage::shared("progress").await?;
    stage
        .registry
        .registry()
        .add("library/large:latest", Model::llama().seed(7).pad_mib(48))?;
    // Progress is written every 5 s at most: slow enough for several steps.
    stage.registry.wire().limit(2 << 20);
    stage
        .stack("chat", &json!({"ollama": {"models": [stage.item("large")]}}))
        .await?;
    let child = stage.child("chat", "large").await?;
    let one = watcher::Config::default().fields(&format!("metadata.name={child}"));
    let mut seen = Vec::new();
    let watching = async {
        let mut objects = watcher(stage.api("OllamaModel")?, one)
            .default_backoff()
            .applied_objects()
            .boxed();
        while let Some(model) = objects.try_next().await? {
            let status = json!(model)["status"].clone();
            if let Some(progress) = status["progress"].as_i64() {
                seen.push(progress);
                // Three steps are proof enough; the rest need not be slow.
                if seen.iter().collect::<BTreeSet<_>>().len() > 3 {
                    stage.registry.wire().limit(0);
                }
            }
            if status["state"] == "ready" {
                break;
            }
        }
        anyhow::Ok(())
    };
    if tokio::time::timeout(LIMIT, watching).await.is_err() {
        stage.namespace.dump();
        anyhow::bail!("the model is not ready within {LIMIT:?}; progress was {seen:?}");
    }
    assert!(seen.is_sorted(), "it never goes back: {seen:?}");
    let steps: Vec<i64> = seen.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    assert!(
        steps.len() > 3 && steps.iter().all(|p| p % 5 == 0),
        "steps of 5: {seen:?}"
    );
    assert_eq!(steps.last(), Some(&100));
    Ok(())
}
