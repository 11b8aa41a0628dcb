//! What the status says.

use super::*;
use ModelState::{Failed, Pending, Ready};

const SPEC: &str = "ollama: {replicas: 2, models: [a]}";

fn running(ready: i32) -> Cluster {
    Cluster::default().workload("Deployment", "chat-ollama", 2, ready)
}

#[test]
fn phases_follow_the_replicas() {
    let phase = |cluster: Cluster| text(&cluster.status(&stack(SPEC))["phase"]);
    assert_eq!(phase(Cluster::default()), "Pending");
    assert_eq!(phase(running(0)), "Pending");
    assert_eq!(phase(running(1)), "Progressing");
    assert_eq!(phase(running(2)), "Ready");
}

#[test]
fn a_stack_that_is_as_it_should_be() {
    let status = running(2).model("a", Ready, None).status(&stack(SPEC));
    for (kind, expected) in [
        ("Ready", "True"),
        ("ModelsReady", "True"),
        ("Valid", "True"),
        ("Reconciling", "False"),
        ("Progressing", "False"),
        ("Stalled", "False"),
        ("Degraded", "False"),
    ] {
        assert_eq!(condition(&status, kind).0, expected, "{kind}");
    }
    assert_eq!(
        (&status["ready"], &status["modelsReady"]),
        (&json!("2/2"), &json!("1/1"))
    );
    assert_eq!(status["observedGeneration"], 3);
    assert_eq!(status["endpoints"]["ollama"], "http://chat-ollama.team.svc:11434");
    assert_eq!(status["effectiveImages"]["ollama"], "ollama/ollama:0.32.15");
}

#[test]
fn a_rollout_is_not_the_end_of_it() {
    let mut cluster = running(2).model("a", Ready, None);
    cluster.live[0].metadata.generation = Some(2);
    let status = cluster.status(&stack(SPEC));
    assert_eq!(
        condition(&status, "Ready"),
        ("False", "RollingOut", "2 of 2 replicas are ready")
    );
    assert_eq!(condition(&status, "Reconciling").0, "True");
}

#[test]
fn what_its_author_must_mend_is_stalled_and_the_pods_serve_on() {
    let unknown = || running(2).model("a", Failed, Some(Reason::UnknownModel));
    let status = unknown().status(&stack(SPEC));
    assert_eq!(condition(&status, "Stalled").1, "UnknownModel");
    assert_eq!(condition(&status, "Reconciling").0, "False");
    assert_eq!(condition(&status, "Degraded").0, "True");
    assert_eq!(status["phase"], "Ready");
    // A registry that is away may come back.
    let status = running(2)
        .model("a", Failed, Some(Reason::RegistryError))
        .status(&stack(SPEC));
    assert_eq!(condition(&status, "Stalled").0, "False");
    assert_eq!(condition(&status, "Reconciling").0, "True");
    // Tabby waits for the model in vain, which is no rollout.
    let tabby = "{ollama: {replicas: 2, models: [a]}, tabby: {enabled: true}}";
    let status = unknown().model("nomic-embed-text", Ready, None).status(&stack(tabby));
    assert_eq!(condition(&status, "Stalled").1, "UnknownModel");
}

#[test]
fn what_the_api_server_refuses_is_stalled() {
    let mut cluster = running(2).model("a", Ready, None);
    cluster.outcome.refused = vec![Refusal {
        conflict: true,
        message: "Service chat-ollama exists and is not ours".into(),
    }];
    let status = cluster.status(&stack(SPEC));
    for kind in ["Stalled", "Ready"] {
        assert_eq!(condition(&status, kind).1, "Conflict");
    }
    assert_eq!(
        condition(&status, "Ready").2,
        "Service chat-ollama exists and is not ours"
    );
}

#[test]
fn what_cannot_be_followed_is_failed_and_what_is_merely_wrong_is_told() {
    let mut cluster = running(2).model("a", Ready, None);
    let issue = || Issue::invalid("spec.ollama.replicas", "bounds", 11, "must be 1 to 10");
    cluster.outcome.review.issues = vec![issue()];
    let status = cluster.status(&stack(SPEC));
    assert_eq!(
        condition(&status, "Valid"),
        (
            "False",
            "Invalid",
            "spec.ollama.replicas: Invalid value: 11: must be 1 to 10"
        )
    );
    assert_eq!(
        (condition(&status, "Ready").0, &status["phase"]),
        ("True", &json!("Ready"))
    );
    cluster.outcome.review.issues = vec![issue().fatal()];
    let status = cluster.status(&stack(SPEC));
    assert_eq!(
        (condition(&status, "Stalled").1, &status["phase"]),
        ("Invalid", &json!("Failed"))
    );
}

#[test]
fn a_model_that_nobody_pulls_is_said_to_be_such() {
    let stack = stack("ollama: {replicas: 2, models: [{name: a, pullPolicy: Never}]}");
    let status = running(2).model("a", Pending, Some(Reason::NotPulled)).status(&stack);
    assert_eq!(
        condition(&status, "ModelsReady"),
        (
            "False",
            "NotPulled",
            "not on every server yet: a:latest (pullPolicy is Never)"
        )
    );
}

#[test]
fn replicas_beyond_counting_are_counted_as_many() {
    let mut stack = stack("{ollama: {models: [a]}, tabby: {enabled: true}}");
    stack.spec.ollama.as_mut().unwrap().replicas = Some(i32::MAX);
    assert_eq!(Cluster::default().status(&stack)["totalReplicas"], i32::MAX);
}
