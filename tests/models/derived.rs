//! Models that are made from others on the server.

use super::live::stage::Stage;
use super::place::{OPERATOR, apply, call, failed, on_chat, ready, stack, tags};
use anyhow::{Result, ensure};
use cluster::test::until;
use serde_json::{Value, json};

pub async fn a_derived_model_is_made_and_made_again() -> Result<()> {
    let _turn = OPERATOR.read().await;
    let stage = Stage::shared("derived").await?;
    stage.stack("chat", &stack(&[])).await?;
    stage.ready("chat").await?;
    let pods = stage.pods("chat", "ollama").await?;
    let mut spec = on_chat(&stage, "tiny");
    spec["name"] = json!("small");
    spec["from"] = json!(stage.model("tiny"));
    spec["system"] = json!("You are small.");
    spec["parameters"] = json!({"num_ctx": 256, "temperature": 0.5, "stop": ["a", "b"]});
    spec["keepAlive"] = json!(-1);
    apply(&stage, "small", &spec).await?;
    let first = ready(&stage, "small").await?;
    let system = async |text: &str| {
        let body = call(&stage, &pods[0], "POST", "/api/show", &json!({"model": "small"}))
            .await?
            .1;
        let shown: Value = serde_json::from_str(&body)?;
        Ok::<_, anyhow::Error>((shown["system"] == text).then_some(shown))
    };
    let shown = until("it says what it was made of", super::live::LIMIT, || {
        system("You are small.")
    })
    .await?;
    ensure!(
        shown["parameters"].as_str().unwrap_or_default().contains("num_ctx"),
        "{shown}"
    );
    let loaded = async || {
        let body = call(&stage, &pods[0], "GET", "/api/ps", &json!({})).await?.1;
        Ok(body.contains("\"small:latest\"").then_some(()))
    };
    until("it is loaded", super::live::LIMIT, loaded).await?;

    spec["system"] = json!("You are large.");
    apply(&stage, "small", &spec).await?;
    until("it was made again", super::live::LIMIT, || system("You are large.")).await?;
    let second = stage
        .until("tells the new digest", "OllamaModel", "small", |m| {
            m["status"]["state"] == "ready" && m["status"]["digest"] != first["status"]["digest"]
        })
        .await?;
    println!(
        "derived model: {} then {}",
        first["status"]["digest"], second["status"]["digest"]
    );

    // A second name is a copy.
    let mut alias = on_chat(&stage, "tiny");
    alias["name"] = json!("alias");
    alias["from"] = json!(stage.model("tiny"));
    apply(&stage, "alias", &alias).await?;
    ready(&stage, "alias").await?;
    let there = tags(&stage, &pods[0]).await?;
    assert_eq!(there["alias:latest"], there[&format!("{}:latest", stage.model("tiny"))]);

    let mut bad = spec.clone();
    bad["name"] = json!("bad");
    bad["template"] = json!("{{ .Prompt");
    apply(&stage, "bad", &bad).await?;
    let model = failed(&stage, "bad", "CreateFailed").await?;
    ensure!(
        model["status"]["error"]
            .as_str()
            .unwrap_or_default()
            .contains("template error"),
        "{model}"
    );

    for name in ["bad", "small", "alias"] {
        stage.delete("OllamaModel", name).await?;
        stage.gone("OllamaModel", name).await?;
    }
    let left = async || Ok(tags(&stage, &pods[0]).await?.is_empty().then_some(()));
    until(
        "all are gone, with the base that only they needed",
        super::live::LIMIT,
        left,
    )
    .await
}
