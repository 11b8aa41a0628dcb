//! An API server that errs, hangs and restarts, and two operators before one.

use super::CLUSTER;
use super::live::LIMIT;
use super::live::objects::Objects;
use super::live::operator::{self, Alone, NAMESPACE};
use super::live::process::Process;
use super::live::stage::Stage;
use anyhow::{Context, Result, ensure};
use cluster::components::APISERVER;
use cluster::faults::{Answer, Effect, Rule};
use cluster::test::until;
use serde_json::{Value, json};
use std::time::Duration;

fn spec(stage: &Stage) -> Value {
    json!({"ollama": {"drainSeconds": 0, "models": [stage.item("tiny")]}})
}

pub async fn the_api_server_may_restart() -> Result<()> {
    let alone = operator::alone(CLUSTER).await?;
    let stage = Stage::on(&alone, "restart").await?;
    stage.stack("one", &spec(&stage)).await?;
    stage.ready("one").await?;
    alone.kill(APISERVER).await?;
    alone.start(APISERVER).await?;
    let applied = async || {
        stage.stack("two", &spec(&stage)).await?;
        Ok(Some(()))
    };
    until("admission after the restart", LIMIT, applied).await?;
    stage.ready("two").await?;
    stage.ready("one").await?;
    Ok(())
}

/// The release without a replica, whose webhooks need not answer, and operators as processes in its place.
async fn outside(alone: &Alone) -> Result<()> {
    alone
        .install_with(&json!({"webhook": {"failurePolicy": {"validating": "Ignore"}}}))
        .await?;
    alone.scale(0).await
}

pub async fn errors_of_the_api_server_pass() -> Result<()> {
    let alone = operator::alone(CLUSTER).await?;
    outside(&alone).await?;
    let process = Process::start(&alone, "erring").await?;
    let stage = Stage::on(&alone, "errors").await?;
    for (code, reason) in [
        (409, "Conflict"),
        (410, "Expired"),
        (429, "TooManyRequests"),
        (500, "InternalError"),
    ] {
        let error = || Answer::api_status(code, reason, "as the test wants it").header("retry-after", "1");
        let place = format!("/namespaces/{}/", stage.namespace.name());
        process
            .wire()
            .inject(Rule::on("PATCH", &format!("{place}services"), error()).times(2));
        process
            .wire()
            .inject(Rule::on("PATCH", &format!("{place}lmdeployments"), error()).times(1));
        process.wire().inject(Rule::any("watch=", error()).times(3));
        process.wire().cut();
        let name = format!("code-{code}");
        stage.stack(&name, &spec(&stage)).await?;
        let ready = stage.ready(&name).await;
        let left = process.wire().rules();
        ready.with_context(|| format!("with {code}; still to come: {left:?}; log:\n{}", process.log()))?;
        ensure!(
            !left.iter().any(|r| r.path.contains(&place)),
            "not every error was met: {left:?}"
        );
        process.wire().replace(vec![]);
    }
    process.stop().await
}

pub async fn a_hanging_request_stalls_nobody_else() -> Result<()> {
    let alone = operator::alone(CLUSTER).await?;
    outside(&alone).await?;
    let process = Process::start(&alone, "waiting").await?;
    let stage = Stage::on(&alone, "hanging").await?;
    process
        .wire()
        .inject(Rule::on("PATCH", "/services/one-ollama", Effect::Hang).times(1));
    stage.stack("one", &spec(&stage)).await?;
    let met = async || Ok(process.wire().rules().is_empty().then_some(()));
    until("a request that hangs", LIMIT, met).await?;
    stage.stack("two", &spec(&stage)).await?;
    stage.ready("two").await?;
    assert_eq!(stage.find("Service", "one-ollama").await?, None);
    process.wire().cut();
    stage.ready("one").await.with_context(|| process.log())?;
    process.stop().await
}

pub async fn of_two_operators_one_writes() -> Result<()> {
    let alone = operator::alone(CLUSTER).await?;
    outside(&alone).await?;
    let first = Process::start(&alone, "first").await?;
    let stage = Stage::on(&alone, "two").await?;
    stage.stack("one", &spec(&stage)).await?;
    stage.ready("one").await?;
    let second = Process::start(&alone, "second").await?;
    let waits = async || Ok((second.wire().count("GET", "/leases/") > 3).then_some(()));
    until("the second looks at the Lease", LIMIT, waits).await?;
    let before = first.writes();
    stage.stack("two", &spec(&stage)).await?;
    stage.ready("two").await?;
    assert_eq!(
        second.writes(),
        certificates(&second),
        "the second only keeps its certificates"
    );
    ensure!(first.writes() > before, "the first writes");

    first.kill().await?;
    stage.stack("three", &spec(&stage)).await?;
    stage.ready("three").await.with_context(|| second.log())?;
    let third = Process::start(&alone, "third").await?;
    let waits = async || Ok((third.wire().count("GET", "/leases/") > 3).then_some(()));
    until("the third looks at the Lease", LIMIT, waits).await?;
    assert_eq!(third.writes(), certificates(&third));
    second.stop().await?;
    stage.stack("four", &spec(&stage)).await?;
    stage.ready("four").await.with_context(|| third.log())?;
    third.stop().await
}

/// Writes that every replica may make: the authority and the trust in it.
fn certificates(process: &Process) -> usize {
    let requests = process.wire().requests();
    let about =
        |path: &str| path.contains("webhookconfigurations") || path.contains("/secrets/llm-operator-webhook-ca");
    requests.iter().filter(|r| r.method != "GET" && about(&r.path)).count()
}

pub async fn an_operator_ends_before_it_has_seen_everything() -> Result<()> {
    let alone = operator::alone(CLUSTER).await?;
    outside(&alone).await?;
    let stage = Stage::on(&alone, "early").await?;
    stage.stack("waits", &json!({"ollama": {"models": []}})).await?;
    let process = Process::start(&alone, "early").await?;
    // The list that the controller of models begins with: no stack is touched before it is there.
    process
        .wire()
        .inject(Rule::on("GET", "/ollamamodels?&limit", Effect::Hang));
    let asked = async || {
        let requests = process.wire().requests();
        let hangs = requests.iter().any(|r| r.path.contains("/ollamamodels?&limit"));
        let stacks = requests
            .iter()
            .any(|r| r.path.contains("/lmdeployments?&limit") && r.sent > 0);
        Ok((hangs && stacks).then_some(()))
    };
    until("stacks are listed, and models are not", LIMIT, asked).await?;
    // It drains for ten seconds, and what is in flight has ten more.
    let ended = tokio::time::timeout(Duration::from_secs(60), process.stop()).await;
    ended.context("asked to end, it goes on")??;
    let lease = Objects::new(alone.client().await?, NAMESPACE)
        .get("Lease", "llm-operator-leader")
        .await?;
    let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
    ensure!(holder.is_empty(), "{holder} has not let go");
    alone.install().await
}
