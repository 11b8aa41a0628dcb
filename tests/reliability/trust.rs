//! What happens to the certificates and to the webhook configurations.

use super::live::LIMIT;
use super::live::operator::{self, NAMESPACE};
use super::scene::{Bound, Scene, lasting};
use anyhow::{Context, Result, ensure};
use cluster::test::until;
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};
use tokio::time::sleep;

const SECRET: &str = "llm-operator-webhook-ca";
const VALIDATING: &str = "validatingwebhookconfiguration/llm-operator-system-llm-operator-validating";
const MUTATING: &str = "mutatingwebhookconfiguration/llm-operator-system-llm-operator-mutating";

pub async fn the_bundle_is_wiped() -> Result<()> {
    let scene = Scene::open().await?;
    let wipe = json!([{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]).to_string();
    let what = "the caBundle of both configurations removed every two seconds";
    let time = lasting(10, 60);
    scene
        .during("caBundle wiped", what, Bound::For(time.as_secs() + 10), async || {
            let end = Instant::now() + time;
            while Instant::now() < end {
                for configuration in [VALIDATING, MUTATING] {
                    // Without a bundle there is nothing to remove.
                    drop(
                        scene
                            .kubectl(&["patch", configuration, "--type=json", "-p", &wipe])
                            .await,
                    );
                }
                sleep(Duration::from_secs(2)).await;
            }
            Ok(())
        })
        .await
}

pub async fn the_configurations_are_deleted() -> Result<()> {
    let scene = Scene::open().await?;
    let what = "both webhook configurations deleted, and made again by helm upgrade";
    scene
        .during("webhook configurations deleted", what, Bound::For(3), async || {
            scene.kubectl(&["delete", VALIDATING, MUTATING]).await?;
            sleep(lasting(5, 30)).await;
            // Made again they trust nobody until the operator has seen them.
            scene.install().await
        })
        .await
}

async fn held(scene: &Scene) -> Result<Map<String, Value>> {
    until("a whole Secret", LIMIT, async || {
        let secret = scene.system.find("Secret", SECRET).await?.context("no Secret")?;
        let data = secret["data"].as_object().cloned().unwrap_or_default();
        let whole = data
            .get("tls.key")
            .and_then(Value::as_str)
            .is_some_and(|key| key.len() > 100);
        Ok(whole.then_some(data))
    })
    .await
}

pub async fn the_secret_is_lost() -> Result<()> {
    let scene = Scene::open().await?;
    let what = "the CA Secret emptied, filled with nonsense and deleted, one after the other";
    scene
        .during("CA Secret wiped", what, Bound::For(5), async || {
            let before = held(&scene).await?;
            let nothing: Map<String, Value> = before.keys().map(|key| (key.clone(), Value::Null)).collect();
            let nonsense: Map<String, Value> = before.keys().map(|key| (key.clone(), json!("bm9uc2Vuc2U="))).collect();
            for data in [nothing, nonsense] {
                scene.system.merge("Secret", SECRET, &json!({"data": data})).await?;
                held(&scene).await?;
            }
            scene.system.delete("Secret", SECRET).await?;
            let after = held(&scene).await?;
            ensure!(after.get("tls.crt") == before.get("tls.crt"), "another authority");
            Ok(())
        })
        .await?;
    // The next upgrade finds a Secret that Helm did not make.
    scene
        .kubectl(&[
            "-n",
            NAMESPACE,
            "label",
            "--overwrite",
            "secret",
            SECRET,
            "app.kubernetes.io/managed-by=Helm",
        ])
        .await
        .map(drop)
}

/// The release with the clock of the tests.
async fn with_clock(scene: &Scene, arguments: &[&str]) -> Result<()> {
    let image = operator::test_clock(scene).await?;
    let mut values = operator::values(&image);
    values["extraArgs"] = json!(arguments);
    scene.install_with(&values).await
}

/// The number of the authority that signs, and the end of what the first replica serves.
async fn generation(scene: &Scene) -> Result<u64> {
    let secret = scene.system.get("Secret", SECRET).await?;
    let said = secret["metadata"]["annotations"]["llm.geeper.io/generation"].as_str();
    Ok(said.context("no generation")?.parse()?)
}

pub async fn certificates_roll_over() -> Result<()> {
    let scene = Scene::open().await?;
    // An authority that is good for a year would be exchanged in eight months.
    let life = lasting(120, 240).as_secs();
    let short = format!("--test-authority-seconds={life}");
    let fresh = json!({"data": {"tls.crt": null, "tls.key": null, "ca.crt": null}});
    with_clock(&scene, &[&short]).await?;
    // The one that is there was made for a year, and whoever runs remembers it.
    scene.scale(0).await?;
    scene.system.merge("Secret", SECRET, &fresh).await?;
    scene.scale(2).await?;
    scene.whole().await?;
    held(&scene).await?;
    let before = generation(&scene).await?;
    let mut older = None;
    let what = format!(
        "authorities that live for {life} s and certificates that live for {} s",
        life / 10
    );
    scene
        .during("leaf rotation and CA rollover", &what, Bound::Never, async || {
            older = Some(held(&scene).await?);
            // Each takes two thirds of its life.
            let rounds = if super::table::is_soak() { 3 } else { 1 };
            let limit = LIMIT * 4;
            until("the authority was exchanged", limit, async || {
                let now = generation(&scene).await?;
                ensure!(now >= before + rounds, "at {now}, from {before}");
                Ok(Some(()))
            })
            .await
        })
        .await?;
    let older = older.context("no older Secret")?;
    let what = "the CA Secret replaced by what it held some rollovers ago";
    scene
        .during("older CA Secret", what, Bound::Never, async || {
            scene.system.merge("Secret", SECRET, &json!({"data": older})).await?;
            sleep(lasting(10, 30)).await;
            Ok(())
        })
        .await
}

pub async fn clocks_are_wrong() -> Result<()> {
    for (name, what, seconds) in [
        (
            "clock 400 days ahead",
            "both replicas started with that clock",
            400 * 24 * 3600,
        ),
        (
            "clock 2 hours behind",
            "both replicas started with that clock",
            -2 * 3600,
        ),
    ] {
        let scene = Scene::open().await?;
        let shift = format!("--test-clock-shift={seconds}");
        scene
            .during(name, what, Bound::Never, async || {
                with_clock(&scene, &[&shift]).await?;
                // A new authority by the wrong clock would be good for nothing.
                scene.system.delete("Secret", SECRET).await?;
                held(&scene).await?;
                for pod in scene.pods().await? {
                    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
                    scene.kubectl(&["-n", NAMESPACE, "delete", "pod", name]).await?;
                    scene.whole().await?;
                }
                Ok(())
            })
            .await?;
    }
    Ok(())
}
