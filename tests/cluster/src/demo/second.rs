//! A second model that joins while the first one answers.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::programs::text;
use super::stack::{PATIENCE, QUESTION, path, without_last_column};
use super::steps::{Steps, say, typed};
use super::{Stage, root};

/// The name in the manifests.
pub(super) const NAME: &str = "second";

/// Adds the model, and asks the first one again and again until the second is ready.
pub(super) async fn add(steps: &mut Steps, stage: &Stage) -> Result<()> {
    steps.next("A second model, added while the first one answers");
    let before = restarts(stage).await?;
    let manifest = stage.model.second();
    typed(&format!("cat {manifest}"));
    say(std::fs::read_to_string(root().join(manifest))?);
    let applied = stage.programs.show(&stage.within(&["apply", "-f", manifest])).await?;
    ensure!(applied.status.success(), "the manifest was refused");
    let get = stage.within(&["get", "ollamamodels"]);
    typed(&format!("kubectl {} --watch", get.join(" ")));
    let (end, mut shown, mut answered) = (Instant::now() + PATIENCE, BTreeSet::new(), 0);
    loop {
        let table = stage.programs.get(&get).await?;
        let news = table.lines().filter(|line| shown.insert(without_last_column(line)));
        news.for_each(say);
        ask(stage)
            .await
            .context("a question failed while the second model was added")?;
        answered += 1;
        let model: Value = stage
            .programs
            .json(&stage.within(&["get", "ollamamodel", NAME]))
            .await?;
        if model["status"]["state"] == "ready" {
            break;
        }
        if Instant::now() > end {
            bail!("the second model is not ready after {PATIENCE:?}: {}", model["status"]);
        }
    }
    ensure!(restarts(stage).await? == before, "a pod was restarted or replaced");
    say(format_args!(
        "({answered} questions were answered meanwhile, none failed, and no pod was restarted)"
    ));
    Ok(())
}

async fn ask(stage: &Stage) -> Result<()> {
    let question =
        json!({"model": stage.model.name(), "prompt": QUESTION, "stream": false, "options": {"num_predict": 8}});
    let arguments = ["create", "--raw", &path(stage), "-f", "-"];
    let asking = stage.programs.feed(&arguments, &question.to_string()).await?;
    let output = asking.wait_with_output().await?;
    ensure!(output.status.success(), "{}", text(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).context("not an answer")?;
    ensure!(answer["done"] == true, "cut short: {answer}");
    Ok(())
}

/// Each server's pod, and how often it was restarted.
async fn restarts(stage: &Stage) -> Result<Vec<(String, i64)>> {
    let selector = "--selector=app.kubernetes.io/component=ollama";
    let pods: Value = stage.programs.json(&stage.within(&["get", "pods", selector])).await?;
    let pods = pods["items"].as_array().cloned().unwrap_or_default();
    let one = |pod: &Value| {
        let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        (
            name,
            pod["status"]["containerStatuses"][0]["restartCount"]
                .as_i64()
                .unwrap_or(-1),
        )
    };
    // Those of an earlier demonstration may still be going.
    let stays = |pod: &&Value| pod["metadata"]["deletionTimestamp"].is_null();
    Ok(pods.iter().filter(stays).map(one).collect())
}
