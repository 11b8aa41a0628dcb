//! Claims, and what becomes of them.

use super::*;

const KEPT: &str = "ollama: {replicas: 2, persistence: {enabled: true, size: 10Gi}}";

#[test]
fn what_a_claim_cannot_follow_is_told() {
    let settings = Settings::default();
    let cluster =
        Cluster::default()
            .claim("data-chat-ollama-0", "20Gi", "slow")
            .claim("chat-tabby-data", "1Gi", "slow");
    let said = |spec: &str| -> Vec<String> {
        let issues = stack(spec).check_live(&cluster.seen(&settings, &owner()));
        assert!(
            issues.iter().all(|i| !i.fatal),
            "the stack goes on with the claims as they are"
        );
        issues.iter().map(ToString::to_string).collect()
    };
    assert_eq!(said(KEPT), [""; 0], "a larger claim of the cluster's own class is fine");
    assert_eq!(
        said("ollama: {persistence: {enabled: true, storageClass: fast}}"),
        [
            "spec.ollama.persistence.storageClass: Invalid value: \"fast\": PersistentVolumeClaim data-chat-ollama-0 \
          has \"slow\" and keeps it: put that here, or delete the claim with its data"
        ]
    );
    let shared = "tabby: {enabled: true, persistence: {enabled: true, accessModes: [ReadWriteMany]}}";
    let shared = said(&format!("{{ollama: {{models: [a]}}, {shared}}}"));
    assert!(
        shared.len() == 1 && shared[0].contains("chat-tabby-data has [\"ReadWriteOnce\"]"),
        "{shared:?}"
    );
    assert_eq!(
        said("ollama: {persistence: {enabled: true, storageClass: slow}}"),
        [""; 0]
    );
}

fn template(objects: &[Object]) -> Value {
    get(objects, "StatefulSet", "chat-ollama").body["spec"]["volumeClaimTemplates"][0]["spec"].clone()
}

#[test]
fn claims_grow_one_by_one_and_templates_stay() {
    let live = json!({"spec": {"replicas": 2, "volumeClaimTemplates": [{
        "metadata": {"name": "data", "creationTimestamp": null}, "status": {"phase": "Pending"},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "slow", "volumeMode": "Filesystem",
                 "resources": {"requests": {"storage": "5Gi"}}},
    }]}});
    let cluster = Cluster::default()
        .with("apps/v1", "StatefulSet", "chat-ollama", live)
        .claim("data-chat-ollama-0", "5Gi", "slow")
        .claim("data-chat-ollama-1", "10Gi", "slow")
        .claim("other", "1Gi", "slow");
    let objects = cluster.desired(&stack(KEPT));
    let grown: Vec<&Object> = objects
        .iter()
        .filter(|o| o.resource.kind == "PersistentVolumeClaim")
        .collect();
    assert_eq!(grown.len(), 1);
    assert_eq!(grown[0].name, "data-chat-ollama-0");
    assert_eq!(
        grown[0].body["spec"],
        json!({"resources": {"requests": {"storage": "10Gi"}}})
    );
    assert_eq!(
        template(&objects),
        json!({"accessModes": ["ReadWriteOnce"], "storageClassName": "slow", "resources": {"requests": {"storage": "5Gi"}}})
    );
}

#[test]
fn what_is_sent_again_is_what_was_sent_first() {
    let stack = stack(KEPT);
    let first = Cluster::default().desired(&stack);
    let body = get(&first, "StatefulSet", "chat-ollama").body.clone();
    let mut stored = body.clone();
    stored["spec"]["volumeClaimTemplates"][0]["spec"]["volumeMode"] = "Filesystem".into();
    stored["spec"]["volumeClaimTemplates"][0]["status"] = json!({"phase": "Pending"});
    let cluster = Cluster {
        live: vec![serde_json::from_value(stored).unwrap()],
        ..Cluster::default()
    };
    assert_eq!(get(&cluster.desired(&stack), "StatefulSet", "chat-ollama").body, body);
}

#[test]
fn claims_that_are_not_used_are_left_alone() {
    let cluster = || Cluster::default().claim("data-chat-ollama-0", "5Gi", "slow");
    for spec in ["ollama: {}", "ollama: {persistence: {enabled: true, existingClaim: x}}"] {
        let objects = cluster().desired(&stack(spec));
        assert!(
            objects.iter().all(|o| o.resource.kind != "PersistentVolumeClaim"),
            "{spec}"
        );
    }
    assert!(find::<PersistentVolumeClaim>(&cluster().live, "data-chat-ollama-0").is_some());
}

#[test]
fn claims_go_with_the_object_only_where_that_is_asked_for() {
    let policy = |spec: &str| {
        let objects = Cluster::default().desired(&stack(spec));
        get(&objects, "StatefulSet", "chat-ollama").body["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"]
            .clone()
    };
    assert_eq!(policy(KEPT), "Retain");
    assert_eq!(
        policy("ollama: {persistence: {enabled: true, retain: false}}"),
        "Delete"
    );
}
