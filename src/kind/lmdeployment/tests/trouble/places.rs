//! Pods without a place to run: no node, no claim, no room in the quota.

use super::*;
use jiff::SignedDuration;

fn unscheduled(message: &str) -> Value {
    let scheduled = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message});
    json!({"phase": "Pending", "conditions": [scheduled]})
}

#[test]
fn a_pod_that_no_node_takes() {
    let message = "0/1 nodes are available: 1 Insufficient memory. no new claims to deallocate, preemption: 0/1 nodes are available";
    let cluster = Cluster::default().pod("a", "tabby", &unscheduled(message));
    let expected = told(
        "Unschedulable",
        "Pod a: no node takes it: 0/1 nodes are available: 1 Insufficient memory; lower spec.tabby.resources.requests, or \
         make room on a node",
    );
    assert_eq!(said(&cluster), expected);
}

#[test]
fn a_claim_that_is_not_bound() {
    let unbound = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: x";
    let pod = |status: &Value| {
        let mut cluster = Cluster::default()
            .claim("chat-tabby-data", "1Gi", "fast")
            .pod("a", "tabby", status);
        let volumes = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "chat-tabby-data"}}]);
        cluster.live[1].data["spec"] = json!({"volumes": volumes});
        cluster
    };
    let silent = told(
        "ClaimPending",
        "Pod a: PersistentVolumeClaim chat-tabby-data is not bound; kubectl describe pvc chat-tabby-data tells more",
    );
    assert_eq!(said(&pod(&unscheduled(unbound))), silent);
    let of = ("PersistentVolumeClaim", "chat-tabby-data");
    let cause = r#"storageclass.storage.k8s.io "fast" not found"#;
    let expected = told(
        "ClaimPending",
        &format!(
            "Pod a: PersistentVolumeClaim chat-tabby-data is not bound: {cause}; make that StorageClass, or delete the claim \
             and name another in spec.tabby.persistence.storageClass"
        ),
    );
    let cluster = event(pod(&unscheduled(unbound)), of, "ProvisioningFailed", cause);
    assert_eq!(said(&cluster), expected);
    // A provisioner fails while the scheduler waits for it, and says nothing of the pod.
    let cluster = event(pod(&json!({"phase": "Pending"})), of, "ProvisioningFailed", "no space");
    assert_eq!(said(&cluster).0, "ClaimPending");
    let none = "no persistent volumes available for this claim and no storage class is set";
    let (_, text) = said(&event(pod(&unscheduled(unbound)), of, "FailedBinding", none));
    assert!(text.contains("the cluster has no default StorageClass"), "{text}");
    let young = pod(&json!({"phase": "Pending"}));
    assert_eq!(said(&young).0, "RollingOut");
}

#[test]
fn a_claim_that_cannot_grow() {
    let mut cluster = Cluster::default().claim("chat-tabby-data", "9Gi", "fast");
    let failed = json!({"type": "ControllerResizeError", "status": "True", "message": "no space"});
    cluster.live[0].data["status"] = json!({"phase": "Bound", "conditions": [failed]});
    let (reason, text) = said(&cluster);
    assert_eq!(reason, "ClaimPending");
    assert!(
        text.starts_with("PersistentVolumeClaim chat-tabby-data cannot grow: no space; "),
        "{text}"
    );
}

#[test]
fn pods_that_the_api_server_refuses() {
    let message = r#"pods "chat-ollama-5c6b9d7f4-x2x9z" is forbidden: exceeded quota: none, requested: pods=1, used: pods=0, limited: pods=0"#;
    let failure = json!({"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message});
    let mut cluster = Cluster::default().workload("Deployment", "chat-ollama", 1, 0);
    cluster.live[0].data["status"]["conditions"] = json!([failure]);
    let cause = "exceeded quota: none, requested: pods=1, used: pods=0, limited: pods=0";
    let way_out = "ask for less in spec.ollama.resources or spec.ollama.replicas, or have the ResourceQuota raised";
    let expected = format!("a pod of Deployment chat-ollama is refused: {cause}; {way_out}");
    assert_eq!(said(&cluster), told("Refused", &expected));

    // A StatefulSet says so in an event only, and that counts while it lacks pods.
    let set = |made: i32| {
        let mut cluster = Cluster::default().workload("StatefulSet", "chat-ollama", 1, 0);
        cluster.live[0].data["status"]["replicas"] = made.into();
        let message = format!("create Pod chat-ollama-0 in StatefulSet chat-ollama failed error: {message}");
        event(cluster, ("StatefulSet", "chat-ollama"), "FailedCreate", &message)
    };
    let expected = format!("a pod of StatefulSet chat-ollama is refused: {cause}; {way_out}");
    assert_eq!(said(&set(0)), told("Refused", &expected));
    assert_ne!(said(&set(1)).0, "Refused");
}

#[test]
fn a_node_that_does_not_answer() {
    let ready = json!([{"type": "Ready", "status": "False"}]);
    let status = json!({"conditions": ready, "containerStatuses": [{"ready": true, "state": {"running": {}}}]});
    let mut cluster = Cluster::default().pod("a", "ollama", &status);
    cluster.live[0].data["spec"] = json!({"nodeName": "n1"});
    let (reason, text) = said(&cluster);
    assert_eq!(reason, "NodeLost");
    assert!(
        text.starts_with("Pod a: node n1 does not answer, so nobody knows whether it runs"),
        "{text}"
    );

    // Told to end, and gone when its node says so; a while after its grace that is worth a word.
    let end = Timestamp::from_second(1000).unwrap();
    let time = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(end);
    cluster.live[0].metadata.deletion_timestamp = Some(time);
    cluster.now = end + SignedDuration::from_secs(30);
    assert_eq!(said(&cluster).0, "RollingOut");
    cluster.now = end + SignedDuration::from_secs(90);
    let (reason, text) = said(&cluster);
    assert_eq!(reason, "NodeLost");
    assert!(
        text.contains("node n1 does not say that it did") && text.contains("kubectl delete node n1"),
        "{text}"
    );
}

#[test]
fn a_pod_that_was_put_out_matters_until_another_is_there() {
    let evicted = json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."});
    let cluster = || Cluster::default().pod("a", "ollama", &evicted);
    assert_eq!(
        said(&cluster()),
        told("PodWaiting", "Pod a: Evicted: The node was low on resource: memory.")
    );
    let status = cluster()
        .workload("Deployment", "chat-ollama", 1, 1)
        .status(&stack(SPEC));
    assert_eq!(condition(&status, "Degraded").0, "False");
}
