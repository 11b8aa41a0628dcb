//! From nothing to an answer, and back to nothing.

use super::live::objects::{condition, name, names, uid};
use super::live::stage::Stage;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

pub async fn six_lines_become_a_model_that_answers() -> Result<()> {
    let stage = Stage::shared("six-lines").await?;
    let manifest = format!(
        "apiVersion: llm.geeper.io/v1alpha1
kind: LMDeployment
metadata: {{name: chat}}
spec:
  ollama:
    models: [{{name: {}, insecure: true}}]
",
        stage.model("tiny")
    );
    assert_eq!(manifest.lines().count(), 6);
    stage.namespace.apply(&manifest).await?;
    let stack = stage.ready("chat").await?;
    let filled = json!({
        "replicas": 1, "drainSeconds": 30,
        "service": {"type": "ClusterIP", "port": 11434},
        "models": [stage.item("tiny")],
    });
    assert_eq!(stack["spec"]["ollama"], filled, "what runs can be read back");
    assert_eq!(stack["spec"]["networkPolicy"], json!({"enabled": true}));
    let pieces = stage.ask("chat", &stage.model("tiny")).await?;
    assert!(pieces.len() > 1, "the answer is a stream: {pieces:?}");

    let status = &stack["status"];
    assert_eq!(status["phase"], "Ready");
    assert_eq!(
        (&status["readyReplicas"], &status["totalReplicas"]),
        (&json!(1), &json!(1))
    );
    for (kind, expected) in [
        ("Valid", ("True", "Accepted")),
        ("ModelsReady", ("True", "ModelsReady")),
        ("Progressing", ("False", "Reconciled")),
        ("Reconciling", ("False", "Reconciled")),
        ("Stalled", ("False", "Reconciled")),
        ("Degraded", ("False", "Reconciled")),
    ] {
        assert_eq!(condition(&stack, kind), expected, "{kind}");
    }
    let model = &status["models"][0];
    assert_eq!((&model["state"], &model["readyOn"]), (&json!("ready"), &json!("1/1")));
    assert_eq!(model["name"], format!("{}:latest", stage.model("tiny")));
    table(&stage).await
}

/// What `kubectl get lmd` prints.
async fn table(stage: &Stage) -> Result<()> {
    let printed = stage.namespace.kubectl(&["get", "lmd"]).await?;
    let rows: Vec<Vec<&str>> = printed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NAME", "PHASE", "READY", "MODELS", "URL", "AGE"]);
    let url = format!("http://chat-ollama.{}.svc:11434", stage.namespace.name());
    assert_eq!(rows[1][..5], ["chat", "Ready", "1/1", "1/1", &url], "{printed}");
    let wide = stage.namespace.kubectl(&["get", "ollamadep", "-o", "wide"]).await?;
    let images =
        wide.contains("OLLAMA-IMAGE") && wide.contains("localhost/ollama:0.24.0") && wide.contains("Reconciled");
    ensure!(images, "{wide}");
    let models = stage.namespace.kubectl(&["get", "ollamamodels"]).await?;
    let rows: Vec<Vec<&str>> = models.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NAME", "MODEL", "STATE", "PROGRESS", "SIZE", "ON", "AGE"]);
    let model = format!("{}:latest", stage.model("tiny"));
    assert_eq!(rows[1][1..4], [&model, "ready", "100"], "{models}");
    let events = stage
        .namespace
        .kubectl(&["get", "events", "--field-selector=involvedObject.kind=LMDeployment"])
        .await?;
    ensure!(
        events.contains("everything is as the manifest says"),
        "an event tells of it: {events}"
    );
    Ok(())
}

/// Kind and name of everything of a stack with Ollama alone, but for its model and its pods.
const OBJECTS: [(&str, &[&str]); 6] = [
    ("Deployment", &["chat-ollama"]),
    ("Service", &["chat-ollama", "chat-ollama-headless"]),
    ("ServiceAccount", &["chat-ollama"]),
    ("ConfigMap", &["chat-ollama-models"]),
    ("NetworkPolicy", &["chat-ollama"]),
    ("PodDisruptionBudget", &["chat-ollama"]),
];

pub async fn objects_have_the_documented_names_and_labels() -> Result<()> {
    let stage = Stage::shared("objects").await?;
    let spec = json!({"ollama": {"replicas": 2, "drainSeconds": 0, "models": [stage.item("tiny")]}});
    stage.stack("chat", &spec).await?;
    let stack = stage.ready("chat").await?;
    for (kind, expected) in OBJECTS {
        for label in ["ollama-deployment=chat", "llm-deployment=chat"] {
            let found = stage.list(kind, label).await?;
            assert_eq!(names(&found), expected, "{kind} with the label {label}");
            for object in &found {
                check_labels(object, &stack);
            }
        }
    }
    let models = stage.list("OllamaModel", "llm-deployment=chat").await?;
    let [model] = &models[..] else {
        anyhow::bail!("one model: {models:?}")
    };
    let (start, hash) = name(model).rsplit_once('-').context("a name with a hash")?;
    assert_eq!(start, "chat-tiny-latest");
    assert!(hash.len() == 6 && hash.bytes().all(|b| b.is_ascii_hexdigit()), "{hash}");
    check_labels(model, &stack);
    for pod in stage.list("Pod", "ollama-deployment=chat,llm-deployment=chat").await? {
        assert_eq!(pod["metadata"]["labels"]["app"], "ollama");
        check_pod(&pod);
    }
    Ok(())
}

fn check_labels(object: &Value, stack: &Value) {
    let labels = &object["metadata"]["labels"];
    for (key, value) in [
        ("app", "ollama"),
        ("app.kubernetes.io/name", "ollama"),
        ("app.kubernetes.io/instance", "chat"),
        ("app.kubernetes.io/component", "ollama"),
        ("app.kubernetes.io/part-of", "llm-operator"),
        ("app.kubernetes.io/managed-by", "llm-operator"),
    ] {
        assert_eq!(labels[key], value, "{key} of {}", name(object));
    }
    let owner = &object["metadata"]["ownerReferences"][0];
    assert_eq!(
        (&owner["kind"], &owner["uid"]),
        (&json!("LMDeployment"), &stack["metadata"]["uid"])
    );
}

/// The namespace enforces `restricted`; what it does not look at is looked at here.
fn check_pod(pod: &Value) {
    let spec = &pod["spec"];
    assert_eq!(spec["automountServiceAccountToken"], false);
    assert_eq!(spec["enableServiceLinks"], false);
    assert_eq!(spec["serviceAccountName"], "chat-ollama");
    let container = &spec["containers"][0];
    assert_eq!(container["name"], "ollama");
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
}

pub async fn a_killed_server_comes_back() -> Result<()> {
    let stage = Stage::shared("killed-server").await?;
    let spec = json!({"ollama": {"drainSeconds": 0, "models": [stage.item("tiny")]}});
    stage.stack("chat", &spec).await?;
    stage.ready("chat").await?;
    let pods = stage.pods("chat", "ollama").await?;
    let old = name(&pods[0]).to_string();
    stage
        .namespace
        .kubectl(&["delete", "pod", &old, "--grace-period=0", "--force"])
        .await?;
    stage
        .until("its server is gone or replaced", "LMDeployment", "chat", |s| {
            s["status"]["phase"] != "Ready"
        })
        .await?;
    stage.ready("chat").await?;
    let pods = stage.pods("chat", "ollama").await?;
    assert_ne!(name(&pods[0]), old);
    assert!(!stage.ask("chat", &stage.model("tiny")).await?.is_empty());
    Ok(())
}

pub async fn what_is_deleted_leaves_only_the_data() -> Result<()> {
    let stage = Stage::shared("deletion").await?;
    for (stack, retain) in [("keep", true), ("drop", false)] {
        let persistence = json!({"enabled": true, "size": "1Gi", "retain": retain});
        let spec = json!({"ollama": {"drainSeconds": 0, "persistence": persistence, "models": [stage.item("tiny")]}});
        stage.stack(stack, &spec).await?;
    }
    for stack in ["keep", "drop"] {
        stage.ready(stack).await?;
        stage.delete("LMDeployment", stack).await?;
    }
    for stack in ["keep", "drop"] {
        stage.gone("LMDeployment", stack).await?;
        let labels = format!("llm-deployment={stack}");
        for kind in [
            "StatefulSet",
            "OllamaModel",
            "Pod",
            "ConfigMap",
            "Service",
            "ServiceAccount",
            "NetworkPolicy",
        ] {
            let check = async || Ok(stage.list(kind, &labels).await?.is_empty().then_some(()));
            let what = format!("every {kind} of {stack} is gone");
            stage.namespace.until(&what, super::live::LIMIT, check).await?;
        }
    }
    stage.gone("PersistentVolumeClaim", "data-drop-ollama-0").await?;
    let claim = stage.get("PersistentVolumeClaim", "data-keep-ollama-0").await?;
    assert_eq!(
        claim["metadata"]["annotations"]["llm.geeper.io/retained-for"],
        "LMDeployment/keep"
    );
    assert!(claim["metadata"]["deletionTimestamp"].is_null(), "{claim}");
    Ok(())
}

pub async fn what_is_made_again_at_once_waits_for_its_former_self() -> Result<()> {
    let stage = Stage::shared("again").await?;
    let persistence = json!({"enabled": true, "size": "1Gi"});
    let spec = json!({"ollama": {"drainSeconds": 0, "persistence": persistence, "models": [stage.item("tiny")]}});
    stage.stack("chat", &spec).await?;
    let former = stage.ready("chat").await?;
    let workload = stage.get("StatefulSet", "chat-ollama").await?;

    stage.delete("LMDeployment", "chat").await?;
    stage.stack("chat", &spec).await?;
    let stack = stage.ready("chat").await?;
    assert_ne!(uid(&stack), uid(&former));
    assert_ne!(uid(&stage.get("StatefulSet", "chat-ollama").await?), uid(&workload));
    let child = stage.child("chat", "tiny").await?;
    check_labels(&stage.get("OllamaModel", &child).await?, &stack);
    assert!(!stage.ask("chat", &stage.model("tiny")).await?.is_empty());
    let events = stage.namespace.kubectl(&["get", "events"]).await?;
    ensure!(
        !events.contains("Conflict"),
        "its own former objects are in its way: {events}"
    );
    Ok(())
}
