//! Tabby: started once its models are there, restarted for its configuration alone, its data found again.

use super::live::LIMIT;
use super::live::objects::{condition, message, uid};
use super::live::stage::Stage;
use anyhow::{Context, Result};
use base64::Engine;
use cluster::gguf::Model;
use serde_json::{Value, json};

const TOKEN: &str = "TABBY_WEBSERVER_JWT_TOKEN_SECRET";

/// A stack with Tabby on these models; the embedding model is listed, since the registry speaks plain http.
fn spec(stage: &Stage, models: &[&str], tabby: &Value) -> Value {
    let items: Vec<Value> = models.iter().chain(&["embed"]).map(|m| stage.item(m)).collect();
    let mut block = json!({"enabled": true, "embeddingModel": stage.model("embed")});
    llm_operator::base::object::merge(&mut block, tabby.clone());
    json!({"ollama": {"drainSeconds": 0, "models": items}, "tabby": block})
}

async fn token(stage: &Stage) -> Result<String> {
    let secret = stage.get("Secret", "code-tabby-secret").await?;
    let text = secret["data"][TOKEN].as_str().context("the Secret has no token")?;
    Ok(String::from_utf8(
        base64::engine::general_purpose::STANDARD.decode(text)?,
    )?)
}

pub async fn tabby_starts_once_its_models_are_there() -> Result<()> {
    let stage = Stage::shared("tabby-starts").await?;
    stage
        .registry
        .registry()
        .add("library/embed:latest", Model::bert().pad_mib(4))?;
    stage.registry.wire().limit(64 << 10);
    stage.stack("code", &spec(&stage, &["tiny"], &json!({}))).await?;
    let child = stage.child("code", "embed").await?;
    stage
        .until("is being pulled", "OllamaModel", &child, |m| {
            m["status"]["state"] == "pulling"
        })
        .await?;
    stage
        .until("waits", "LMDeployment", "code", |s| {
            s["status"]["tabbyStatus"]["conditions"][0]["reason"] == "Pulling"
        })
        .await?;
    assert_eq!(
        stage.find("Deployment", "code-tabby").await?,
        None,
        "Tabby would die without its models"
    );
    stage.registry.wire().limit(0);
    let stack = stage.ready("code").await?;
    let model = |name: &str| format!("{}:latest", stage.model(name));
    let models = json!({"chat": model("tiny"), "completion": model("tiny"), "embedding": model("embed")});
    assert_eq!(stack["status"]["tabbyStatus"]["models"], models);

    let config = stage.get("ConfigMap", "code-tabby-config").await?;
    let expected = format!(
        r#"[model.completion.http]
kind = "ollama/completion"
model_name = "{tiny}"
api_endpoint = "http://code-ollama:11434"

[model.chat.http]
kind = "openai/chat"
model_name = "{tiny}"
api_endpoint = "http://code-ollama:11434/v1"

[model.embedding.http]
kind = "ollama/embedding"
model_name = "{embed}"
api_endpoint = "http://code-ollama:11434"
"#,
        tiny = model("tiny"),
        embed = model("embed"),
    );
    assert_eq!(config["data"]["config.toml"], expected);
    let mounted = stage
        .namespace
        .kubectl(&["exec", "deploy/code-tabby", "--", "cat", "/data/config.toml"])
        .await?;
    assert_eq!(mounted, expected, "at the documented place too");
    let url = |path: &str| format!("http://code-tabby.{}.svc:8080{path}", stage.namespace.name());
    assert_eq!(stage.request("GET", &url("/metrics"), None).await?.status, 200);
    assert_eq!(stage.request("GET", &url("/v1/health"), None).await?.status, 401);
    // The node's rules of the Service follow its endpoints within a second, so a first start may still find nobody.
    let restarts = stage.pod("code", "tabby").await?.1;
    assert!(
        restarts <= 1,
        "its Ollama serves before it is started, but {restarts} restarts"
    );
    let token = token(&stage).await?;
    let shape: Vec<usize> = token.split('-').map(str::len).collect();
    assert_eq!(shape, [8, 4, 4, 4, 12], "a UUID");
    Ok(())
}

pub async fn tabby_restarts_for_its_configuration_alone() -> Result<()> {
    let stage = Stage::shared("tabby-rolls").await?;
    stage
        .registry
        .registry()
        .add("library/second:latest", Model::llama().seed(2))?;
    stage
        .registry
        .registry()
        .add("library/third:latest", Model::llama().seed(3))?;
    let tiny = stage.model("tiny");
    let chosen = json!({"chatModel": tiny, "completionModel": tiny});
    stage.stack("code", &spec(&stage, &["tiny", "second"], &chosen)).await?;
    stage.ready("code").await?;
    let (pod, secret) = (stage.pod("code", "tabby").await?, token(&stage).await?);

    // Models that it does not use come and go; its Service changes; a model of its own is lost with its server.
    let service = json!({"chatModel": tiny, "completionModel": tiny, "service": {"port": 9090}});
    stage.stack("code", &spec(&stage, &["tiny", "third"], &service)).await?;
    stage.ready("code").await?;
    stage.registry.registry().remove("library/embed:latest")?;
    let servers = stage.pods("code", "ollama").await?;
    stage.delete("Pod", super::live::objects::name(&servers[0])).await?;
    stage.told("code", "ModelsReady", "False", "UnknownModel").await?;
    let deployment = stage.get("Deployment", "code-tabby").await?;
    assert_eq!(stage.pod("code", "tabby").await?.0, pod.0, "the same pod");
    stage.registry.registry().add("library/embed:latest", Model::bert())?;
    let child = stage.child("code", "embed").await?;
    stage.delete("OllamaModel", &child).await?;
    stage.ready("code").await?;
    let after = stage.get("Deployment", "code-tabby").await?;
    assert_eq!(
        deployment["metadata"]["generation"], after["metadata"]["generation"],
        "nothing was rolled"
    );

    let other = json!({"chatModel": tiny, "completionModel": stage.model("third"), "service": {"port": 9090}});
    stage.stack("code", &spec(&stage, &["tiny", "third"], &other)).await?;
    let rolled = |d: &Value| d["metadata"]["generation"] != after["metadata"]["generation"];
    stage.until("is rolled", "Deployment", "code-tabby", rolled).await?;
    stage.ready("code").await?;
    assert_ne!(
        stage.pod("code", "tabby").await?.0,
        pod.0,
        "another pod, with the new configuration"
    );
    let mounted = stage
        .namespace
        .kubectl(&["exec", "deploy/code-tabby", "--", "cat", "/data/config.toml"])
        .await?;
    assert!(mounted.contains("library/third:latest"), "{mounted}");
    assert_eq!(token(&stage).await?, secret, "made once");
    Ok(())
}

pub async fn tabby_finds_its_data_again() -> Result<()> {
    let stage = Stage::shared("tabby-data").await?;
    let persistent = json!({"persistence": {"enabled": true, "size": "1Gi"}});
    stage.stack("code", &spec(&stage, &["tiny"], &persistent)).await?;
    stage.ready("code").await?;
    let (claim, secret) = (
        stage.get("PersistentVolumeClaim", "code-tabby-data").await?,
        token(&stage).await?,
    );
    assert_eq!(starts(&stage).await?, 1);
    stage.delete("LMDeployment", "code").await?;
    stage.gone("Deployment", "code-tabby").await?;
    let pods = async || Ok(stage.list("Pod", "llm-deployment=code").await?.is_empty().then_some(()));
    stage.namespace.until("its pods are gone", LIMIT, pods).await?;
    let kept = stage.get("PersistentVolumeClaim", "code-tabby-data").await?;
    assert_eq!(
        (uid(&kept), &kept["metadata"]["deletionTimestamp"]),
        (uid(&claim), &Value::Null)
    );
    assert_eq!(
        token(&stage).await?,
        secret,
        "what signs the log-ins stays with the accounts"
    );

    stage.stack("code", &spec(&stage, &["tiny"], &persistent)).await?;
    stage.ready("code").await?;
    assert_eq!(starts(&stage).await?, 2, "the second start on the same data");
    assert_eq!(token(&stage).await?, secret);
    Ok(())
}

/// How often a Tabby was started on the data of the one that runs.
async fn starts(stage: &Stage) -> Result<usize> {
    let file = "/data/tabby/ee/db.sqlite";
    let text = stage
        .namespace
        .kubectl(&["exec", "deploy/code-tabby", "--", "cat", file])
        .await?;
    Ok(text.lines().count())
}

pub async fn tabby_waits_for_the_ollama_of_others() -> Result<()> {
    let stage = Stage::shared("tabby-other").await?;
    let (tiny, embed) = (stage.model("tiny"), stage.model("embed"));
    let code = json!({"ollama": {"enabled": false}, "tabby": {
        "enabled": true, "chatModel": tiny, "completionModel": tiny, "embeddingModel": embed,
        "ollamaServiceName": "models-ollama",
    }});
    stage.stack("code", &code).await?;
    let says = async |reason: &str, words: String| {
        let is = |s: &Value| {
            let (ready, told) = (condition(s, "Ready"), message(s, "Ready"));
            ready == ("False", reason) && told.contains(&words)
        };
        stage
            .until(&format!("says {words:?}"), "LMDeployment", "code", is)
            .await
    };
    says(
        "NoServer",
        "Tabby waits: Service models-ollama does not exist; after 10 minutes".into(),
    )
    .await?;
    let models = |names: &[&str]| {
        let items: Vec<Value> = names.iter().map(|m| stage.item(m)).collect();
        json!({"ollama": {"drainSeconds": 0, "models": items}})
    };
    stage.stack("models", &models(&["tiny"])).await?;
    stage.ready("models").await?;
    let lacks = format!("Service models-ollama has not got {embed}:latest; pull it there");
    let stack = says("NotPulled", lacks.clone()).await?;
    let tabby = &stack["status"]["tabbyStatus"]["conditions"][0];
    assert_eq!(tabby["reason"], "NotPulled", "{tabby}");
    assert_eq!(
        stage.find("Deployment", "code-tabby").await?,
        None,
        "it would die there"
    );

    stage.stack("models", &models(&["tiny", "embed"])).await?;
    let stack = stage.ready("code").await?;
    assert_eq!(condition(&stack, "Degraded").0, "False");
    // Once it was ready it stays, whatever becomes of that one.
    let pod = stage.pod("code", "tabby").await?.0;
    stage.delete("LMDeployment", "models").await?;
    stage.gone("Service", "models-ollama").await?;
    assert_eq!(stage.pod("code", "tabby").await?.0, pod);
    Ok(())
}
