//! Pulls that are interrupted, by whatever end: each goes on, and the figures say how many bytes that cost.

use super::live::inside::{cgroup, signal};
use super::live::objects::{condition, name, restarts};
use super::live::stage::Stage;
use super::live::volume;
use super::place::{self, OPERATOR, add, figures, mib, moving, parts, ready, stack};
use anyhow::{Context, Result, ensure};
use cluster::faults::{Effect, Rule};
use cluster::test::until;
use serde_json::{Value, json};

/// MiB of the models here: large enough to be interrupted.
const SIZE: usize = 24;
/// What pipes between registry and server may hold: handed out, and lost with the connection.
const PIPES: u64 = 1 << 20;

/// A stack that is slowly pulling a model, and the name of its object.
async fn pulling(test: &str, seed: u64) -> Result<(Stage, String, Value)> {
    let stage = Stage::shared(test).await?;
    add(&stage, "large", seed, SIZE)?;
    stage.registry.wire().limit(1 << 20);
    stage.stack("chat", &stack(&[stage.item("large")])).await?;
    let child = stage.child("chat", "large").await?;
    moving(&stage, &child).await?;
    let pods = stage.pods("chat", "ollama").await?;
    Ok((stage, child, pods.into_iter().next().context("no pod")?))
}

/// The model arrives, fast from now on, and answers.
async fn went_on(stage: &Stage, child: &str) -> Result<()> {
    stage.registry.wire().limit(0);
    ready(stage, child).await?;
    stage.ready("chat").await?;
    ensure!(!stage.ask("chat", &stage.model("large")).await?.is_empty(), "no answer");
    Ok(())
}

/// Nothing but what was in the pipes was handed out twice.
fn no_byte_twice(test: &str, stage: &Stage) -> Result<()> {
    figures(test, mib(SIZE as u64), stage);
    let parts = parts(stage);
    ensure!(parts.len() > 1, "it was not interrupted: {parts:?}");
    let gaps = parts
        .windows(2)
        .all(|two| two[1].first >= two[0].first && two[1].first <= two[0].first + two[0].sent);
    ensure!(
        gaps && parts[parts.len() - 1].first > 0,
        "each part goes on where the one before ended: {parts:?}"
    );
    let lost: u64 = parts
        .windows(2)
        .map(|two| (two[0].first + two[0].sent).saturating_sub(two[1].first))
        .sum();
    println!("{test}: {lost} bytes were in the pipes and lost with the connection");
    ensure!(
        lost <= PIPES * (parts.len() as u64 - 1),
        "{lost} bytes were fetched twice: {parts:?}"
    );
    Ok(())
}

pub async fn a_pull_goes_on_after_the_operator_was_killed() -> Result<()> {
    let _alone = OPERATOR.write().await;
    let (stage, child, _) = pulling("operator-killed", 31).await?;
    let pod = place::leader(&stage).await?;
    signal(
        stage.cluster(),
        &format!("--pod-name={pod}"),
        "llm-operator run",
        "KILL",
    )
    .await?;
    went_on(&stage, &child).await?;
    no_byte_twice("operator killed with SIGKILL", &stage)
}

/// A pod that is to go is no server any more: the pull is ended while its server still drains, and so keeps what it has.
/// (Stopped in the middle of a pull, Ollama itself loses its note of that now and then.)
pub async fn a_pull_goes_on_after_ollama_was_stopped() -> Result<()> {
    let _turn = OPERATOR.read().await;
    let stage = Stage::shared("ollama-stopped").await?;
    add(&stage, "large", 32, SIZE)?;
    stage.registry.wire().limit(1 << 20);
    let persistence = json!({"enabled": true, "size": "1Gi"});
    let models = [stage.item("large")];
    let spec = json!({"ollama": {"drainSeconds": 2, "persistence": persistence, "models": models}});
    stage.stack("chat", &spec).await?;
    let child = stage.child("chat", "large").await?;
    moving(&stage, &child).await?;
    stage.delete("Pod", "chat-ollama-0").await?;
    let again = async || Ok((parts(&stage).len() > 1).then_some(()));
    until("the next server goes on", super::live::LIMIT, again).await?;
    went_on(&stage, &child).await?;
    no_byte_twice("pod deleted, Ollama stopped with SIGTERM", &stage)
}

pub async fn a_pull_goes_on_after_ollama_was_killed() -> Result<()> {
    let _turn = OPERATOR.read().await;
    let (stage, child, pod) = pulling("ollama-killed", 33).await?;
    signal(stage.cluster(), &cgroup(&pod), "ollama serve", "KILL").await?;
    went_on(&stage, &child).await?;
    figures("Ollama killed with SIGKILL", mib(SIZE as u64), &stage);
    let sent: u64 = parts(&stage).iter().map(|p| p.sent).sum();
    ensure!(
        sent <= 2 * mib(SIZE as u64 + 1),
        "at most the open parts again: {sent} bytes"
    );
    Ok(())
}

pub async fn a_frozen_registry_is_left_and_taken_up_again() -> Result<()> {
    let _turn = OPERATOR.read().await;
    let (stage, child, _) = pulling("frozen", 34).await?;
    let wire = stage.registry.wire();
    // What runs stands still, and what comes now waits for ever.
    wire.inject(Rule::any("/v2/", Effect::Hang));
    wire.cut();
    let model = place::failed(&stage, &child, "PullStalled").await?;
    assert_eq!(condition(&model, "Stalled").0, "False", "it is tried again by itself");
    wire.replace(vec![]);
    wire.cut();
    went_on(&stage, &child).await?;
    no_byte_twice("registry frozen", &stage)
}

pub async fn a_registry_that_stops_in_mid_blob_is_taken_up_again() -> Result<()> {
    let _turn = OPERATOR.read().await;
    let stage = Stage::shared("mid-blob").await?;
    add(&stage, "large", 35, SIZE)?;
    let wire = stage.registry.wire();
    wire.inject(Rule::on("GET", "/blobs/", Effect::Truncate { after: 5_000_000 }).times(4));
    stage.stack("chat", &stack(&[stage.item("large")])).await?;
    let child = stage.child("chat", "large").await?;
    went_on(&stage, &child).await?;
    no_byte_twice("registry stopped in mid-blob", &stage)
}

pub async fn a_full_volume_holds_back_only_what_does_not_fit() -> Result<()> {
    let _turn = OPERATOR.read().await;
    let stage = Stage::shared("full").await?;
    add(&stage, "large", 36, 40)?;
    volume::claim(&stage, "small", Some(30)).await?;
    let persistence = json!({"enabled": true, "existingClaim": "small", "size": "1Gi"});
    let models = [stage.item("large")];
    let spec = json!({"ollama": {"drainSeconds": 0, "persistence": persistence, "models": models}});
    stage.stack("chat", &spec).await?;
    let child = stage.child("chat", "large").await?;
    let model = place::failed(&stage, &child, "DiskFull").await?;
    let error = model["status"]["error"].as_str().unwrap_or_default();
    ensure!(error.contains("no space left on device"), "Ollama's own words: {error}");
    let stack = stage.told("chat", "Degraded", "True", "DiskFull").await?;
    assert_eq!(condition(&stack, "ModelsReady"), ("False", "DiskFull"));
    // A model that fits comes in all the same: the partial file of the other makes room.
    place::apply(&stage, "fits", &place::on_chat(&stage, "tiny")).await?;
    ready(&stage, "fits").await?;
    let pods = stage.pods("chat", "ollama").await?;
    assert_eq!(restarts(&pods[0]), 0, "{} was restarted", name(&pods[0]));
    figures("volume of 30 MiB, models of 40 and 0.25 MiB", mib(40), &stage);
    Ok(())
}

pub async fn registries_that_fail_are_told_apart() -> Result<()> {
    let _turn = OPERATOR.read().await;
    let stage = Stage::shared("registries").await?;
    stage.stack("chat", &stack(&[])).await?;
    stage.ready("chat").await?;
    // Nobody listens there.
    let mut nobody = place::on_chat(&stage, "tiny");
    nobody["name"] = json!(format!("{}:19/library/tiny", cluster::network::NODE_IP));
    place::apply(&stage, "nobody", &nobody).await?;
    let model = place::failed(&stage, "nobody", "RegistryError").await?;
    let error = model["status"]["error"].as_str().unwrap_or_default();
    ensure!(
        error.contains("connection refused") && !error.contains(":19"),
        "without its port: {error}"
    );
    assert_eq!(condition(&model, "Stalled").0, "False", "it is tried again");
    // One that is out of order for a moment, and one whose bytes are damaged on their way.
    let wire = stage.registry.wire();
    wire.inject(Rule::on("GET", "/manifests/", cluster::faults::Answer::new(503, "out of order")).times(1));
    place::apply(&stage, "out-of-order", &place::on_chat(&stage, "tiny")).await?;
    let model = place::failed(&stage, "out-of-order", "RegistryError").await?;
    ensure!(
        model["status"]["error"].as_str().unwrap_or_default().contains("503"),
        "{model}"
    );
    ready(&stage, "out-of-order").await?;
    add(&stage, "damaged", 37, 2)?;
    wire.inject(Rule::on("GET", "/blobs/", Effect::Corrupt { at: 1 << 20 }).times(2));
    place::apply(&stage, "damaged", &place::on_chat(&stage, "damaged")).await?;
    let model = place::failed(&stage, "damaged", "DamagedDownload").await?;
    ensure!(
        model["status"]["error"]
            .as_str()
            .unwrap_or_default()
            .contains("digest mismatch"),
        "{model}"
    );
    ready(&stage, "damaged").await?;
    Ok(())
}
