//! Every example is what it seems to be: accepted, filled in and turned into objects as committed under `tests/golden`.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that panics says why

mod support;

use llm_operator::kind::of;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;

/// The files, without their ending.
fn names() -> Vec<String> {
    let files = fs::read_dir(support::path("examples")).unwrap();
    let mut names: Vec<String> = files
        .map(|f| f.unwrap().file_name().into_string().unwrap())
        .map(|name| {
            name.strip_suffix(".yaml")
                .unwrap_or_else(|| panic!("{name}"))
                .to_string()
        })
        .collect();
    names.sort();
    names
}

fn example(name: &str) -> Value {
    serde_saphyr::from_str(&support::read(&format!("examples/{name}.yaml"))).unwrap()
}

/// What an example becomes.
fn became(name: &str) -> String {
    let path = format!("examples/{name}.yaml");
    support::became(&path, &example(name))
}

#[test]
fn examples_become_what_is_committed() {
    for name in names() {
        support::compare(&format!("tests/golden/{name}.yaml"), &became(&name));
    }
}

#[test]
fn nothing_committed_is_left_over() {
    let golden = fs::read_dir(support::path("tests/golden")).unwrap();
    let golden: BTreeSet<String> = golden.map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
    let examples: BTreeSet<String> = names().iter().map(|n| format!("{n}.yaml")).collect();
    assert_eq!(golden, examples);
}

#[test]
fn the_first_example_has_six_lines() {
    assert_eq!(support::read("examples/minimal.yaml").lines().count(), 6);
}

/// `kubectl apply -f examples/` must not apply one over the other.
#[test]
fn no_two_examples_are_the_same_object() {
    let mut seen = BTreeSet::new();
    for name in names() {
        let object = example(&name);
        assert!(
            seen.insert((object["kind"].to_string(), object["metadata"]["name"].to_string())),
            "{name}"
        );
        assert_eq!(object["metadata"]["namespace"], json!(null), "{name} names a namespace");
    }
}

/// Some example uses each field of the components' own, wherever it stands.
#[test]
fn every_field_is_shown_somewhere() {
    const BLOCKS: [&str; 7] = [
        "/ollama",
        "/tabby",
        "/openwebui",
        "/openwebui/redis",
        "/openwebui/database",
        "/openwebui/pipelines",
        "/openwebui/langfuse",
    ];
    let mut shown = BTreeSet::new();
    for name in names() {
        for block in BLOCKS {
            let spec = &example(&name)["spec"];
            let fields = spec.pointer(block).and_then(Value::as_object);
            shown.extend(fields.into_iter().flatten().map(|(field, _)| field.clone()));
        }
    }
    let mut fields = BTreeSet::new();
    let form = of(&example("minimal")).unwrap();
    let crd = json!((form.crd)());
    let spec = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    for block in BLOCKS {
        let path = block.replace('/', "/properties/");
        let block = spec.pointer(&format!("{path}/properties")).unwrap();
        fields.extend(block.as_object().unwrap().keys().cloned());
    }
    let missing: Vec<&str> = fields.difference(&shown).map(String::as_str).collect();
    assert_eq!(missing, [""; 0], "shown by no example");
}
