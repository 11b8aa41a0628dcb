//! What happens when the operator is replaced: by another version, beside another version, by nothing for a while.

use super::live::LIMIT;
use super::live::inside;
use super::live::objects::name;
use super::live::operator::{self, NAMESPACE, RELEASE};
use super::live::predecessor;
use super::live::stage::Stage;
use super::scene::{Bound, DEPLOYMENT, Scene, lasting};
use anyhow::{Context, Result, ensure};
use cluster::Helm;
use cluster::test::until;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::sleep;

/// The rows of one Helm.
#[must_use]
pub fn rows(helm: Helm) -> [String; 4] {
    let rows = [
        "upgrade from an older version",
        "rollback to it",
        "two versions side by side",
        "uninstalled and installed again",
    ];
    rows.map(|row| format!("{row} ({helm})"))
}

pub async fn helm_3_changes_versions() -> Result<()> {
    change(Helm::V3).await
}

pub async fn helm_4_changes_versions() -> Result<()> {
    change(Helm::V4).await
}

/// A stack with a model lives through all of it, and its model is pulled once.
async fn change(helm: Helm) -> Result<()> {
    let scene = Scene::open().await?;
    let [upgrade, rollback, both, again] = rows(helm);
    uninstall(&scene, Helm::V4).await?;
    predecessor::install(&scene, helm).await?;
    scene.whole().await?;
    let stage = Stage::on(&scene, "versions").await?;
    let disk = json!({"enabled": true, "size": "1Gi"});
    let ollama = json!({"drainSeconds": 0, "persistence": disk, "models": [stage.item("tiny")]});
    stage.stack("chat", &json!({"ollama": ollama})).await?;
    stage.ready("chat").await?;
    let pulled = stage.registry.wire().count("GET", "/blobs/");
    ensure!(pulled > 0, "the model came from somewhere else");

    let what = "helm upgrade from the chart and the program of an older commit";
    let upgraded = async || operator::install(&scene, helm, &scene.values()).await;
    scene.during(&upgrade, what, Bound::Never, upgraded).await?;
    let what = "helm rollback to the older chart and program";
    let rolled_back = async || {
        let command = ["rollback", RELEASE, "1", "-n", NAMESPACE, "--wait", "--timeout", "2m"];
        scene.helm(helm, &command).await.map(drop)
    };
    scene.during(&rollback, what, Bound::Never, rolled_back).await?;
    side_by_side(&scene, helm, &both).await?;
    let what = "helm uninstall, which keeps the kinds, and helm install";
    let reinstalled = async || {
        uninstall(&scene, helm).await?;
        operator::install(&scene, helm, &scene.values()).await
    };
    scene.during(&again, what, Bound::Told, reinstalled).await?;

    stage.ready("chat").await?;
    let answer = stage.ask("chat", &stage.model("tiny")).await?;
    ensure!(!answer.is_empty(), "the stack does not answer any more");
    let now = stage.registry.wire().count("GET", "/blobs/");
    ensure!(
        now == pulled,
        "parts of the model were fetched again: {pulled} before, {now} now"
    );
    // The release of the tests to come is the other Helm's.
    uninstall(&scene, helm).await
}

async fn uninstall(scene: &Scene, helm: Helm) -> Result<()> {
    let command = ["uninstall", RELEASE, "-n", NAMESPACE, "--wait", "--timeout", "2m"];
    scene.helm(helm, &command).await.map(drop)
}

/// A rollout that stops half way: pods of both versions serve, and each version leads for some time. Where the lead goes
/// is settled by who else hears of the Lease.
async fn side_by_side(scene: &Scene, helm: Helm, row: &str) -> Result<()> {
    let what = "a rollout held when one pod of the new version has joined two of the older; each version leads in turn";
    let turns = async || {
        let before = images(scene).await?;
        start_upgrade(scene, helm).await?;
        let newer = hold(scene, &before).await?;
        let first = scene.leader().await?;
        ensure!(image(&first) != newer, "the leader changed without need");
        sleep(turn()).await;
        let pods = scene.pods().await?;
        let other = |pod: &&Value| image(pod) != newer && name(pod) != name(&first);
        let second = pods.iter().find(other).context("no second pod of the older version")?;
        inside::cut(scene, second, 443, true).await?;
        hand_over(scene, &first, &newer).await?;
        inside::cut(scene, second, 443, false).await?;
        sleep(turn()).await;
        hand_over(scene, &scene.leader().await?, &image(second)).await?;
        sleep(turn()).await;
        scene
            .kubectl(&["-n", NAMESPACE, "rollout", "resume", DEPLOYMENT])
            .await?;
        let status = ["-n", NAMESPACE, "rollout", "status", DEPLOYMENT, "--timeout=120s"];
        scene.kubectl(&status).await.map(drop)
    };
    scene.during(row, what, Bound::Never, turns).await
}

/// For how long a version leads.
fn turn() -> Duration {
    lasting(3, 60)
}

/// Deletes the leader until one of that version leads: the pod that comes in place of a deleted one may be faster.
async fn hand_over(scene: &Scene, leader: &Value, to: &str) -> Result<()> {
    let delete = async |pod: &Value| scene.kubectl(&["-n", NAMESPACE, "delete", "pod", name(pod)]).await;
    delete(leader).await?;
    until(&format!("{to} leads"), LIMIT, async || {
        let next = scene.leader().await?;
        if image(&next) == to {
            return Ok(Some(()));
        }
        delete(&next).await?;
        Ok(None)
    })
    .await
}

/// Without waiting for it.
async fn start_upgrade(scene: &Scene, helm: Helm) -> Result<()> {
    let values = tempfile::NamedTempFile::new()?;
    std::fs::write(values.path(), scene.values().to_string())?;
    let (chart, path) = (operator::chart(), values.path());
    let chart = chart.to_str().context("the chart's path is not UTF-8")?;
    let path = path.to_str().context("the path of the values is not UTF-8")?;
    let command = ["upgrade", RELEASE, chart, "-n", NAMESPACE, "--values", path];
    scene.helm(helm, &command).await.map(drop)
}

fn image(pod: &Value) -> String {
    let image = &pod["spec"]["containers"][0]["image"];
    image.as_str().unwrap_or_default().to_string()
}

async fn images(scene: &Scene) -> Result<Vec<String>> {
    Ok(scene.pods().await?.iter().map(image).collect())
}

/// Pauses the rollout as soon as a pod of another version exists, and returns that version when the pod serves.
async fn hold(scene: &Scene, before: &[String]) -> Result<String> {
    let other = async || Ok(images(scene).await?.into_iter().find(|image| !before.contains(image)));
    let newer = until("a pod of the new version exists", LIMIT, other).await?;
    scene
        .kubectl(&["-n", NAMESPACE, "rollout", "pause", DEPLOYMENT])
        .await?;
    until("three pods are ready", LIMIT, async || {
        let pods = scene.pods().await?;
        let ready = |pod: &&Value| pod["status"]["containerStatuses"][0]["ready"] == true;
        Ok((pods.iter().filter(ready).count() == 3).then_some(()))
    })
    .await?;
    let mut all = images(scene).await?;
    all.retain(|image| *image == newer);
    ensure!(
        all.len() == 1,
        "{} pods of the new version, the rollout went on before it was held",
        all.len()
    );
    Ok(newer)
}
