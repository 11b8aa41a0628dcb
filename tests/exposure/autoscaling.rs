//! Who counts the replicas: the manifest, an autoscaler, and the manifest again. The cluster has no source of metrics, but
//! an autoscaler keeps to its bounds without one, and `kubectl scale` does what it would do.

use super::live::objects::{condition, names, uid};
use super::live::stage::Stage;
use anyhow::Result;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const WORKLOAD: &str = "chat-ollama";

pub async fn load_takes_over_without_a_pod_less() -> Result<()> {
    let stage = Stage::shared("autoscaling").await?;
    let small = json!({"requests": {"cpu": "10m", "memory": "32Mi"}});
    let spec = |ollama: Value| {
        let mut all = json!({"replicas": 4, "drainSeconds": 0, "resources": small.clone()});
        all.as_object_mut()
            .zip(ollama.as_object())
            .into_iter()
            .for_each(|(all, more)| all.extend(more.clone()));
        json!({"ollama": all})
    };
    stage.stack("chat", &spec(json!({}))).await?;
    stage.ready("chat").await?;
    let before = uids(&stage).await?;
    assert_eq!(before.len(), 4);

    let scaled = |least: i32, most: i32| {
        spec(json!({"autoscaling": {"enabled": true, "minReplicas": least, "maxReplicas": most}}))
    };
    stage.stack("chat", &scaled(1, 5)).await?;
    let bound = |most: i64| move |o: &Value| o["spec"]["maxReplicas"] == most;
    stage
        .until("is there", "HorizontalPodAutoscaler", WORKLOAD, bound(5))
        .await?;
    let told = |o: &Value| told_by(o) == ("False", "NotScaling");
    let stack = stage
        .until("says that it has no metrics", "LMDeployment", "chat", told)
        .await?;
    assert_eq!(
        (&stack["status"]["ready"], &stack["status"]["phase"]),
        (&json!("4/4"), &json!("Ready"))
    );
    assert_eq!(uids(&stage).await?, before, "no pod went and none came");
    assert_eq!(counters(&stage).await?, ["llm-operator/replicas"]);

    // Somebody else's count stays, whatever else changes.
    stage
        .namespace
        .kubectl(&["scale", "deployment", WORKLOAD, "--replicas=5"])
        .await?;
    let ready = |n: &'static str| move |o: &Value| o["status"]["ready"] == n && condition(o, "Ready").0 == "True";
    stage.until("has five", "LMDeployment", "chat", ready("5/5")).await?;
    let mut changed = scaled(1, 5);
    changed["ollama"]["podLabels"] = json!({"team": "search"});
    stage.stack("chat", &changed).await?;
    let rolled = |o: &Value| o["spec"]["template"]["metadata"]["labels"]["team"] == "search";
    let workload = stage.until("rolls", "Deployment", WORKLOAD, rolled).await?;
    assert_eq!(workload["spec"]["replicas"], 5);

    // The real autoscaler keeps to its bounds, and not to the manifest's count.
    stage.stack("chat", &scaled(1, 3)).await?;
    let three = |o: &Value| o["spec"]["replicas"] == 3;
    stage.until("is scaled down", "Deployment", WORKLOAD, three).await?;
    stage.until("has three", "LMDeployment", "chat", ready("3/3")).await?;

    let mut rest = scaled(2, 3);
    rest["suspend"] = true.into();
    stage.stack("chat", &rest).await?;
    stage.gone("HorizontalPodAutoscaler", WORKLOAD).await?;
    let asleep = |o: &Value| o["status"]["phase"] == "Suspended";
    stage.until("rests", "LMDeployment", "chat", asleep).await?;
    stage.stack("chat", &scaled(2, 3)).await?;
    stage
        .until("wakes with the fewest", "LMDeployment", "chat", ready("2/2"))
        .await?;

    stage.stack("chat", &spec(json!({}))).await?;
    stage.gone("HorizontalPodAutoscaler", WORKLOAD).await?;
    stage
        .until("is as the manifest says", "LMDeployment", "chat", ready("4/4"))
        .await?;
    assert_eq!(counters(&stage).await?, ["llm-operator/lmdeployment"]);
    Ok(())
}

/// What is said of the autoscaler: status and reason.
fn told_by(stack: &Value) -> (&str, &str) {
    let all = stack["status"]["ollamaStatus"]["conditions"].as_array();
    let found = all.into_iter().flatten().find(|c| c["type"] == "Scaling");
    let text = |field: &str| found.and_then(|c| c[field].as_str()).unwrap_or_default();
    (text("status"), text("reason"))
}

async fn uids(stage: &Stage) -> Result<BTreeSet<String>> {
    let pods = stage.pods("chat", "ollama").await?;
    assert!(!names(&pods).is_empty());
    Ok(pods.iter().map(|pod| uid(pod).to_string()).collect())
}

/// The managers that own the count of the workload.
async fn counters(stage: &Stage) -> Result<Vec<String>> {
    let workload = stage.get("Deployment", WORKLOAD).await?;
    let all = workload["metadata"]["managedFields"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let own = all.iter().filter(|m| !m["fieldsV1"]["f:spec"]["f:replicas"].is_null());
    Ok(own
        .map(|m| m["manager"].as_str().unwrap_or_default().to_string())
        .collect())
}
