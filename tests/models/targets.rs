//! Servers that are no stack's: behind Services, at URLs, and such that only pretend to be Ollama.

use super::fake::{Fake, Ways};
use super::live::objects::{condition, message};
use super::live::stage::Stage;
use super::place::{OPERATOR, apply, fetched, on_chat, ready, stack, tags};
use anyhow::{Context, Result, ensure};
use cluster::test::until;
use serde_json::{Value, json};

/// The reason, a part of the error, and how the server answers.
const STRANGE: [(&str, &str, &str, Ways); 6] = [
    (
        "html",
        "ServerUnreachable",
        "/api/tags is not what Ollama answers",
        ways(Some("<html>secret</html>"), None),
    ),
    (
        "nothing",
        "ServerUnreachable",
        "/api/tags is not what Ollama answers",
        ways(Some(""), None),
    ),
    (
        "half-line",
        "InvalidStream",
        "the stream ended without success",
        ways(None, Some("{\"status\":\"pulling manifest\"}\n{\"stat")),
    ),
    (
        "html-pull",
        "InvalidStream",
        "is not what Ollama sends",
        ways(None, Some("<html>secret</html>\n")),
    ),
    (
        "empty-pull",
        "InvalidStream",
        "the stream ended without success",
        ways(None, Some("")),
    ),
    (
        "error-line",
        "UnknownModel",
        "file does not exist",
        ways(
            None,
            Some("{\"status\":\"pulling manifest\"}\n{\"error\":\"pull model manifest: file does not exist\"}\n"),
        ),
    ),
];

const fn ways(tags: Option<&'static str>, pull: Option<&'static str>) -> Ways {
    Ways {
        tags,
        pull,
        forgetful: false,
    }
}

pub async fn strange_servers_are_told_apart() -> Result<()> {
    let _turn = OPERATOR.read().await;
    let stage = Stage::shared("strange").await?;
    let mut fakes = vec![];
    for (name, _, _, ways) in STRANGE {
        fakes.push(Fake::start(&stage, name, ways).await?);
        apply(
            &stage,
            name,
            &json!({"name": "tiny", "target": {"service": {"name": name, "port": 80}}}),
        )
        .await?;
    }
    for (name, reason, words, _) in STRANGE {
        let told = |m: &Value| {
            let error = m["status"]["error"].as_str().unwrap_or_default();
            condition(m, "Ready").1 == reason && error.contains(words)
        };
        let model = stage
            .until(&format!("tells {reason}"), "OllamaModel", name, told)
            .await?;
        ensure!(!model.to_string().contains("secret"), "a body was copied: {model}");
    }
    // One that forgets between check and use is filled again and again, and never called ready for ever.
    fakes.push(
        Fake::start(
            &stage,
            "forgetful",
            Ways {
                forgetful: true,
                ..Ways::default()
            },
        )
        .await?,
    );
    apply(
        &stage,
        "forgetful",
        &json!({"name": "tiny", "target": {"service": {"name": "forgetful"}}}),
    )
    .await?;
    ready(&stage, "forgetful").await?;
    super::place::event(&stage, "ModelLost").await?;
    Ok(())
}

pub async fn services_and_urls_are_targets() -> Result<()> {
    let _turn = OPERATOR.read().await;
    let stage = Stage::shared("targets").await?;
    stage.stack("chat", &stack(&[])).await?;
    stage.ready("chat").await?;
    let mut spec = on_chat(&stage, "tiny");
    spec["target"] = json!({"service": {"name": "chat-ollama", "port": 11434}});
    apply(&stage, "behind", &spec).await?;
    let model = ready(&stage, "behind").await?;
    assert_eq!(model["status"]["on"], "1/1");
    let pods = stage.pods("chat", "ollama").await?;
    ensure!(
        tags(&stage, &pods[0]).await?.len() == 1,
        "on the pod behind the Service"
    );
    println!("by a Service: {} bytes fetched", fetched(&stage));
    let fake = Fake::start(&stage, "by-url", Ways::default()).await?;
    let url = format!("http://{}", fake.address);
    apply(&stage, "url", &json!({"name": "tiny", "target": {"url": url}})).await?;
    let model = ready(&stage, "url").await?;
    assert_eq!(
        model["status"]["replicas"][0]["pod"],
        cluster::network::NODE_IP,
        "a host, without its port"
    );
    // Without a target it is the operator's own Ollama, and there is none in the tests.
    apply(&stage, "default", &json!({"name": "tiny"})).await?;
    let told = |m: &Value| condition(m, "Ready").1 == "ServerUnreachable";
    stage
        .until("tells that nobody answers", "OllamaModel", "default", told)
        .await?;
    Ok(())
}

pub async fn what_may_not_be_asked_is_not_asked() -> Result<()> {
    let _turn = OPERATOR.read().await;
    let stage = Stage::shared("not-asked").await?;
    let refused = [
        (
            json!({"name": "tiny", "target": {"url": "http://169.254.169.254"}}),
            "spec.target.url",
        ),
        (
            json!({"name": "tiny", "target": {"url": "http://kubernetes.default.svc:443"}}),
            "models.allowedUrls",
        ),
        (
            json!({"name": "tiny", "target": {"service": {"name": "a"}, "url": "http://b"}}),
            "exactly one",
        ),
        (json!({"name": "tiny", "from": "base"}), "models.derivedNamespaces"),
        (json!({"name": "bad name"}), "spec.name"),
        (json!({"name": "reg.local/m"}), "three parts"),
        (json!({"name": "m@sha256:ab"}), "no digests in names"),
        (json!({"name": "a:b", "tag": "c"}), "give the tag once"),
    ];
    for (spec, words) in refused {
        let error = apply(&stage, "bad", &spec)
            .await
            .err()
            .with_context(|| format!("{spec} was taken"))?;
        ensure!(format!("{error:#}").contains(words), "{words} is missing in {error:#}");
    }
    let twice = json!({"ollama": {"models": ["tiny", "TINY:latest"]}});
    let error = stage
        .stack("twice", &twice)
        .await
        .err()
        .context("one model twice was taken")?;
    ensure!(format!("{error:#}").contains("is the same model as"), "{error:#}");

    let services = [
        (
            "outside",
            json!({"type": "ExternalName", "externalName": "example.com"}),
            "ExternalName",
        ),
        ("unselected", json!({"ports": [{"port": 80}]}), "has no selector"),
        (
            "other-port",
            json!({"selector": {"a": "b"}, "ports": [{"name": "x", "port": 1}, {"name": "y", "port": 2}]}),
            "has no port 11434",
        ),
    ];
    for (name, spec, words) in services {
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec});
        stage.namespace.apply(&service.to_string()).await?;
        apply(
            &stage,
            name,
            &json!({"name": "tiny", "target": {"service": {"name": name}}}),
        )
        .await?;
        let told = |m: &Value| condition(m, "Stalled") == ("True", "TargetRefused");
        let model = stage.until("is refused", "OllamaModel", name, told).await?;
        ensure!(
            message(&model, "Ready").contains(words),
            "{words} is missing in {model}"
        );
    }
    apply(
        &stage,
        "missing",
        &json!({"name": "tiny", "target": {"service": {"name": "nobody"}}}),
    )
    .await?;
    let told = |m: &Value| condition(m, "Ready").1 == "NoServer";
    stage
        .until("waits for the Service", "OllamaModel", "missing", told)
        .await?;
    // All go again, at once: nothing was begun for them.
    for name in ["outside", "unselected", "other-port", "missing"] {
        stage.delete("OllamaModel", name).await?;
    }
    let none = async || Ok(stage.list("OllamaModel", "").await?.is_empty().then_some(()));
    until("all are gone", super::place::SOON, none).await
}
