//! Pipelines and tracing: a pipeline of the manifest answers in the chat, and every question ends as a trace.

use super::client::Person;
use super::live::LIMIT;
use super::web::Web;
use super::{ready, secret, spec};
use anyhow::{Context, Result, ensure};
use base64::Engine;
use serde_json::{Value, json};

const GREETER: &str = r#"
class Pipeline:
    def __init__(self):
        self.name = "Greeter"

    async def on_startup(self):
        pass

    def pipe(self, user_message, model_id, messages, body):
        return "hello, " + user_message
"#;

pub async fn pipelines_see_every_question() -> Result<()> {
    let stage = super::stage("chat-pipelines").await?;
    let web = Web::start(stage.cluster(), GREETER).await?;
    secret(
        &stage,
        "langfuse",
        &json!({"LANGFUSE_PUBLIC_KEY": "pk", "LANGFUSE_SECRET_KEY": "sk"}),
    )
    .await?;
    let fields = json!({
        "pipelines": {"enabled": true, "urls": [format!("http://{}/greeter.py", web.address)]},
        "langfuse": {
            "enabled": true, "url": format!("http://{}/", web.address), "secretRef": {"name": "langfuse"},
            "environment": "test",
        },
    });
    stage.stack("chat", &spec(&stage, &fields)).await?;
    let stack = ready(&stage).await?;
    assert_eq!(stack["status"]["pipelinesStatus"]["readyReplicas"], 1);

    let host = format!("chat-openwebui.{}.svc", stage.namespace.name());
    let ada = Person::sign_up(&stage, &host, "ada@example.com").await?;
    let models = ada.get(&host, "/api/models").await?;
    let ids: Vec<&str> = models["data"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|m| m["id"].as_str())
        .collect();
    let tiny = format!("{}:latest", stage.model("tiny"));
    ensure!(ids.contains(&"greeter") && ids.contains(&tiny.as_str()), "{ids:?}");
    assert_eq!(ada.chat(&host, "greeter").await?, "hello, why?");

    let answer = ada.chat(&host, &tiny).await?;
    let span = |body: &Value| body["resourceSpans"][0]["scopeSpans"][0]["spans"][0].clone();
    let of_tiny =
        |body: &Value| attribute(&span(body), "langfuse.observation.model.name").is_ok_and(|m| m == tiny.as_str());
    let trace = async || {
        let traces = web.sent().into_iter();
        Ok(traces
            .filter(|s| s.path == "/api/public/otel/v1/traces")
            .find(|s| of_tiny(&s.body)))
    };
    let trace = stage.namespace.until("a trace", LIMIT, trace).await?;
    let keys = base64::engine::general_purpose::STANDARD.encode("pk:sk");
    assert_eq!(trace.authorization, format!("Basic {keys}"));
    let resource = &trace.body["resourceSpans"][0]["resource"];
    assert_eq!(attribute(resource, "service.name")?, "chat");
    let span = &span(&trace.body);
    assert_eq!(attribute(span, "langfuse.environment")?, "test");
    assert_eq!(attribute(span, "langfuse.observation.model.name")?, tiny.as_str());
    assert_eq!(attribute(span, "langfuse.observation.output")?, answer.as_str());
    assert_eq!(attribute(span, "langfuse.user.id")?, "ada@example.com");
    assert_eq!(
        attribute(span, "langfuse.observation.usage_details")?,
        r#"{"input": 6, "output": 8}"#
    );
    Ok(())
}

fn attribute(of: &Value, key: &str) -> Result<Value> {
    let all = of["attributes"].as_array().context("no attributes")?;
    let found = all
        .iter()
        .find(|a| a["key"] == key)
        .with_context(|| format!("no {key} in {of}"))?;
    Ok(found["value"]["stringValue"].clone())
}
