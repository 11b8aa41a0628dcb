//! What models cost: writes of status, requests at rest, memory of the operator.

use super::fake::{Fake, Ways};
use super::live::operator::{NAMESPACE, USER};
use super::live::stage::Stage;
use super::place::{OPERATOR, add, leader, ready, stack};
use anyhow::{Context, Result, ensure};
use cluster::test::until;
use futures::future::try_join_all;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

pub async fn a_pull_is_told_in_few_writes() -> Result<()> {
    let _turn = OPERATOR.read().await;
    let stage = Stage::shared("writes").await?;
    let mark = stage.cluster().audit().mark()?;
    add(&stage, "large", 81, 24)?;
    stage.registry.wire().limit(1 << 20);
    stage.stack("chat", &stack(&[stage.item("large")])).await?;
    let child = stage.child("chat", "large").await?;
    ready(&stage, &child).await?;
    stage.ready("chat").await?;
    let requests = stage.cluster().audit().since(mark)?;
    let writes = |resource: &str| {
        let ours = requests
            .iter()
            .filter(|r| r.user == USER && r.namespace == stage.namespace.name());
        ours.filter(|r| r.resource == resource && r.subresource == "status" && r.is_write())
            .count()
    };
    let (model, stack) = (writes("ollamamodels"), writes("lmdeployments"));
    println!("a pull of 24 MiB at 1 MiB/s: {model} status writes of the OllamaModel, {stack} of the LMDeployment");
    ensure!(
        (3..=24).contains(&model),
        "steps of 5 %, at most every 5 s: {model} writes"
    );
    Ok(())
}

/// 200 objects on 20 servers, which are stand-ins: what is measured is the operator.
pub async fn two_hundred_models_on_twenty_servers() -> Result<()> {
    const SERVERS: usize = 20;
    const EACH: usize = 10;
    const WINDOW: Duration = Duration::from_secs(12);
    let _alone = OPERATOR.write().await;
    let stage = Stage::shared("many").await?;
    let names: Vec<String> = (0..SERVERS).map(|i| format!("server-{i}")).collect();
    let fakes = try_join_all(names.iter().map(|name| Fake::start(&stage, name, Ways::default()))).await?;
    let pod = leader(&stage).await?;
    let before = memory(&stage, &pod).await?;
    let models = names.iter().flat_map(|server| {
        (0..EACH).map(move |i| {
            json!({
                "apiVersion": "ollama.smithforge.dev/v1alpha1", "kind": "OllamaModel",
                "metadata": {"name": format!("{server}-{i}")},
                "spec": {"name": format!("model-{i}:1b"), "target": {"service": {"name": server}}},
            })
        })
    });
    let list = json!({"apiVersion": "v1", "kind": "List", "items": models.collect::<Vec<Value>>()});
    let (mark, begun) = (stage.cluster().audit().mark()?, Instant::now());
    stage.namespace.apply(&list.to_string()).await?;
    let all = async || {
        let models = stage.list("OllamaModel", "").await?;
        let ready = models.iter().filter(|m| m["status"]["state"] == "ready").count();
        Ok((ready == SERVERS * EACH).then_some(()))
    };
    until("all models are ready", super::live::LIMIT, all).await?;
    let took = begun.elapsed();
    let ours = |requests: Vec<cluster::audit::Request>| {
        let ours = requests
            .into_iter()
            .filter(|r| r.user == USER && r.namespace == stage.namespace.name());
        ours.collect::<Vec<_>>()
    };
    let made = ours(stage.cluster().audit().since(mark)?);
    let status = made.iter().filter(|r| r.subresource == "status").count();
    // The window is what is measured: nothing in it is waited for.
    let (mark, asked) = (
        stage.cluster().audit().mark()?,
        fakes.iter().map(Fake::asked).sum::<usize>(),
    );
    tokio::time::sleep(WINDOW).await;
    let rest = ours(stage.cluster().audit().since(mark)?);
    let asked = fakes.iter().map(Fake::asked).sum::<usize>() - asked;
    let after = memory(&stage, &pod).await?;
    let total = SERVERS * EACH;
    println!(
        "{total} models on {SERVERS} servers (stand-ins): ready after {took:?}, {status} status writes ({} of each); memory of the \
         operator (unoptimised build) {before} KiB before, {after} KiB after; at rest for {WINDOW:?}: {} requests to the API \
         server, {asked} to the servers (each is asked every 5 s here, every 10 min by default)",
        f64::from(u32::try_from(status)?) / f64::from(u32::try_from(total)?),
        rest.len()
    );
    ensure!(rest.is_empty(), "at rest nothing is asked of the API server: {rest:?}");
    Ok(())
}

/// Resident memory of an operator's process, in KiB.
async fn memory(stage: &Stage, pod: &str) -> Result<u64> {
    let script = r#"for p in /proc/[0-9]*; do
          line=$(tr '\0' ' ' <"$p/cmdline" 2>/dev/null) || continue
          case "$line" in "/llm-operator run"*"--pod-name=$1 "*|"llm-operator run"*"--pod-name=$1 "*) sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "$p/status"; exit ;; esac
        done"#;
    let output = stage.cluster().enter(&["sh", "-c", script, "sh", pod]).await?;
    let text = String::from_utf8(output.stdout)?;
    text.trim()
        .parse()
        .with_context(|| format!("no process of {pod} in {NAMESPACE}: {text:?}"))
}
