//! One Open WebUI on SQLite: switched off, and set to rest, everything of it goes but its data, which is found again.

use super::client::Person;
use super::live::objects::uid;
use super::{ready, spec};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

pub async fn what_is_switched_off_is_found_again() -> Result<()> {
    let stage = super::stage("chat-alone").await?;
    let on = spec(&stage, &json!({"service": {"port": 8080}}));
    stage.stack("chat", &on).await?;
    let stack = ready(&stage).await?;
    assert_eq!(stack["status"]["openwebuiStatus"]["database"], "sqlite");
    let host = format!("chat-openwebui.{}.svc", stage.namespace.name());
    assert_eq!(stack["status"]["endpoints"]["openwebui"], format!("http://{host}:8080"));
    let ada = Person::sign_up(&stage, &host, "ada@example.com").await?;
    assert_eq!(ada.get(&host, "/api/v1/auths/").await?["role"], "admin");
    let note = ada.note(&host, "kept").await?;
    let (claim, secret) = (
        stage.get("PersistentVolumeClaim", "chat-openwebui-data").await?,
        stage.get("Secret", "chat-openwebui-secret").await?,
    );

    // On SQLite there is one writer: what would lose accounts is refused.
    let several = spec(&stage, &json!({"replicas": 2}));
    let said = stage.stack("chat", &several).await.err().context("it is accepted")?;
    ensure!(format!("{said:#}").contains("has its accounts in SQLite"), "{said:#}");

    stage.stack("chat", &spec(&stage, &json!({"enabled": false}))).await?;
    stage.gone("Deployment", "chat-openwebui").await?;
    ready(&stage).await?;
    let left = stage.namespace.kubectl(&[
        "get",
        "services,networkpolicies,serviceaccounts,secrets,persistentvolumeclaims",
        "--selector=app.kubernetes.io/component=openwebui",
        "--output=name",
    ]);
    let left = left.await?;
    let left: Vec<&str> = left.lines().collect();
    assert_eq!(
        left,
        [
            "secret/chat-openwebui-secret",
            "persistentvolumeclaim/chat-openwebui-data"
        ],
        "data is kept"
    );

    stage.stack("chat", &on).await?;
    ready(&stage).await?;
    let again = stage.get("PersistentVolumeClaim", "chat-openwebui-data").await?;
    assert_eq!(uid(&again), uid(&claim));
    let kept: &Value = &stage.get("Secret", "chat-openwebui-secret").await?["data"];
    assert_eq!(kept, &secret["data"]);

    let mut rest = on.clone();
    rest["suspend"] = true.into();
    stage.stack("chat", &rest).await?;
    let asleep = |s: &Value| s["status"]["phase"] == "Suspended";
    stage.until("rests", "LMDeployment", "chat", asleep).await?;
    for component in ["ollama", "openwebui"] {
        assert_eq!(stage.pods("chat", component).await?.len(), 0, "{component} runs on");
    }
    let mut back = on.clone();
    back["suspend"] = false.into();
    stage.stack("chat", &back).await?;
    ready(&stage).await?;
    let title = ada.get(&host, &format!("/api/v1/chats/{note}")).await?["title"].clone();
    assert_eq!(title, "kept", "the old token is good, and so is what it opens");
    Ok(())
}
