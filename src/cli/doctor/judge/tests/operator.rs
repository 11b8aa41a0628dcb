//! What can be wrong with the operator's own Deployment, pods and Lease.

use super::*;

fn deployment(p: &mut Picture, change: impl FnOnce(&mut Value)) {
    let mut value = json!(p.deployments.as_ref().unwrap()[0]);
    change(&mut value);
    p.deployments = Ok(vec![read(value)]);
}

#[test]
fn it_may_not_be_there() {
    let change = |p: &mut Picture| p.deployments = Ok(vec![]);
    problem(
        change,
        "operator",
        "Deployment ops/llm-operator-controller-manager: is not there",
    );
}

#[test]
fn it_may_be_scaled_to_nothing() {
    let change = |p: &mut Picture| deployment(p, |d| d["spec"]["replicas"] = 0.into());
    let found = problem(change, "operator", "is scaled to nothing");
    assert_eq!(
        (found.field.as_deref(), found.value.as_deref()),
        (Some("spec.replicas"), Some("0"))
    );
    assert!(
        found
            .remedy
            .unwrap()
            .contains("scale deployment/llm-operator-controller-manager --replicas=2")
    );
}

#[test]
fn its_pods_may_be_in_trouble() {
    let change = |p: &mut Picture| {
        deployment(p, |d| d["status"]["availableReplicas"] = 1.into());
        p.pods = Ok(vec![read(
            json!({"metadata": {"name": "one"}, "status": {"containerStatuses": [{
            "name": "manager", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}]}}),
        )]);
    };
    problem(
        change,
        "operator",
        "1 of 2 pods are available: one: ImagePullBackOff no such image",
    );
}

#[test]
fn it_may_be_alone_or_of_another_version_or_one_of_several() {
    note(
        |p| {
            deployment(p, |d| {
                (d["spec"]["replicas"], d["status"]["availableReplicas"]) = (1.into(), 1.into());
            });
        },
        "operator",
        "its one pod is available",
    );
    note(
        |p| {
            deployment(p, |d| {
                d["metadata"]["labels"]["app.kubernetes.io/version"] = "9.9.9".into();
            });
        },
        "operator",
        "is llm-operator 9.9.9",
    );
    let twice = |p: &mut Picture| {
        let mut other = p.deployments.as_ref().unwrap()[0].clone();
        other.metadata.namespace = Some("other".into());
        p.deployments.as_mut().unwrap().push(other);
    };
    note(twice, "operator", "there are several operators");
}

#[test]
fn nobody_may_lead() {
    problem(
        |p| p.lease = Ok(None),
        "operator",
        "Lease ops/llm-operator-leader: is not there",
    );
    let released = |p: &mut Picture| p.lease = Ok(Some(read(json!({"spec": {"holderIdentity": ""}}))));
    problem(released, "operator", "nobody leads");
    let silent = json!({"spec": {"holderIdentity": "one", "renewTime": "2025-12-31T23:50:00.000000Z"}});
    let silent = |p: &mut Picture| p.lease = Ok(Some(read(silent)));
    problem(silent, "operator", "one has not renewed it for 600 s");
}
