//! Every rule on manifests, with a manifest that breaks it and the exact words a user reads.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that panics says why

use llm_operator::base::issue::{Review, WARNING_LENGTH};
use llm_operator::base::settings::{Models, Policy, Settings};
use llm_operator::kind::{Form, of};
use serde_json::{Value, json};

#[path = "rules/bounds.rs"]
mod bounds;
#[path = "rules/chat.rs"]
mod chat;
#[path = "rules/containers.rs"]
mod containers;
#[path = "rules/defaults.rs"]
mod defaults;
#[path = "rules/engines.rs"]
mod engines;
#[path = "rules/ingress.rs"]
mod ingress;
#[path = "rules/kinds.rs"]
mod kinds;
#[path = "rules/models.rs"]
mod models;
#[path = "rules/names.rs"]
mod names;
#[path = "rules/off.rs"]
mod off;
#[path = "rules/ollama_models.rs"]
mod ollama_models;
#[path = "rules/ratchets.rs"]
mod ratchets;
#[path = "rules/reach.rs"]
mod reach;
#[path = "rules/safety.rs"]
mod safety;
#[path = "rules/services.rs"]
mod services;
#[path = "rules/storage.rs"]
mod storage;
#[path = "rules/tabby.rs"]
mod tabby;
#[path = "rules/warnings.rs"]
mod warnings;

fn manifest(yaml: &str) -> Value {
    serde_saphyr::from_str(yaml).unwrap_or_else(|e| panic!("{yaml}: {e}"))
}

/// A stack with this spec, given in YAML.
fn stack(spec: &str) -> Value {
    let spec = manifest(spec);
    json!({"apiVersion": "llm.geeper.io/v1alpha1", "kind": "LMDeployment", "metadata": {"name": "chat"}, "spec": spec})
}

fn model(spec: &str) -> Value {
    let (version, spec) = ("ollama.smithforge.dev/v1alpha1", manifest(spec));
    json!({"apiVersion": version, "kind": "OllamaModel", "metadata": {"name": "llama3.2-1b"}, "spec": spec})
}

fn form(object: &Value) -> Form {
    of(object).unwrap_or_else(|| panic!("no kind of ours: {object}"))
}

fn filled(object: &Value) -> Value {
    let mut object = object.clone();
    (form(&object).fill)(&mut object);
    object
}

fn reviewed(object: &Value, old: Option<&Value>, settings: &Settings) -> Review {
    (form(object).review)(&filled(object), old, settings).unwrap()
}

fn issues(object: &Value, old: Option<&Value>) -> Vec<String> {
    let review = reviewed(object, old, &Settings::default());
    review.issues.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn refused(spec: &str, messages: &[&str]) {
    assert_eq!(issues(&stack(spec), None), messages, "{spec}");
}

#[track_caller]
fn accepted(spec: &str) {
    refused(spec, &[]);
}

/// The change from one spec to the other.
#[track_caller]
fn changed(old: &str, new: &str, messages: &[&str]) {
    let old = filled(&stack(old));
    assert_eq!(issues(&stack(new), Some(&old)), messages, "{new}");
}

/// Every warning of the manifest, in the order in which they are sent.
#[track_caller]
fn warned(spec: &str, texts: &[&str]) {
    let review = reviewed(&stack(spec), None, &Settings::default());
    assert_eq!(review.issues, [], "{spec}");
    assert_eq!(review.spoken(), texts, "{spec}");
    for warning in &review.warnings {
        assert!(
            warning.text.chars().count() <= WARNING_LENGTH,
            "too long: {}",
            warning.text
        );
    }
}

#[test]
fn everything_wrong_is_told_in_one_answer() {
    refused(
        "
        ollama: {replicas: 11, models: [llama3.2:1b, 'codellama:7b']}
        tabby: {enabled: true, chatModel: llama4, completionModel: starcoder2:3b}
        ",
        &[
            "spec.ollama.replicas: Invalid value: 11: must be 1 to 10",
            "spec.tabby.chatModel: Invalid value: \"llama4\": is not in spec.ollama.models; use one of llama3.2:1b, codellama:7b, or add it there",
            "spec.tabby.completionModel: Invalid value: \"starcoder2:3b\": is not in spec.ollama.models; use one of llama3.2:1b, codellama:7b, or add it there",
        ],
    );
}
