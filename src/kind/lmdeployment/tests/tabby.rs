//! Tabby beside an Ollama.

use super::*;
use ModelState::{Failed, Ready};

const SPEC: &str = "{ollama: {models: ['codellama:7b']}, tabby: {enabled: true}}";

#[test]
fn it_starts_when_its_models_are_there_and_then_stays() {
    let stack = stack(SPEC);
    let starts = |cluster: &Cluster| has(&cluster.desired(&stack), "Deployment chat-tabby");
    assert!(!starts(&Cluster::default()));
    let open = || Cluster::default().gate("codellama:7b\n", true);
    let first = || open().model("codellama:7b", Ready, None);
    assert!(!starts(&open()));
    assert!(!starts(&first()));
    assert!(starts(&first().model("nomic-embed-text", Ready, None)));
    // Models that are there are of no use to it while nobody is let in to them.
    let closed = Cluster::default().model("codellama:7b", Ready, None);
    assert!(!starts(&closed.model("nomic-embed-text", Ready, None)));
    let lost = Cluster::default().model("codellama:7b", Failed, Some(Reason::UnknownModel));
    assert!(starts(&lost.workload("Deployment", "chat-tabby", 1, 1)));
}

#[test]
fn on_another_ollama_it_asks_that_one_and_implies_no_model() {
    let stack = stack(
        "{ollama: {models: [codellama]}, tabby: {enabled: true, ollamaServiceName: other, ollamaServicePort: 80}}",
    );
    let objects = Cluster::default().desired(&stack);
    assert!(has(&objects, "Deployment chat-tabby"));
    assert_eq!(objects.iter().filter(|o| o.resource.kind == "OllamaModel").count(), 1);
    let config = text(&get(&objects, "ConfigMap", "chat-tabby-config").body["data"]["config.toml"]);
    assert!(config.contains("http://other:80/v1"), "{config}");
}

#[test]
fn naming_the_stacks_own_service_changes_nothing() {
    let named = stack("{ollama: {models: ['codellama:7b']}, tabby: {enabled: true, ollamaServiceName: chat-ollama}}");
    assert_eq!(
        Cluster::default().desired(&named),
        Cluster::default().desired(&stack(SPEC))
    );
}

#[test]
fn a_changed_port_of_ollama_reaches_it() {
    let stack = stack("{ollama: {models: ['codellama:7b'], servicePort: 80}, tabby: {enabled: true}}");
    let objects = Cluster::default().desired(&stack);
    let config = text(&get(&objects, "ConfigMap", "chat-tabby-config").body["data"]["config.toml"]);
    assert!(config.contains("http://chat-ollama:80/v1"), "{config}");
}

#[test]
fn its_claim_is_as_large_as_an_older_manifest_says_and_keeps_what_it_was_made_with() {
    let stack = stack(
        "{ollama: {models: [codellama]}, tabby: {enabled: true, persistence: {enabled: true}, resources: {requests: {storage: 30Gi, cpu: 1}}}}",
    );
    let size = |cluster: &Cluster| {
        get(&cluster.desired(&stack), "PersistentVolumeClaim", "chat-tabby-data").body["spec"].clone()
    };
    assert_eq!(size(&Cluster::default())["resources"]["requests"]["storage"], "30Gi");
    let live = size(&Cluster::default().claim("chat-tabby-data", "40Gi", "slow"));
    assert_eq!(live["resources"]["requests"]["storage"], "40Gi");
    assert_eq!(live["storageClassName"], "slow");
}

#[test]
fn what_opens_its_accounts_is_kept_with_them() {
    let secret = |spec: &str| {
        let objects = Cluster::default().desired(&stack(spec));
        get(&objects, "Secret", "chat-tabby-secret").clone()
    };
    let owned = |secret: &Object| secret.body["metadata"]["ownerReferences"].is_array();
    assert!(owned(&secret(SPEC)));
    let kept = "{ollama: {models: [codellama]}, tabby: {enabled: true, persistence: {enabled: true}}}";
    assert!(!owned(&secret(kept)));
    assert!(matches!(secret(kept).treatment, Treatment::Generated(_)));
    assert!(owned(&secret(
        &kept.replace("enabled: true}}", "enabled: true, retain: false}}")
    )));
}

#[test]
fn several_servers_keep_their_visitors_apart() {
    let affinity = |spec: &str| {
        let objects = Cluster::default().desired(&stack(spec));
        get(&objects, "Service", "chat-tabby").body["spec"]["sessionAffinity"].clone()
    };
    assert_eq!(affinity(SPEC), Value::Null);
    assert_eq!(
        affinity("{ollama: {models: [codellama]}, tabby: {enabled: true, replicas: 2}}"),
        "ClientIP"
    );
}
