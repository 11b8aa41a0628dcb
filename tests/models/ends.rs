//! Objects that go: what they began ends with them, and nothing holds them for ever.

use super::fake::{Fake, Ways};
use super::live::stage::Stage;
use super::place::{OPERATOR, SOON, add, apply, event, moving, on_chat, parts, ready, stack, tags};
use anyhow::{Result, ensure};
use cluster::test::until;
use serde_json::json;
use std::time::Instant;

pub async fn a_deletion_ends_a_running_pull() -> Result<()> {
    let _turn = OPERATOR.read().await;
    let stage = Stage::shared("cancel").await?;
    add(&stage, "large", 61, 24)?;
    stage.stack("chat", &stack(&[])).await?;
    stage.ready("chat").await?;
    // One that goes before anybody has looked at it leaves nothing behind.
    apply(&stage, "brief", &on_chat(&stage, "tiny")).await?;
    stage.delete("OllamaModel", "brief").await?;
    stage.gone("OllamaModel", "brief").await?;

    stage.registry.wire().limit(2 << 20);
    apply(&stage, "large", &on_chat(&stage, "large")).await?;
    moving(&stage, "large").await?;
    let begun = Instant::now();
    stage.delete("OllamaModel", "large").await?;
    stage.gone("OllamaModel", "large").await?;
    println!(
        "an object was deleted in the middle of its pull and gone after {:?}",
        begun.elapsed()
    );
    ensure!(begun.elapsed() < SOON, "it waited for the pull: {:?}", begun.elapsed());
    // Nothing more comes: the bytes stand still although the registry would go on.
    let sent = parts(&stage).iter().map(|p| p.sent).sum::<u64>();
    stage.registry.wire().limit(0);
    apply(&stage, "tiny", &on_chat(&stage, "tiny")).await?;
    ready(&stage, "tiny").await?;
    let after = parts(&stage).iter().map(|p| p.sent).sum::<u64>();
    ensure!(after < sent + (2 << 20), "the pull went on: {sent}, then {after} bytes");
    let pods = stage.pods("chat", "ollama").await?;
    let left = tags(&stage, &pods[0]).await?;
    assert_eq!(
        left.into_keys().collect::<Vec<_>>(),
        [format!("{}:latest", stage.model("tiny"))]
    );
    Ok(())
}

pub async fn a_server_that_is_gone_holds_no_deletion_for_ever() -> Result<()> {
    let _turn = OPERATOR.read().await;
    let stage = Stage::shared("unreachable").await?;
    let fake = Fake::start(&stage, "quiet", Ways::default()).await?;
    let spec = json!({"name": "held", "target": {"service": {"name": "quiet"}}});
    apply(&stage, "held", &spec).await?;
    ready(&stage, "held").await?;
    drop(fake);
    stage.delete("OllamaModel", "held").await?;
    let begun = Instant::now();
    stage.gone("OllamaModel", "held").await?;
    let took = begun.elapsed();
    println!("a deletion was held for {took:?} by a server that is gone (the limit of the tests is 15 s)");
    let said = event(&stage, "Released").await?;
    ensure!(said.contains("cannot be reached"), "{said}");
    // With its target, an object goes at once.
    stage.stack("gone", &stack(&[stage.item("tiny")])).await?;
    stage.ready("gone").await?;
    stage.delete("LMDeployment", "gone").await?;
    let models = async || {
        Ok(stage
            .list("OllamaModel", "llm-deployment=gone")
            .await?
            .is_empty()
            .then_some(()))
    };
    until("the models of a stack go with it", SOON, models).await?;
    Ok(())
}
