//! Two Open WebUI on PostgreSQL, Redis and one volume: whatever falls, rolls or restarts, nothing of a person is lost.

use super::client::Person;
use super::live::LIMIT;
use super::live::objects::{condition, message, name, restarts, uid};
use super::live::operator::USER;
use super::live::stage::Stage;
use super::{ready, secret, spec};
use anyhow::{Context, Result, ensure};
use cluster::test::until;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const ADMIN: &str = "admin@example.com";
/// Everything that a shell, an address and a configuration file each read differently.
const PASSWORD: &str = "p@ss \"w/ü\\rd$(x)'#";

/// How long each step took, for the notes.
struct Watch(Instant);

impl Watch {
    fn lap(&mut self, what: &str) {
        println!("{:5.1} s  {what}", self.0.elapsed().as_secs_f32());
        self.0 = Instant::now();
    }
}

fn chat(stage: &Stage, more: &Value) -> Value {
    let mut fields = json!({
        "replicas": 2,
        "admin": {"email": ADMIN, "secretRef": {"name": "admin"}},
        "signup": {"enabled": true, "defaultRole": "user"},
        "redis": {"enabled": true, "passwordSecretRef": {"name": "cache", "key": "redis"}},
        // Any of them would be starved by the others at a start.
        "resources": {"requests": {"cpu": "50m", "memory": "256Mi"}},
    });
    llm_operator::base::object::merge(&mut fields, more.clone());
    spec(stage, &fields)
}

/// Addresses of the pods of Open WebUI.
async fn hosts(stage: &Stage) -> Result<Vec<String>> {
    let pods = stage.pods("chat", "openwebui").await?;
    let ip = |pod: &Value| pod["status"]["podIP"].as_str().map(str::to_string);
    let hosts: Vec<String> = pods.iter().filter_map(ip).collect();
    ensure!(hosts.len() == 2, "{} pods in place of two", hosts.len());
    Ok(hosts)
}

pub async fn several_share_everything() -> Result<()> {
    let stage = super::stage("chat-many").await?;
    let mut watch = Watch(Instant::now());
    heals_when_its_secrets_come(&stage).await?;
    watch.lap("first start of everything: PostgreSQL, Redis, one Open WebUI, then the other");

    let model = format!("{}:latest", stage.model("tiny"));
    let hosts_now = hosts(&stage).await?;
    let [a, b] = &hosts_now[..] else { unreachable!("two") };
    let ada = Person::sign_in(&stage, a, ADMIN, "first").await?;
    let role = ada.get(b, "/api/v1/auths/").await?["role"].clone();
    assert_eq!(
        role, "admin",
        "the first administrator comes from the Secret, and the token of one is good at the other"
    );
    let listed = ada.get(b, "/ollama/api/tags").await?;
    assert_eq!(listed["models"][0]["name"], model.as_str());
    for host in [a, b] {
        let bob = Person::sign_up(&stage, host, &format!("bob@{host}.example.com")).await?;
        for other in [a, b] {
            assert_eq!(bob.get(other, "/api/v1/auths/").await?["role"], "user");
        }
        assert!(!ada.chat(host, &model).await?.is_empty());
    }
    let note = ada.note(a, "kept").await?;
    let file = ada.upload(a, "a file of mine").await?;
    assert_eq!(
        ada.download(b, &file).await?,
        (200, json!("a file of mine")),
        "uploads are shared"
    );
    watch.lap("administrator, sign-up at each, model through both, file");

    rests(&stage).await?;
    watch.lap("at rest");
    let known = Known {
        stage: &stage,
        ada: &ada,
        note,
        file,
        model,
    };
    for component in ["postgres", "redis", "ollama", "openwebui"] {
        kill(&stage, component).await?;
        ready(&stage).await?;
        known
            .comes_back()
            .await
            .with_context(|| format!("after {component} was killed"))?;
        watch.lap(&format!("{component} killed, everything there again"));
    }
    rolls(&known, &mut watch).await?;
    stage
        .namespace
        .kubectl(&["delete", "pods", "--selector=llm-deployment=chat", "--wait=false"])
        .await?;
    comes_back(&stage).await?;
    known.comes_back().await.context("after everything was restarted")?;
    watch.lap("every pod restarted at once");
    keeps_its_choice(&stage).await
}

/// Nothing starts before its Secrets are there; then it does, one pod first, and none of them crashes.
async fn heals_when_its_secrets_come(stage: &Stage) -> Result<()> {
    stage.stack("chat", &chat(stage, &json!({}))).await?;
    let told = stage.told("chat", "Degraded", "True", "SecretMissing").await?;
    assert_eq!(
        message(&told, "Degraded"),
        "Secret admin does not exist; its key password is needed"
    );
    secret(stage, "cache", &json!({"redis": PASSWORD})).await?;
    secret(stage, "admin", &json!({"pass": "first"})).await?;
    let lacks = |s: &Value| message(s, "Degraded") == "Secret admin has no key password, or nothing under it";
    stage.until("tells of the key", "LMDeployment", "chat", lacks).await?;
    ensure!(
        stage.find("Deployment", "chat-openwebui").await?.is_none(),
        "it would only wait for its Secret"
    );
    let events = stage
        .namespace
        .kubectl(&["get", "events", "--field-selector=reason=SecretMissing"])
        .await?;
    ensure!(events.contains("Secret admin"), "an event tells of it: {events}");
    secret(stage, "admin", &json!({"password": "first"})).await?;

    let alone = |d: &Value| d["spec"]["replicas"] == 1;
    stage
        .until("starts with one pod", "Deployment", "chat-openwebui", alone)
        .await?;
    let stack = ready(stage).await?;
    let web = &stack["status"]["openwebuiStatus"];
    assert_eq!(
        (&web["readyReplicas"], &web["database"]),
        (&json!(2), &json!("postgres"))
    );
    assert_eq!(condition(&stack, "Degraded").0, "False");
    for pod in stage.pods("chat", "openwebui").await? {
        assert_eq!(restarts(&pod), 0, "{} crashed", name(&pod));
    }
    let secret = stage.get("Secret", "chat-openwebui-secret").await?;
    assert_eq!(
        secret["metadata"]["ownerReferences"],
        Value::Null,
        "it opens what is kept"
    );
    for object in stage.list("Deployment", "llm-deployment=chat").await? {
        let text = object.to_string();
        ensure!(
            !text.contains("p@ss") && !text.contains("p%40ss"),
            "{} holds the password",
            name(&object)
        );
    }
    Ok(())
}

/// With everything there, the operator writes nothing.
async fn rests(stage: &Stage) -> Result<()> {
    let quiet = Duration::from_secs(5);
    let mark = stage.cluster().audit().mark()?;
    tokio::time::sleep(quiet).await;
    let namespace = stage.namespace.name();
    let asked = stage.cluster().audit().since(mark)?.into_iter();
    let busy: Vec<String> = asked
        .filter(|r| r.user == USER && r.namespace == namespace && r.verb != "watch")
        .map(|r| format!("{} {} {}", r.verb, r.resource, r.name))
        .collect();
    ensure!(busy.is_empty(), "at rest: {busy:?}");
    Ok(())
}

/// What must never be lost.
struct Known<'a> {
    stage: &'a Stage,
    ada: &'a Person<'a>,
    note: String,
    file: String,
    model: String,
}

impl Known<'_> {
    /// As soon as it is there again: Open WebUI answers 503 for as long as it finds only connections to a database that is gone.
    async fn comes_back(&self) -> Result<()> {
        until("what must not be lost", LIMIT, async || self.is_there().await.map(Some)).await
    }

    async fn is_there(&self) -> Result<()> {
        for host in hosts(self.stage).await? {
            let note = self.ada.get(&host, &format!("/api/v1/chats/{}", self.note)).await?;
            ensure!(note["title"] == "kept", "{note}");
            let file = self.ada.download(&host, &self.file).await?;
            ensure!(file == (200, json!("a file of mine")), "{file:?}");
            self.ada.chat(&host, &self.model).await?;
        }
        Ok(())
    }
}

async fn kill(stage: &Stage, component: &str) -> Result<()> {
    let pods = stage.pods("chat", component).await?;
    let before: BTreeSet<String> = pods.iter().map(|p| uid(p).to_string()).collect();
    let victim = name(pods.first().context("no pod")?).to_string();
    stage
        .namespace
        .kubectl(&["delete", "pod", &victim, "--grace-period=1"])
        .await?;
    let replaced = async || {
        let pods = stage.pods("chat", component).await?;
        let ready = |pod: &&Value| {
            let all = pod["status"]["conditions"].as_array();
            all.into_iter()
                .flatten()
                .any(|c| c["type"] == "Ready" && c["status"] == "True")
        };
        let new = pods.iter().filter(|p| !before.contains(uid(p))).filter(ready).count();
        Ok((new > 0 && pods.iter().filter(ready).count() == before.len()).then_some(()))
    };
    stage
        .namespace
        .until(&format!("a new pod of {component}"), super::live::LIMIT, replaced)
        .await
}

async fn uids(stage: &Stage, component: &str) -> Result<BTreeSet<String>> {
    let pods = stage.pods("chat", component).await?;
    Ok(pods.iter().map(|p| uid(p).to_string()).collect())
}

/// Each change rolls the pods that it concerns, and no other.
async fn rolls(known: &Known<'_>, watch: &mut Watch) -> Result<()> {
    let stage = known.stage;
    let all = async || {
        let mut found = vec![];
        for component in ["postgres", "redis", "ollama", "openwebui"] {
            found.push(uids(stage, component).await?);
        }
        anyhow::Ok(found)
    };
    let before = all().await?;
    secret(stage, "cache", &json!({"redis": "another"})).await?;
    let rolled = async || Ok((all().await?[1].is_disjoint(&before[1])).then_some(()));
    stage.namespace.until("Redis rolls", super::live::LIMIT, rolled).await?;
    ready(stage).await?;
    known.comes_back().await.context("with another password of Redis")?;
    let after = all().await?;
    ensure!(
        after[0] == before[0] && after[2] == before[2],
        "PostgreSQL and Ollama stay"
    );
    ensure!(after[3].is_disjoint(&before[3]), "Open WebUI reads the new password");
    watch.lap("the Secret of Redis changed, its readers rolled");

    let tag = cluster::images::OPENWEBUI_NEXT
        .rsplit_once(':')
        .map_or("", |(_, tag)| tag);
    let image = cluster::images::OPENWEBUI_NEXT
        .trim_end_matches(tag)
        .trim_end_matches(':');
    stage
        .stack("chat", &chat(stage, &json!({"image": image, "imageTag": tag})))
        .await?;
    let alone = |d: &Value| {
        let image = d["spec"]["template"]["spec"]["containers"][0]["image"].as_str();
        d["spec"]["replicas"] == 1 && image == Some(cluster::images::OPENWEBUI_NEXT)
    };
    stage
        .until("starts the new version alone", "Deployment", "chat-openwebui", alone)
        .await?;
    ready(stage).await?;
    known.comes_back().await.context("with another version")?;
    let last = all().await?;
    ensure!(last[..3] == after[..3], "nothing else rolls");
    watch.lap("another version: one pod, then the other");
    Ok(())
}

async fn comes_back(stage: &Stage) -> Result<()> {
    for component in ["postgres", "redis", "openwebui"] {
        let deployment = format!("deployment/chat-{component}");
        let wait = ["rollout", "status", &deployment, "--timeout=180s"];
        stage.namespace.kubectl(&wait).await?;
    }
    ready(stage).await.map(drop)
}

/// Scaled down, a stack stays on its database; a foot of its own is refused.
async fn keeps_its_choice(stage: &Stage) -> Result<()> {
    stage
        .stack("chat", &chat(stage, &json!({"replicas": 1, "database": null})))
        .await?;
    let stack = ready(stage).await?;
    assert_eq!(stack["status"]["openwebuiStatus"]["database"], "postgres");
    let refused = chat(stage, &json!({"redis": {"enabled": false, "passwordSecretRef": null}}));
    let said = stage.stack("chat", &refused).await.err().context("it is accepted")?;
    ensure!(format!("{said:#}").contains("spec.openwebui.redis.enabled"), "{said:#}");
    Ok(())
}
