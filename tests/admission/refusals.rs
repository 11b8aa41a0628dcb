//! One refusal for each rule: the path it names and the way out it gives.

use super::answers::stack;
use super::live::operator;
use anyhow::{Result, ensure};
use serde_json::{Value, json};

/// Where, what is said there, and the spec that is refused for it.
#[allow(clippy::too_many_lines, reason = "a table")]
fn ollama() -> Vec<(&'static str, &'static str, Value)> {
    let block = |block: Value| {
        let mut spec = json!({"ollama": {"models": ["tiny"]}});
        llm_operator::base::object::merge(&mut spec["ollama"], block);
        spec
    };
    vec![
        ("spec.ollama.replicas", "must be 1 to 10", block(json!({"replicas": 0}))),
        (
            "spec.ollama.models[0]",
            "Invalid value",
            block(json!({"models": ["a b"]})),
        ),
        (
            "spec.ollama.models[0].tag",
            "Invalid value",
            block(json!({"models": [{"name": "a:1", "tag": "2"}]})),
        ),
        (
            "spec.ollama.models[0]",
            "must be a string",
            block(json!({"models": [7]})),
        ),
        (
            "spec.ollama.models[0].colour",
            "is no field of a model",
            block(json!({"models": [{"name": "a", "colour": 1}]})),
        ),
        (
            "spec.ollama.models[0].pullPolicy",
            "Unsupported value",
            block(json!({"models": [{"name": "a", "pullPolicy": "Often"}]})),
        ),
        (
            "spec.ollama.models[1]",
            "is the same model as spec.ollama.models[0]",
            block(json!({"models": ["a", "a:latest"]})),
        ),
        (
            "spec.ollama.persistence.existingClaim",
            "several replicas need a claim",
            block(json!({
            "replicas": 2, "persistence": {"enabled": true, "existingClaim": "mine"}})),
        ),
        (
            "spec.ollama.persistence.size",
            "Invalid value",
            block(json!({"persistence": {"enabled": true, "size": "lots"}})),
        ),
        (
            "spec.ollama.service.port",
            "must be 1 to 65535",
            block(json!({"service": {"port": 0}})),
        ),
        (
            "spec.ollama.service.nodePort",
            "needs service.type NodePort",
            block(json!({"service": {"nodePort": 30000}})),
        ),
        (
            "spec.ollama.service.loadBalancerSourceRanges[0]",
            "is not a CIDR",
            block(json!({
            "service": {"type": "LoadBalancer", "loadBalancerSourceRanges": ["ten"]}})),
        ),
        (
            "spec.ollama.resources.requests[cpu]",
            "must not be above the limit",
            block(json!({
            "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}})),
        ),
        (
            "spec.ollama.resources.limits[memory]",
            "Invalid value",
            block(json!({"resources": {"limits": {"memory": "much"}}})),
        ),
        (
            "spec.ollama.env[0].name",
            "Invalid value",
            block(json!({"env": [{"name": "a=b", "value": "1"}]})),
        ),
        (
            "spec.ollama.env[0].name",
            "is set by the operator",
            block(json!({"env": [{"name": "OLLAMA_HOST", "value": "x"}]})),
        ),
        (
            "spec.ollama.env[0].name",
            "is set by spec.ollama.numParallel",
            block(json!({
            "numParallel": 2, "env": [{"name": "OLLAMA_NUM_PARALLEL", "value": "4"}]})),
        ),
        (
            "spec.ollama.envVars[0].name",
            "env and envVars are one list",
            block(json!({
            "env": [{"name": "A", "value": "1"}], "envVars": [{"name": "A", "value": "2"}]})),
        ),
        (
            "spec.ollama.volumes[0].name",
            "is a volume of the operator",
            block(json!({"volumes": [{"name": "data", "emptyDir": {}}]})),
        ),
        (
            "spec.ollama.volumeMounts[0].name",
            "names no volume",
            block(json!({"volumeMounts": [{"name": "x", "mountPath": "/x"}]})),
        ),
        (
            "spec.ollama.volumes[0].hostPath",
            "allowUnsafePods",
            block(json!({"volumes": [{"name": "x", "hostPath": {"path": "/"}}]})),
        ),
        (
            "spec.ollama.securityContext.privileged",
            "allowUnsafePods",
            block(json!({"securityContext": {"privileged": true}})),
        ),
        (
            "spec.ollama.securityContext.capabilities.add",
            "allowUnsafePods",
            block(json!({
            "securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}})),
        ),
        (
            "spec.ollama.priorityClassName",
            "allowUnsafePods",
            block(json!({"priorityClassName": "system-node-critical"})),
        ),
        (
            "spec.ollama.image",
            "Invalid value",
            block(json!({"image": "not an image"})),
        ),
        (
            "spec.ollama.keepAlive",
            "is not a duration",
            block(json!({"keepAlive": "soon"})),
        ),
        (
            "spec.ollama.gpu.resourceName",
            "is not an extended resource",
            block(json!({"gpu": {"vendor": "nvidia", "resourceName": "gpus"}})),
        ),
        (
            "spec.ollama.resources.limits[nvidia.com/gpu]",
            "must equal spec.ollama.gpu.count",
            block(json!({
            "gpu": {"vendor": "nvidia"}, "resources": {"limits": {"nvidia.com/gpu": 2}}})),
        ),
        (
            "spec.ollama.autoscaling.maxReplicas",
            "Required value",
            block(json!({"autoscaling": {"enabled": true}})),
        ),
        (
            "spec.ollama.autoscaling.maxReplicas",
            "must be 1 to 10",
            block(json!({"autoscaling": {"enabled": true, "maxReplicas": 11}})),
        ),
        (
            "spec.ollama.autoscaling.minReplicas",
            "must not be above maxReplicas, which is 2",
            block(json!({"autoscaling": {"enabled": true, "minReplicas": 3, "maxReplicas": 2}})),
        ),
        (
            "spec.ollama.autoscaling.metrics[0].type",
            "Unsupported value",
            block(json!({"autoscaling": {"enabled": true, "maxReplicas": 2, "metrics": [{"type": "Cpu"}]}})),
        ),
        (
            "spec.ollama.drainSeconds",
            "must be 0 to 3600",
            block(json!({"drainSeconds": -1})),
        ),
    ]
}

fn tabby() -> Vec<(&'static str, &'static str, Value)> {
    let block = |block: Value| {
        let mut spec = json!({"ollama": {"models": ["tiny"]}, "tabby": {"enabled": true}});
        llm_operator::base::object::merge(&mut spec["tabby"], block);
        spec
    };
    vec![
        (
            "spec.tabby.chatModel",
            "is not in spec.ollama.models",
            block(json!({"chatModel": "other"})),
        ),
        (
            "spec.tabby.completionModel",
            "is not in spec.ollama.models",
            block(json!({"completionModel": "tiny:7b"})),
        ),
        (
            "spec.tabby.modelName",
            "is not in spec.ollama.models",
            block(json!({"modelName": "other"})),
        ),
        (
            "spec.tabby.embeddingModel",
            "Invalid value",
            block(json!({"embeddingModel": "a b"})),
        ),
        (
            "spec.tabby.chatModel",
            "Tabby has no model to use",
            json!({"ollama": {"models": []}, "tabby": {"enabled": true}}),
        ),
        (
            "spec.tabby.replicas",
            "SQLite",
            block(json!({"replicas": 2, "persistence": {"enabled": true}})),
        ),
        ("spec.tabby.replicas", "must be 1 to 5", block(json!({"replicas": 6}))),
        (
            "spec.tabby.ingress.host",
            "Required value",
            block(json!({"ingress": {"enabled": true}})),
        ),
        (
            "spec.tabby.ingress.host",
            "Invalid value",
            block(json!({"ingress": {"host": "no host"}})),
        ),
        (
            "spec.tabby.gateway.parentRef.name",
            "a route needs a Gateway",
            block(json!({"gateway": {"host": "code.example.com"}})),
        ),
        (
            "spec.tabby.gateway.host",
            "would take every host",
            block(json!({"gateway": {"parentRef": {"name": "web"}}})),
        ),
        (
            "spec.tabby.gateway.parentRef.namespace",
            "is no name",
            block(json!({"gateway": {"parentRef": {"name": "web", "namespace": "No"}, "host": "code.example.com"}})),
        ),
        (
            "spec.tabby.ollamaServiceName",
            "is not the name of a Service",
            block(json!({"ollamaServiceName": "Not_One"})),
        ),
        (
            "spec.ollama.enabled",
            "the stack has no engine",
            json!({"ollama": {"enabled": false}}),
        ),
    ]
}

pub async fn each_rule_refuses_with_its_path() -> Result<()> {
    let place = operator::shared().await?.namespace("refusals").await?;
    let mut wrong = vec![];
    let cases = [ollama(), tabby()].concat();
    for (path, fragment, spec) in &cases {
        let said = place.refuses(&stack("chat", spec)).await;
        match said {
            Ok(said)
                if said.contains(&format!("{path}:")) && said.contains(fragment) && said.contains("is invalid") => {}
            Ok(said) => wrong.push(format!("{path}: {fragment}: {spec}\n{said}")),
            Err(error) => wrong.push(format!("{path}: {fragment}: {error:#}")),
        }
    }
    let long = "a".repeat(41);
    let said = place
        .refuses(&stack(&long, &json!({"ollama": {"models": ["tiny"]}})))
        .await?;
    ensure!(
        said.contains("metadata.name") && said.contains("40 characters"),
        "{said}"
    );
    ensure!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
    println!("{} rules, each with its path", cases.len() + 1);
    Ok(())
}

pub async fn what_cannot_change_is_refused() -> Result<()> {
    let place = operator::shared().await?.namespace("immutable").await?;
    let before = |persistence: Value| json!({"ollama": {"models": [], "persistence": persistence}});
    let fixed = json!({"enabled": true, "size": "2Gi", "storageClass": "none-such"});
    place.apply(&stack("chat", &before(fixed))).await?;
    for (path, fragment, persistence) in [
        (
            "spec.ollama.persistence.size",
            "claims cannot shrink",
            json!({"enabled": true, "size": "1Gi", "storageClass": "none-such"}),
        ),
        (
            "spec.ollama.persistence.storageClass",
            "Forbidden",
            json!({"enabled": true, "size": "2Gi", "storageClass": "other"}),
        ),
        (
            "spec.ollama.persistence.accessModes",
            "Forbidden",
            json!({
            "enabled": true, "size": "2Gi", "storageClass": "none-such", "accessModes": ["ReadWriteMany"]}),
        ),
    ] {
        let said = place.refuses(&stack("chat", &before(persistence))).await?;
        ensure!(
            said.contains(path) && said.contains(fragment),
            "{path}: {fragment}\n{said}"
        );
    }
    let model = |name: &str| {
        json!({
            "apiVersion": "ollama.smithforge.dev/v1alpha1", "kind": "OllamaModel", "metadata": {"name": "one"},
            "spec": {"name": name, "target": {"deploymentRef": {"name": "chat"}}},
        })
        .to_string()
    };
    place.apply(&model("tiny")).await?;
    let said = place.refuses(&model("other")).await?;
    ensure!(
        said.contains("spec.name") && said.contains("make another OllamaModel"),
        "{said}"
    );
    Ok(())
}
