//! What an object says stays true: versions, digests, lost models, refreshes, and models that come while others answer.

use super::live::objects::condition;
use super::live::stage::Stage;
use super::place::{OPERATOR, add, apply, call, event, failed, fetched, figures, metrics, on_chat, ready, stack, tags};
use anyhow::{Result, ensure};
use cluster::test::until;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

pub async fn two_servers_end_on_one_version() -> Result<()> {
    let _turn = OPERATOR.read().await;
    let stage = Stage::shared("two-servers").await?;
    let first = add(&stage, "model", 41, 2)?;
    let spec = json!({"ollama": {"replicas": 2, "drainSeconds": 0, "models": [stage.item("model")]}});
    stage.stack("chat", &spec).await?;
    let status = stage.ready("chat").await?["status"]["models"][0].clone();
    assert_eq!(
        (status["readyOn"].as_str(), status["digest"].as_str()),
        (Some("2/2"), Some(&*first))
    );
    let (pods, name) = (stage.pods("chat", "ollama").await?, stage.model("model"));
    figures("two servers", 2 << 20, &stage);
    for pod in &pods {
        assert_eq!(tags(&stage, pod).await?[&format!("{name}:latest")], first);
        let question = json!({"model": name, "prompt": "why?", "stream": false, "options": {"num_predict": 4}});
        let (status, answer) = call(&stage, pod, "POST", "/api/generate", &question).await?;
        ensure!(status == 200 && answer.contains("\"done\":true"), "{answer}");
    }
    // The tag moves on, and somebody pulls it on one server.
    let second = add(&stage, "model", 42, 2)?;
    call(
        &stage,
        &pods[0],
        "POST",
        "/api/pull",
        &json!({"model": name, "insecure": true}),
    )
    .await?;
    event(&stage, "DigestDrift").await?;
    let child = stage.child("chat", "model").await?;
    let same = |m: &Value| {
        let digests: Vec<_> = m["status"]["replicas"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|r| &r["digest"])
            .collect();
        digests == [second.as_str(), second.as_str()] && m["status"]["state"] == "ready"
    };
    stage.until("is the same on both", "OllamaModel", &child, same).await?;
    Ok(())
}

pub async fn a_lost_model_comes_back_and_a_foreign_one_is_left_alone() -> Result<()> {
    let _turn = OPERATOR.read().await;
    let stage = Stage::shared("lost").await?;
    stage.stack("chat", &stack(&[stage.item("tiny")])).await?;
    stage.ready("chat").await?;
    let pods = stage.pods("chat", "ollama").await?;
    let (tiny, foreign) = (format!("{}:latest", stage.model("tiny")), stage.model("embed"));
    call(
        &stage,
        &pods[0],
        "POST",
        "/api/pull",
        &json!({"model": foreign, "insecure": true}),
    )
    .await?;
    call(&stage, &pods[0], "DELETE", "/api/delete", &json!({"model": tiny})).await?;
    event(&stage, "ModelLost").await?;
    let back = async || Ok(tags(&stage, &pods[0]).await?.contains_key(&tiny).then_some(()));
    until("the model is back", super::live::LIMIT, back).await?;
    stage.ready("chat").await?;
    let left = tags(&stage, &pods[0]).await?;
    ensure!(
        left.contains_key(&format!("{foreign}:latest")),
        "nobody's model is left alone: {left:?}"
    );
    let namespace = format!("namespace=\"{}\"", stage.namespace.name());
    let counted = async || {
        let text = metrics(&stage).await?;
        let lines = text.lines().filter(|line| line.contains(&namespace));
        let lines: Vec<&str> = lines.collect();
        let has = |start: &str, end: &str| lines.iter().any(|l| l.starts_with(start) && l.ends_with(end));
        let all = has("llm_operator_models_unmanaged{", "} 1")
            && has("llm_operator_model_servers_ready{", "} 1")
            && has("llm_operator_model_state{", "state=\"ready\"} 1");
        Ok(all.then_some(()))
    };
    until("the metrics show both", super::live::LIMIT, counted).await?;
    Ok(())
}

pub async fn a_refresh_acts_once() -> Result<()> {
    let _turn = OPERATOR.read().await;
    let stage = Stage::shared("refresh").await?;
    let first = add(&stage, "model", 43, 0)?;
    stage.stack("chat", &stack(&[])).await?;
    stage.ready("chat").await?;
    apply(&stage, "one", &on_chat(&stage, "model")).await?;
    let before = ready(&stage, "one").await?;
    assert_eq!(before["status"]["digest"], first.as_str());
    let annotation = "ollama.smithforge.dev/refresh";
    let annotate = async |value: &str| {
        let patch = json!({"metadata": {"annotations": {annotation: value}}});
        stage.merge("OllamaModel", "one", &patch).await.map(drop)
    };
    annotate("true").await?;
    let stamped = |m: &Value| {
        let value = m["metadata"]["annotations"][annotation].as_str().unwrap_or_default();
        value != "true" && m["status"]["refreshToken"] == value
    };
    let model = stage.until("is refreshed", "OllamaModel", "one", stamped).await?;
    let events = event(&stage, "Refreshed").await?;
    ensure!(events.contains("the digest is unchanged"), "{events}");
    assert_eq!(
        model["status"]["lastPullTime"], before["status"]["lastPullTime"],
        "nothing came"
    );
    // Put back by a tool: it rests.
    stage.registry.wire().forget();
    annotate("true").await?;
    // A token acts at once, and once.
    let second = add(&stage, "model", 44, 0)?;
    annotate("second").await?;
    let new = |m: &Value| m["status"]["refreshToken"] == "second" && m["status"]["digest"] == second.as_str();
    let model = stage.until("has the new version", "OllamaModel", "one", new).await?;
    assert_eq!(
        model["metadata"]["annotations"][annotation], "second",
        "a token is kept"
    );
    let manifests = stage.registry.wire().count("GET", "/manifests/");
    assert_eq!(manifests, 1, "one pull for the token, none for the restored true");
    Ok(())
}

pub async fn an_unexpected_digest_is_a_failure() -> Result<()> {
    let _turn = OPERATOR.read().await;
    let stage = Stage::shared("digest").await?;
    let digest = add(&stage, "model", 45, 0)?;
    stage.stack("chat", &stack(&[])).await?;
    stage.ready("chat").await?;
    let mut spec = on_chat(&stage, "model");
    spec["digest"] = json!(format!("sha256:{}", "0".repeat(64)));
    apply(&stage, "one", &spec).await?;
    let model = failed(&stage, "one", "DigestMismatch").await?;
    let error = model["status"]["error"].as_str().unwrap_or_default();
    ensure!(error.contains(&digest), "it says what is there: {error}");
    assert_eq!(condition(&model, "Stalled").0, "True");
    spec["digest"] = json!(digest);
    apply(&stage, "one", &spec).await?;
    ready(&stage, "one").await?;
    Ok(())
}

pub async fn a_model_joins_under_load() -> Result<()> {
    let _turn = OPERATOR.read().await;
    let stage = Stage::shared("load").await?;
    add(&stage, "second", 46, 16)?;
    stage.stack("chat", &stack(&[stage.item("tiny")])).await?;
    stage.ready("chat").await?;
    let pod = stage.pod("chat", "ollama").await?;
    stage.ask("chat", &stage.model("tiny")).await?;
    let (answered, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let asking = async {
        while !over.load(Relaxed) {
            // One attempt each: a failure is a failure.
            let url = format!("http://chat-ollama.{}.svc:11434/api/generate", stage.namespace.name());
            let question =
                json!({"model": stage.model("tiny"), "prompt": "why?", "stream": false, "options": {"num_predict": 8}});
            let reply = stage.cluster().http("POST", &url, Some(&question)).await?;
            let status = reply.status;
            let answer = reply.text().await?;
            ensure!(
                status == 200 && answer.contains("\"done\":true"),
                "status {status}: {answer}"
            );
            answered.fetch_add(1, Relaxed);
        }
        Ok(())
    };
    let adding = async {
        stage.registry.wire().limit(2 << 20);
        stage
            .stack("chat", &stack(&[stage.item("tiny"), stage.item("second")]))
            .await?;
        stage.ready("chat").await?;
        over.store(true, Relaxed);
        anyhow::Ok(())
    };
    tokio::try_join!(asking, adding)?;
    let answered = answered.into_inner();
    println!(
        "a model of 16 MiB joined while {answered} questions were answered, none failed; {} bytes fetched",
        fetched(&stage)
    );
    ensure!(answered > 4, "too few questions to say anything: {answered}");
    assert_eq!(
        stage.pod("chat", "ollama").await?,
        pod,
        "the same pod, without a restart"
    );
    Ok(())
}
