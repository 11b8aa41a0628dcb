//! What happens to admission when webhooks or operator are missing; in a cluster of its own, since others would notice.

use super::answers::stack;
use super::live::objects::{Objects, condition, is_observed};
use super::live::{LIMIT, operator};
use anyhow::{Result, ensure};
use cluster::test::Namespace;
use serde_json::{Value, json};

const CONFIGURATIONS: [&str; 2] = [
    "mutatingwebhookconfigurations/llm-operator-system-llm-operator-mutating",
    "validatingwebhookconfigurations/llm-operator-system-llm-operator-validating",
];

async fn place(alone: &operator::Alone, test: &str) -> Result<(Namespace, Objects)> {
    let place = alone.namespace(test).await?;
    let objects = Objects::new(alone.client().await?, place.name());
    Ok((place, objects))
}

fn broken(replicas: i32) -> Value {
    json!({
        "ollama": {"models": ["tiny"], "replicas": replicas},
        "tabby": {"enabled": true, "chatModel": "nobody-lists-it"},
    })
}

pub async fn an_old_violation_blocks_nobody() -> Result<()> {
    let alone = operator::alone("apart").await?;
    let (place, objects) = place(&alone, "ratchet").await?;
    // As it was before the rule existed: nobody looks.
    alone.kubectl(&[&["delete"], &CONFIGURATIONS[..]].concat()).await?;
    place.apply(&stack("chat", &broken(1))).await?;
    let told = async || {
        let object = objects.get("LMDeployment", "chat").await?;
        Ok((is_observed(&object) && condition(&object, "Valid") == ("False", "Invalid")).then_some(object))
    };
    let object = place.until("the guard tells of it", LIMIT, told).await?;
    let message = super::live::objects::message(&object, "Valid");
    ensure!(message.contains("spec.tabby.chatModel"), "{message}");
    alone.install().await?;
    let refused = async || Ok(place.refuses(&stack("new", &broken(1))).await.ok());
    place.until("admission is back", LIMIT, refused).await?;

    place.apply(&stack("chat", &broken(2))).await?;
    let object = objects.get("LMDeployment", "chat").await?;
    assert_eq!(
        object["spec"]["ollama"]["replicas"], 2,
        "what has nothing to do with it can be changed"
    );
    let mut worse = broken(2);
    worse["tabby"]["completionModel"] = "nobody-lists-this-either".into();
    let said = place.refuses(&stack("chat", &worse)).await?;
    ensure!(
        said.contains("spec.tabby.completionModel") && !said.contains("spec.tabby.chatModel"),
        "the new one alone: {said}"
    );
    worse = broken(2);
    worse["tabby"]["chatModel"] = "tiny".into();
    place.apply(&stack("chat", &worse)).await?;
    Ok(())
}

pub async fn without_the_operator_metadata_and_bounds_work() -> Result<()> {
    let alone = operator::alone("apart").await?;
    let (place, objects) = place(&alone, "down").await?;
    place
        .apply(&stack("chat", &json!({"ollama": {"models": ["tiny"]}})))
        .await?;
    alone.scale(0).await?;
    let metadata = json!({"metadata": {"labels": {"team": "a"}, "finalizers": ["example.com/hold"]}});
    objects.merge("LMDeployment", "chat", &metadata).await?;
    objects
        .merge("LMDeployment", "chat", &json!({"metadata": {"finalizers": null}}))
        .await?;
    let refused = place
        .apply(&stack("chat", &json!({"ollama": {"models": ["other"]}})))
        .await;
    let said = format!("{:#}", refused.expect_err("nobody checks, so nothing passes"));
    ensure!(said.contains("checks.llm.geeper.io"), "it names the webhook: {said}");
    // What the schema says holds even where nobody calls a webhook.
    alone.kubectl(&[&["delete"], &CONFIGURATIONS[..]].concat()).await?;
    for (spec, path) in [
        (json!({"ollama": {"replicas": 11}}), "spec.ollama.replicas"),
        (json!({"ollama": {"enabled": false}}), "engine"),
        (
            json!({"tabby": {"enabled": true, "replicas": 2, "persistence": {"enabled": true}}}),
            "spec.tabby.replicas",
        ),
        (
            json!({"ollama": {"autoscaling": {"enabled": true, "minReplicas": 2, "maxReplicas": 1}}}),
            "minReplicas must not be above maxReplicas",
        ),
        (
            json!({"openwebui": {"enabled": true, "autoscaling": {"enabled": true, "maxReplicas": 6}}}),
            "maxReplicas must be 1 to 5",
        ),
        (
            json!({"openwebui": {"enabled": true, "redis": {"enabled": false}, "autoscaling": {"enabled": true, "maxReplicas": 2}}}),
            "several Open WebUI share their sessions",
        ),
        (
            json!({"ollama": {"service": {"port": 70000}}}),
            "spec.ollama.service.port",
        ),
    ] {
        let said = place.refuses(&stack("two", &spec)).await?;
        ensure!(said.contains(path), "{spec}: {said}");
    }
    objects.delete("LMDeployment", "chat").await?;
    alone.install().await
}
