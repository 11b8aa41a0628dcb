//! The older names of `LMDeployment`, and a stack that goes from one of them to another.

use super::live::objects::{condition, is_observed, message, names, uid};
use super::live::operator;
use super::live::stage::Stage;
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const GROUP: &str = "llm.geeper.io/v1alpha1";
const TAKE_OVER: &str = "llm.geeper.io/take-over-from";

fn manifest(kind: &str, name: &str, from: Option<&str>, spec: &Value) -> String {
    let mut object = json!({"apiVersion": GROUP, "kind": kind, "metadata": {"name": name}, "spec": spec});
    if let Some(from) = from {
        object["metadata"]["annotations"] = json!({TAKE_OVER: from});
    }
    object.to_string()
}

fn spec(stage: &Stage, ollama: &Value) -> Value {
    let small = json!({"requests": {"cpu": "10m", "memory": "64Mi"}});
    let mut block = json!({"drainSeconds": 0, "resources": small, "models": [stage.item("tiny")]});
    llm_operator::base::object::merge(&mut block, ollama.clone());
    json!({"ollama": block})
}

fn is_ready(object: &Value) -> bool {
    is_observed(object) && condition(object, "Ready").0 == "True"
}

async fn conflict(stage: &Stage, kind: &str, name: &str, says: &str) -> Result<()> {
    let is = |o: &Value| is_observed(o) && condition(o, "Ready") == ("False", "Conflict");
    let object = stage.until("says who has the stack", kind, name, is).await?;
    let told = message(&object, "Ready");
    ensure!(told.contains(says), "{says}: {told}");
    assert_eq!(object["status"]["phase"], "Failed");
    Ok(())
}

/// Everything that has one of the documented labels, as its kind and name with its uid.
async fn labelled(stage: &Stage, label: &str) -> Result<BTreeMap<String, String>> {
    let kinds = [
        "Deployment",
        "StatefulSet",
        "Service",
        "ConfigMap",
        "Secret",
        "ServiceAccount",
        "PersistentVolumeClaim",
        "Pod",
        "NetworkPolicy",
        "OllamaModel",
    ];
    let mut all = BTreeMap::new();
    for kind in kinds {
        for object in stage.list(kind, label).await? {
            all.insert(
                format!("{kind} {}", super::live::objects::name(&object)),
                uid(&object).to_string(),
            );
        }
    }
    Ok(all)
}

pub async fn a_stack_of_an_older_kind_is_a_stack() -> Result<()> {
    let stage = Stage::shared("older-kind").await?;
    stage
        .namespace
        .apply(&manifest("OllamaDeployment", "chat", None, &spec(&stage, &json!({}))))
        .await?;
    let stack = stage.until("is Ready", "OllamaDeployment", "chat", is_ready).await?;
    assert_eq!(stack["spec"]["ollama"]["replicas"], 1, "the webhooks fill it in");
    assert!(!stage.ask("chat", &stage.model("tiny")).await?.is_empty());
    let (new, old) = (
        labelled(&stage, "llm-deployment=chat").await?,
        labelled(&stage, "ollama-deployment=chat").await?,
    );
    assert_eq!(new, old, "both documented labels list the same");
    ensure!(new.keys().any(|k| k.starts_with("OllamaModel ")), "{new:?}");
    let said = stage
        .namespace
        .refuses(&manifest(
            "OllamaDeployment",
            "chat",
            None,
            &spec(&stage, &json!({"replicas": 11})),
        ))
        .await?;
    ensure!(said.contains("spec.ollama.replicas"), "{said}");
    let listed = stage.namespace.kubectl(&["get", "llm"]).await?;
    ensure!(listed.contains("ollamadeployment.llm.geeper.io/chat"), "{listed}");

    // The other older name shadows nothing: `deployments` are still those of the cluster.
    stage
        .namespace
        .apply(&manifest("Deployment", "code", None, &json!({"suspend": true})))
        .await?;
    let listed = stage.namespace.kubectl(&["get", "deployments", "-o", "name"]).await?;
    ensure!(
        listed.contains("deployment.apps/chat-ollama") && !listed.contains("llm.geeper.io"),
        "{listed}"
    );
    let rested = [
        "get",
        "deployments.llm.geeper.io",
        "code",
        "-o",
        "jsonpath={.status.phase}",
    ];
    let check = async || Ok((stage.namespace.kubectl(&rested).await? == "Suspended").then_some(()));
    stage.namespace.until("it rests", super::live::LIMIT, check).await?;

    // A model of one's own names the stack by its kind.
    let target = json!({"deploymentRef": {"kind": "OllamaDeployment", "name": "chat"}});
    let model = json!({
        "apiVersion": "ollama.smithforge.dev/v1alpha1", "kind": "OllamaModel", "metadata": {"name": "mine"},
        "spec": {"name": stage.model("embed"), "insecure": true, "target": target},
    });
    stage.namespace.apply(&model.to_string()).await?;
    stage.until("is there", "OllamaModel", "mine", is_ready).await?;
    stage.delete("OllamaDeployment", "chat").await?;
    stage.gone("OllamaDeployment", "chat").await?;
    stage.gone("Deployment", "chat-ollama").await
}

pub async fn two_of_one_name_do_not_fight() -> Result<()> {
    let stage = Stage::shared("one-name").await?;
    let spec = spec(&stage, &json!({}));
    stage
        .namespace
        .apply(&manifest("LMDeployment", "chat", None, &spec))
        .await?;
    let first = stage.ready("chat").await?;
    stage
        .namespace
        .apply(&manifest("OllamaDeployment", "chat", None, &spec))
        .await?;
    let holder = format!("LMDeployment chat (uid {})", uid(&first));
    conflict(&stage, "OllamaDeployment", "chat", &holder).await?;
    let before = labelled(&stage, "llm-deployment=chat").await?;
    stage.ready("chat").await?;
    assert_eq!(
        labelled(&stage, "llm-deployment=chat").await?,
        before,
        "nothing was made again"
    );

    stage.delete("LMDeployment", "chat").await?;
    let second = stage.until("has it now", "OllamaDeployment", "chat", is_ready).await?;
    let deployment = stage.get("Deployment", "chat-ollama").await?;
    assert_eq!(uid_of_owner(&deployment), uid(&second));
    Ok(())
}

fn uid_of_owner(object: &Value) -> &str {
    object["metadata"]["ownerReferences"][0]["uid"]
        .as_str()
        .unwrap_or_default()
}

pub async fn a_stack_changes_its_kind_and_keeps_its_pods() -> Result<()> {
    let stage = Stage::shared("new-kind").await?;
    // Models in the pod alone: a pod that were made again would have lost them.
    let spec = spec(&stage, &json!({}));
    stage
        .namespace
        .apply(&manifest("OllamaDeployment", "chat", None, &spec))
        .await?;
    stage.until("is Ready", "OllamaDeployment", "chat", is_ready).await?;
    let before = labelled(&stage, "llm-deployment=chat").await?;
    stage.registry.wire().forget();

    let from = Some("OllamaDeployment/chat");
    stage
        .namespace
        .apply(&manifest("LMDeployment", "chat", from, &spec))
        .await?;
    let new = stage.ready("chat").await?;
    conflict(&stage, "OllamaDeployment", "chat", "has taken this stack over").await?;
    same_but_models(&before, &labelled(&stage, "llm-deployment=chat").await?);
    for kind in ["Deployment", "Service", "ConfigMap"] {
        for object in stage.list(kind, "llm-deployment=chat").await? {
            let owners = object["metadata"]["ownerReferences"].as_array().map_or(0, Vec::len);
            assert_eq!((owners, uid_of_owner(&object)), (1, uid(&new)), "{object}");
            let text = object["metadata"]["managedFields"].to_string();
            ensure!(
                !text.contains("llm-operator/ollamadeployment"),
                "the older kind manages nothing: {text}"
            );
        }
    }
    stage.delete("OllamaDeployment", "chat").await?;
    stage.gone("OllamaDeployment", "chat").await?;
    assert!(!stage.ask("chat", &stage.model("tiny")).await?.is_empty());
    // What was told apart by its kind before is the same stack now, with and without the annotation.
    stage
        .namespace
        .apply(&manifest("LMDeployment", "chat", None, &spec))
        .await?;
    stage.ready("chat").await?;
    same_but_models(&before, &labelled(&stage, "llm-deployment=chat").await?);
    let asked: Vec<String> = stage.registry.wire().requests().into_iter().map(|r| r.path).collect();
    assert!(asked.is_empty(), "no model was pulled again: {asked:?}");
    Ok(())
}

/// The objects of a model are named after their owner, so those are others.
fn same_but_models(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) {
    let without = |all: &BTreeMap<String, String>| {
        let mut all = all.clone();
        all.retain(|title, _| !title.starts_with("OllamaModel "));
        all
    };
    assert_eq!(without(before), without(after));
}

pub async fn what_was_kept_for_another_kind_is_taken_up() -> Result<()> {
    let stage = Stage::shared("kept-kind").await?;
    let spec = spec(&stage, &json!({"persistence": {"enabled": true, "size": "1Gi"}}));
    stage
        .namespace
        .apply(&manifest("OllamaDeployment", "chat", None, &spec))
        .await?;
    stage.until("is Ready", "OllamaDeployment", "chat", is_ready).await?;
    let claims = stage.list("PersistentVolumeClaim", "llm-deployment=chat").await?;
    assert_eq!(names(&claims), ["data-chat-ollama-0"]);
    assert_eq!(
        labelled(&stage, "llm-deployment=chat").await?,
        labelled(&stage, "ollama-deployment=chat").await?,
        "both documented labels list the claims as well"
    );
    let pod = uid(&stage.get("Pod", "chat-ollama-0").await?).to_string();

    // Once while it lives, with its pod running on, and once when only the claim is left.
    let from = Some("OllamaDeployment/chat");
    stage
        .namespace
        .apply(&manifest("LMDeployment", "chat", from, &spec))
        .await?;
    stage.ready("chat").await?;
    assert_eq!(
        uid(&stage.get("Pod", "chat-ollama-0").await?),
        pod,
        "the pod of the claim runs on"
    );
    let kept = async |kind: &str| {
        let claim = stage.get("PersistentVolumeClaim", "data-chat-ollama-0").await?;
        assert_eq!(uid(&claim), uid(&claims[0]));
        let note = &claim["metadata"]["annotations"]["llm.geeper.io/retained-for"];
        assert_eq!(*note, format!("{kind}/chat"));
        anyhow::Ok(())
    };
    kept("LMDeployment").await?;
    stage.delete("OllamaDeployment", "chat").await?;
    stage.gone("OllamaDeployment", "chat").await?;
    stage.delete("LMDeployment", "chat").await?;
    stage.gone("LMDeployment", "chat").await?;
    stage.gone("Pod", "chat-ollama-0").await?;
    kept("LMDeployment").await?;

    stage.registry.wire().forget();
    let back = Some("LMDeployment/chat");
    stage
        .namespace
        .apply(&manifest("OllamaDeployment", "chat", back, &spec))
        .await?;
    stage.until("is Ready", "OllamaDeployment", "chat", is_ready).await?;
    kept("OllamaDeployment").await?;
    let asked: Vec<String> = stage.registry.wire().requests().into_iter().map(|r| r.path).collect();
    assert!(asked.is_empty(), "the model is on the claim: {asked:?}");
    Ok(())
}

/// The older kinds are not installed: on purpose, or because somebody removed them under an operator that looks after them.
pub async fn without_the_older_kinds_all_else_goes_on() -> Result<()> {
    let alone = operator::alone("older-left").await?;
    let removed = [
        "delete",
        "crd",
        "ollamadeployments.llm.geeper.io",
        "deployments.llm.geeper.io",
    ];
    alone.kubectl(&removed).await?;
    for (name, legacy) in [("unwatched", false), ("absent", true)] {
        alone.scale(0).await?;
        let values = json!({"crds": {"enabled": false, "legacyNames": legacy}});
        alone.install_with(&values).await?;
        let stage = Stage::on(&alone, name).await?;
        stage.stack("chat", &spec(&stage, &json!({}))).await?;
        stage.ready("chat").await?;
        let pods = [
            "-n",
            operator::NAMESPACE,
            "get",
            "pods",
            "-o",
            "jsonpath={.items[*].status.containerStatuses[*].restartCount}",
        ];
        let restarts = alone.kubectl(&pods).await?;
        ensure!(restarts.split_whitespace().all(|n| n == "0"), "{name}: {restarts}");
        let logs = operator::logs(&alone).await;
        let absent = logs.matches("not installed").count();
        assert_eq!(absent, if legacy { 2 } else { 0 }, "each is told once: {logs}");
        ensure!(!logs.contains("watch failed"), "{name}: {logs}");
    }
    // They come back without a restart.
    alone.install().await?;
    let stage = Stage::on(&alone, "back").await?;
    stage
        .namespace
        .apply(&manifest("OllamaDeployment", "chat", None, &spec(&stage, &json!({}))))
        .await?;
    stage
        .until("is Ready", "OllamaDeployment", "chat", is_ready)
        .await
        .map(drop)
}
