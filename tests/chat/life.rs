//! The whole stack through its life: each change rolls its own pods alone, what is off or deleted leaves its data, and what
//! is not to be kept goes.

use super::client::Person;
use super::live::LIMIT;
use super::live::objects::{names, uid};
use super::live::stage::Stage;
use super::{ready, secret, spec};
use anyhow::{Context, Result, ensure};
use llm_operator::base::object::merge;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const ADMIN: &str = "admin@example.com";
const PARTS: [&str; 6] = ["ollama", "postgres", "redis", "pipelines", "openwebui", "tabby"];
/// The claim of each part.
const CLAIMS: [&str; 6] = [
    "chat-openwebui-data",
    "chat-pipelines-data",
    "chat-postgres-data",
    "chat-redis-data",
    "chat-tabby-data",
    "data-chat-ollama-0",
];
const SECRETS: [&str; 3] = ["chat-openwebui-secret", "chat-postgres-secret", "chat-tabby-secret"];

/// Every part with a claim, `retain` as it is given, and more fields over that.
fn whole(stage: &Stage, retain: Option<bool>, more: &Value) -> Value {
    let mut claim = json!({"enabled": true, "size": "1Gi"});
    merge(&mut claim, json!({"retain": retain}));
    let small = json!({"requests": {"cpu": "20m", "memory": "64Mi"}});
    let mut whole = spec(
        stage,
        &json!({
            "persistence": claim, "resources": small,
            "admin": {"email": ADMIN, "secretRef": {"name": "admin"}},
            "redis": {"enabled": true, "persistence": claim},
            "database": {"enabled": true, "persistence": claim},
            "pipelines": {"enabled": true, "persistence": claim, "resources": small},
        }),
    );
    let fields = json!({
        "ollama": {"models": [stage.item("tiny"), stage.item("embed")], "persistence": claim, "resources": small},
        "tabby": {"enabled": true, "embeddingModel": stage.model("embed"), "persistence": claim, "resources": small},
    });
    merge(&mut whole, fields);
    merge(&mut whole, more.clone());
    whole
}

/// The uids of the pods of each part.
async fn pods(stage: &Stage) -> Result<BTreeMap<&'static str, BTreeSet<String>>> {
    let mut all = BTreeMap::new();
    for part in PARTS {
        let pods = stage.pods("chat", part).await?;
        all.insert(part, pods.iter().map(|pod| uid(pod).to_string()).collect());
    }
    Ok(all)
}

/// The uid of each claim and Secret that is kept.
async fn kept(stage: &Stage) -> Result<Vec<String>> {
    let mut all = vec![];
    for (kind, names) in [("PersistentVolumeClaim", &CLAIMS[..]), ("Secret", &SECRETS[..])] {
        for name in names {
            let object = stage.get(kind, name).await?;
            ensure!(object["metadata"]["deletionTimestamp"].is_null(), "{kind} {name} goes");
            all.push(format!("{kind} {name} {}", uid(&object)));
        }
    }
    Ok(all)
}

async fn have_no_pods(stage: &Stage, parts: &[&str]) -> Result<()> {
    let gone = async || {
        for part in parts {
            let labels = format!("llm-deployment=chat,app.kubernetes.io/component={part}");
            if !stage.list("Pod", &labels).await?.is_empty() {
                return Ok(None);
            }
        }
        Ok(Some(()))
    };
    stage.namespace.until("the pods are gone", LIMIT, gone).await
}

pub async fn a_whole_stack_lives_and_leaves_its_data() -> Result<()> {
    let stage = super::stage("chat-life").await?;
    secret(&stage, "admin", &json!({"password": "first"})).await?;
    stage.stack("chat", &whole(&stage, None, &json!({}))).await?;
    ready(&stage).await?;
    let host = format!("chat-openwebui.{}.svc", stage.namespace.name());
    let ada = Person::sign_in(&stage, &host, ADMIN, "first").await?;
    let note = ada.note(&host, "kept").await?;
    let is_there = async |when: &str| {
        let chat = ada
            .get(&host, &format!("/api/v1/chats/{note}"))
            .await
            .with_context(|| when.to_string())?;
        ensure!(chat["title"] == "kept", "{when}: {chat}");
        anyhow::Ok(())
    };
    let data = kept(&stage).await?;

    let changes = each_rolls_alone(&stage).await?;
    is_there("after every part was rolled").await?;

    let mut rest = whole(&stage, None, &changes);
    rest["suspend"] = true.into();
    stage.stack("chat", &rest).await?;
    let asleep = |s: &Value| s["status"]["phase"] == "Suspended";
    stage.until("rests", "LMDeployment", "chat", asleep).await?;
    have_no_pods(&stage, &PARTS).await?;
    rest["suspend"] = false.into();
    stage.stack("chat", &rest).await?;
    ready(&stage).await?;
    is_there("after a rest").await?;
    assert_eq!(kept(&stage).await?, data);

    is_named_while_it_is_off(&stage).await?;
    stage.stack("chat", &whole(&stage, None, &json!({}))).await?;
    let stack = ready(&stage).await?;
    assert_eq!(stack["status"]["retained"], Value::Null, "all of it is in use");
    is_there("after every part was off").await?;
    assert_eq!(kept(&stage).await?, data);

    is_found_again_after_deletion(&stage).await?;
    is_there("after the stack was deleted").await?;
    assert_eq!(kept(&stage).await?, data);
    goes_where_it_is_not_to_be_kept(&stage).await
}

/// Image, resources, variables, configuration: the pods concerned, and no other. Returns all changes.
async fn each_rolls_alone(stage: &Stage) -> Result<Value> {
    let one = json!([{"name": "A_WORD", "value": "1"}]);
    let more = json!({"requests": {"cpu": "21m", "memory": "65Mi"}});
    let steps = [
        (json!({"ollama": {"env": one}}), vec!["ollama"]),
        (json!({"openwebui": {"env": one}}), vec!["openwebui"]),
        (json!({"openwebui": {"redis": {"resources": more}}}), vec!["redis"]),
        (
            json!({"openwebui": {"database": {"resources": more}}}),
            vec!["postgres"],
        ),
        (json!({"openwebui": {"pipelines": {"env": one}}}), vec!["pipelines"]),
        (json!({"tabby": {"resources": more}}), vec!["tabby"]),
        // Its configuration.
        (json!({"tabby": {"embeddingModel": stage.model("tiny")}}), vec!["tabby"]),
        (
            json!({"openwebui": {"image": cluster::images::OPENWEBUI_NEXT}}),
            vec!["openwebui"],
        ),
        // Nothing that a pod reads.
        (
            json!({"openwebui": {"service": {"annotations": {"a": "b"}}}, "tabby": {"service": {"port": 9000}}}),
            vec![],
        ),
    ];
    let mut changes = json!({});
    for (change, concerned) in steps {
        let before = pods(stage).await?;
        merge(&mut changes, change.clone());
        stage.stack("chat", &whole(stage, None, &changes)).await?;
        let rolled = async || {
            let now = pods(stage).await?;
            let all = concerned
                .iter()
                .all(|part| !now[part].is_empty() && now[part].is_disjoint(&before[part]));
            Ok(all.then_some(()))
        };
        stage
            .namespace
            .until(&format!("{concerned:?} roll for {change}"), LIMIT, rolled)
            .await?;
        ready(stage).await?;
        let after = pods(stage).await?;
        for part in PARTS.iter().filter(|part| !concerned.contains(part)) {
            ensure!(after[part] == before[part], "{part} rolls for {change}");
        }
    }
    Ok(changes)
}

/// Everything but Ollama is off, and that without its claim.
async fn is_named_while_it_is_off(stage: &Stage) -> Result<()> {
    let off = json!({"ollama": {"persistence": {"enabled": false}}, "openwebui": {"enabled": false}, "tabby": {"enabled": false}});
    stage.stack("chat", &whole(stage, None, &off)).await?;
    let stack = ready(stage).await?;
    let retained = stack["status"]["retained"]
        .as_array()
        .context("nothing is said to be kept")?;
    let names_of = |kind: &str| -> Vec<&str> {
        let of_kind = retained.iter().filter(|r| r["kind"] == kind);
        of_kind.filter_map(|r| r["name"].as_str()).collect()
    };
    assert_eq!(names_of("PersistentVolumeClaim"), CLAIMS);
    assert_eq!(names_of("Secret"), SECRETS);
    let events = [
        "get",
        "events",
        "--field-selector=reason=Retained,involvedObject.kind=LMDeployment",
        "-o",
        "jsonpath={.items[*].message}",
    ];
    let told = async || {
        let told = stage.namespace.kubectl(&events).await?;
        Ok(CLAIMS.iter().all(|claim| told.contains(claim)).then_some(()))
    };
    stage.namespace.until("an event for each claim", LIMIT, told).await?;
    have_no_pods(stage, &PARTS[1..]).await?;
    for kind in ["Deployment", "Service", "NetworkPolicy", "ServiceAccount", "ConfigMap"] {
        let left = stage
            .list(kind, "llm-deployment=chat,app.kubernetes.io/component!=ollama")
            .await?;
        ensure!(left.is_empty(), "{kind}: {:?}", names(&left));
    }
    Ok(())
}

async fn is_found_again_after_deletion(stage: &Stage) -> Result<()> {
    stage.delete("LMDeployment", "chat").await?;
    stage.gone("LMDeployment", "chat").await?;
    have_no_pods(stage, &PARTS).await?;
    let events = [
        "get",
        "events",
        "--field-selector=reason=Retained,involvedObject.kind=PersistentVolumeClaim",
        "-o",
        "jsonpath={.items[*].involvedObject.name}",
    ];
    let told = async || {
        let told = stage.namespace.kubectl(&events).await?;
        Ok(CLAIMS.iter().all(|claim| told.contains(claim)).then_some(()))
    };
    stage.namespace.until("an event at each claim", LIMIT, told).await?;
    // What the pages say finds it a year later.
    let found = [
        "get",
        "persistentvolumeclaims",
        "--selector=llm-deployment=chat",
        "--output=name",
    ];
    let found = stage.namespace.kubectl(&found).await?;
    assert_eq!(found.lines().count(), CLAIMS.len(), "{found}");
    stage.stack("chat", &whole(stage, None, &json!({}))).await?;
    ready(stage).await.map(drop)
}

async fn goes_where_it_is_not_to_be_kept(stage: &Stage) -> Result<()> {
    stage.stack("chat", &whole(stage, Some(false), &json!({}))).await?;
    let owned = async || {
        let claims = stage.list("PersistentVolumeClaim", "llm-deployment=chat").await?;
        let owned = claims
            .iter()
            .filter(|c| !c["metadata"]["ownerReferences"].is_null())
            .count();
        Ok((owned == CLAIMS.len()).then_some(()))
    };
    stage
        .namespace
        .until("each claim goes with its part", LIMIT, owned)
        .await?;
    // A change of mind comes before the part is off: that claim stays, and every other goes.
    let off = json!({
        "ollama": {"persistence": {"enabled": false}}, "openwebui": {"enabled": false},
        "tabby": {"enabled": false, "persistence": {"retain": true}},
    });
    stage.stack("chat", &whole(stage, Some(false), &off)).await?;
    for claim in CLAIMS.iter().filter(|claim| **claim != "chat-tabby-data") {
        stage.gone("PersistentVolumeClaim", claim).await?;
    }
    let stack = ready(stage).await?;
    let retained = stack["status"]["retained"].as_array().cloned().unwrap_or_default();
    ensure!(retained.iter().any(|r| r["name"] == "chat-tabby-data"), "{retained:?}");
    ensure!(
        stage.find("PersistentVolumeClaim", "chat-tabby-data").await?.is_some(),
        "it was to stay"
    );

    // The same when the stack is deleted.
    stage
        .stack(
            "chat",
            &whole(stage, Some(false), &json!({"openwebui": {"enabled": false}})),
        )
        .await?;
    stage
        .namespace
        .until("each claim goes with the stack", LIMIT, async || {
            let claims = stage.list("PersistentVolumeClaim", "llm-deployment=chat").await?;
            let owned = claims
                .iter()
                .filter(|c| !c["metadata"]["ownerReferences"].is_null())
                .count();
            Ok((owned == 2).then_some(()))
        })
        .await?;
    stage.delete("LMDeployment", "chat").await?;
    for claim in CLAIMS {
        stage.gone("PersistentVolumeClaim", claim).await?;
    }
    Ok(())
}
