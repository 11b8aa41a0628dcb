//! Which models a start waits for.

use super::*;
use ModelState::{Failed, Pulling, Ready};

#[test]
fn before_it_opens_every_model_is_required_that_can_come() {
    let stack = stack("ollama: {models: [a, b, {name: c, pullPolicy: Never}, d]}");
    let cluster = Cluster::default()
        .model("a", Ready, None)
        .model("b", Failed, Some(Reason::RegistryError))
        .model("d", Failed, Some(Reason::UnknownModel));
    assert_eq!(cluster.required(&stack), "a:latest\nb:latest\n");
}

#[test]
fn after_it_has_been_open_a_model_joins_when_it_is_there() {
    let before = stack("ollama: {models: [a, b]}");
    let opened = || Cluster::default().gate("a:latest\n", true);
    assert_eq!(opened().model("b", Pulling, None).required(&before), "a:latest\n");
    assert_eq!(
        opened().model("b", Ready, None).required(&before),
        "a:latest\nb:latest\n"
    );
    // What was required stays so while a new pod pulls it again.
    assert_eq!(opened().model("a", Pulling, None).required(&before), "a:latest\n");
    let after = stack("ollama: {models: [b]}");
    assert_eq!(opened().model("b", Pulling, None).required(&after), "");
}

#[test]
fn a_ready_pod_is_what_opens_it_for_good() {
    let stack = stack("ollama: {models: [a]}");
    let open = |cluster: &Cluster| {
        let objects = cluster.desired(&stack);
        let map = get(&objects, "ConfigMap", "chat-ollama-models");
        map.body["metadata"]["annotations"][GATE_OPENED] == "true"
    };
    let closed = || Cluster::default().gate("a:latest\n", false);
    assert!(!open(&closed().workload("Deployment", "chat-ollama", 1, 0)));
    assert!(open(&closed().workload("Deployment", "chat-ollama", 1, 1)));
    assert!(open(&Cluster::default().gate("a:latest\n", true)));
}

#[test]
fn a_model_in_other_case_is_the_same_model() {
    let stack = stack("ollama: {models: [Llama3, LLAMA3]}");
    let objects = Cluster::default().desired(&stack);
    assert_eq!(objects.iter().filter(|o| o.resource.kind == "OllamaModel").count(), 1);
}
