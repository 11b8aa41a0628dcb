//! What the pods of every component have.

use super::*;

fn deployment(spec: &str) -> Object {
    get(&Cluster::default().desired(&stack(spec)), "Deployment", "chat-ollama").clone()
}

#[test]
fn no_variable_stands_twice() {
    let object = deployment(
        "
        ollama:
          numParallel: 2
          env: [{name: OLLAMA_HOST, value: evil}, {name: OLLAMA_NO_CLOUD, value: '0'}, {name: A, value: first}]
          envVars: [{name: A, value: last}, {name: OLLAMA_NUM_PARALLEL, value: '9'}]
        ",
    );
    assert_eq!(variable(&object, "OLLAMA_HOST"), ["0.0.0.0:11434"]);
    assert_eq!(variable(&object, "OLLAMA_NUM_PARALLEL"), ["2"]);
    assert_eq!(variable(&object, "OLLAMA_NO_CLOUD"), ["0"]);
    assert_eq!(variable(&object, "A"), ["last"]);
}

#[test]
fn a_gpu_is_hidden_only_from_those_who_ask_for_none() {
    let hidden = |spec: &str| variable(&deployment(spec), "NVIDIA_VISIBLE_DEVICES").len() == 1;
    assert!(hidden("ollama: {}"));
    assert!(!hidden("ollama: {gpu: {vendor: nvidia}}"));
    assert!(!hidden("ollama: {resources: {limits: {nvidia.com/gpu: 1}}}"));
    assert!(!hidden("ollama: {runtimeClassName: nvidia}"));
}

#[test]
fn a_part_of_a_gpu_is_on_the_same_nodes_as_a_whole_one() {
    let object = deployment("ollama: {gpu: {vendor: nvidia, resourceName: nvidia.com/mig-1g.10gb}}");
    let spec = &object.body["spec"]["template"]["spec"];
    let keys: Vec<&Value> = spec["tolerations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| &t["key"])
        .collect();
    assert_eq!(keys, ["nvidia.com/gpu", "nvidia.com/mig-1g.10gb"]);
    assert_eq!(
        spec["containers"][0]["resources"]["limits"],
        json!({"nvidia.com/mig-1g.10gb": 1})
    );
}

#[test]
fn resources_are_those_of_the_manifest_without_storage() {
    let object = deployment("ollama: {resources: {requests: {cpu: 1, storage: 9Gi}}, gpu: {vendor: amd, count: 2}}");
    let container = &object.body["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(
        container["resources"],
        json!({"requests": {"cpu": 1}, "limits": {"amd.com/gpu": 2}})
    );
    assert_eq!(container["image"], "ollama/ollama:0.32.15-rocm");
    let only = deployment("ollama: {resources: {requests: {cpu: 1}}}");
    let container = &only.body["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["resources"], json!({"requests": {"cpu": 1}}));
}

#[test]
fn the_pods_of_a_rollout_fit_where_there_is_no_spare_room() {
    let strategy = |spec: &str| deployment(spec).body["spec"]["strategy"].clone();
    let rolling = |surge: i32| json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": 1 - surge}});
    assert_eq!(strategy("ollama: {}"), rolling(1));
    assert_eq!(strategy("ollama: {gpu: {vendor: nvidia}}"), rolling(0));
    assert_eq!(
        strategy("ollama: {resources: {limits: {nvidia.com/gpu: 1}}}"),
        rolling(0)
    );
    let one = "ollama: {persistence: {enabled: true, existingClaim: mine}}";
    assert_eq!(strategy(one), json!({"type": "Recreate"}));
    let many = "ollama: {persistence: {enabled: true, existingClaim: mine, accessModes: [ReadWriteMany]}}";
    assert_eq!(strategy(many), rolling(1));
}

#[test]
fn a_stopping_pod_drains_within_its_grace() {
    let of = |seconds: i32| {
        let object = deployment(&format!("ollama: {{drainSeconds: {seconds}}}"));
        let spec = object.body["spec"]["template"]["spec"].clone();
        (
            spec["containers"][0]["lifecycle"].clone(),
            spec["terminationGracePeriodSeconds"].clone(),
        )
    };
    assert_eq!(of(90), (json!({"preStop": {"sleep": {"seconds": 90}}}), json!(100)));
    assert_eq!(of(0), (Value::Null, json!(10)));
    assert_eq!(of(-100), (Value::Null, json!(10)));
}

#[test]
fn labels_of_the_manifest_do_not_replace_ours() {
    let object = deployment("ollama: {podLabels: {app: mine, llm-deployment: other, team: ml}}");
    let labels = &object.body["spec"]["template"]["metadata"]["labels"];
    assert_eq!(
        (&labels["app"], &labels["llm-deployment"], &labels["team"]),
        (&json!("ollama"), &json!("chat"), &json!("ml"))
    );
    assert_eq!(labels["app.kubernetes.io/version"], Value::Null);
}

#[test]
fn what_is_no_label_is_not_made_one() {
    let version = |image: &str| {
        deployment(&format!("ollama: {{image: '{image}'}}")).body["metadata"]["labels"]["app.kubernetes.io/version"]
            .clone()
    };
    assert_eq!(version("a:1.0"), "1.0");
    assert_eq!(version("a:1.0-"), Value::Null);
    assert_eq!(
        version("a@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        Value::Null
    );
}
