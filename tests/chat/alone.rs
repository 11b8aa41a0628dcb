//! One Open WebUI on SQLite: switched off, and set to rest, everything of it goes but its data, which is found again.

use super::client::Person;
use super::live::LIMIT;
use super::live::objects::uid;
use super::live::stage::Stage;
use super::{ready, secret, spec};
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

const ADMIN: &str = "admin@example.com";
const PAGE: &str = "/api/v1/auths/admin/config";

/// What the admin page says of new accounts; with a role, it is changed there first.
async fn role(ada: &Person<'_>, host: &str, to: Option<&str>) -> Result<String> {
    let mut config = ada.get(host, PAGE).await?;
    if let Some(role) = to {
        config["DEFAULT_USER_ROLE"] = role.into();
        let (status, said) = ada.ask(host, "POST", PAGE, Some(&config)).await?;
        ensure!(status == 200, "{status} {said}");
        config = ada.get(host, PAGE).await?;
    }
    Ok(config["DEFAULT_USER_ROLE"].as_str().unwrap_or_default().to_string())
}

/// Another pod of Open WebUI and of nothing else, once the stack is Ready with it.
async fn rolled(stage: &Stage, before: &(String, i64), ollama: &(String, i64)) -> Result<()> {
    let other = async || Ok((stage.pod("chat", "openwebui").await?.0 != before.0).then_some(()));
    stage.namespace.until("another pod", LIMIT, other).await?;
    ready(stage).await?;
    assert_eq!(stage.pod("chat", "ollama").await?.0, ollama.0, "Ollama does not roll");
    Ok(())
}

pub async fn the_page_rules_or_the_manifest_does() -> Result<()> {
    let stage = super::stage("chat-config").await?;
    secret(&stage, "admin", &json!({"password": "first"})).await?;
    let fields = |mode: &str, role: &str| {
        spec(
            &stage,
            &json!({
                "configMode": mode, "signup": {"defaultRole": role},
                "admin": {"email": ADMIN, "secretRef": {"name": "admin"}},
            }),
        )
    };
    stage.stack("chat", &fields("ui", "pending")).await?;
    ready(&stage).await?;
    let host = format!("chat-openwebui.{}.svc", stage.namespace.name());
    let ada = Person::sign_in(&stage, &host, ADMIN, "first").await?;
    assert_eq!(
        role(&ada, &host, None).await?,
        "pending",
        "the manifest counts at the first start"
    );
    assert_eq!(role(&ada, &host, Some("user")).await?, "user");
    let ollama = stage.pod("chat", "ollama").await?;

    // The page rules: another word in the manifest rolls the pod, and changes nothing there.
    let before = stage.pod("chat", "openwebui").await?;
    stage.stack("chat", &fields("ui", "admin")).await?;
    rolled(&stage, &before, &ollama).await?;
    assert_eq!(role(&ada, &host, None).await?, "user");

    // The manifest rules: at every start, whatever the page said.
    let before = stage.pod("chat", "openwebui").await?;
    stage.stack("chat", &fields("declarative", "pending")).await?;
    rolled(&stage, &before, &ollama).await?;
    assert_eq!(role(&ada, &host, None).await?, "pending");
    role(&ada, &host, Some("user")).await?;
    let before = stage.pod("chat", "openwebui").await?;
    stage
        .namespace
        .kubectl(&[
            "delete",
            "pods",
            "--selector=app.kubernetes.io/component=openwebui",
            "--grace-period=1",
        ])
        .await?;
    rolled(&stage, &before, &ollama).await?;
    assert_eq!(role(&ada, &host, None).await?, "pending");

    // The first administrator is made once: another password in the Secret opens nothing.
    let before = stage.pod("chat", "openwebui").await?;
    secret(&stage, "admin", &json!({"password": "second"})).await?;
    rolled(&stage, &before, &ollama).await?;
    ensure!(
        Person::sign_in(&stage, &host, ADMIN, "second").await.is_err(),
        "the account has its own password"
    );
    Person::sign_in(&stage, &host, ADMIN, "first").await?;
    Ok(())
}
