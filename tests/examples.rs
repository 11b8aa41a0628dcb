//! Every example is what it seems to be: accepted, filled in and turned into objects as committed under `tests/golden`.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that panics says why

mod support;

use llm_operator::base::object::{Object, Treatment};
use llm_operator::base::settings::Settings;
use llm_operator::kind::of;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write;
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

fn settings() -> Settings {
    Settings {
        namespace: "llm-operator-system".into(),
        ..Settings::default()
    }
}

/// What an example becomes: its warnings, the object with its defaults, the objects made of it.
fn became(name: &str) -> String {
    let mut object = example(name);
    let form = of(&object).unwrap_or_else(|| panic!("{name} is of no kind of ours"));
    (form.fill)(&mut object);
    let review = (form.review)(&object, None, &settings()).unwrap();
    let issues: Vec<String> = review.issues.iter().map(ToString::to_string).collect();
    assert_eq!(issues, [""; 0], "{name} is refused");
    let mut out = format!("# What examples/{name}.yaml becomes, once its models are there.\n");
    for warning in review.spoken() {
        writeln!(out, "# warning: {warning}").unwrap();
    }
    out.push_str(&serde_saphyr::to_string(&object).unwrap());
    object["metadata"]["namespace"] = "default".into();
    object["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000".into();
    for made in (form.render)(&object, &settings()).unwrap() {
        out.push_str("---\n");
        out.push_str(&note(&made));
        out.push_str(&serde_saphyr::to_string(&made.body).unwrap());
    }
    out
}

fn note(object: &Object) -> String {
    match &object.treatment {
        Treatment::Generated(values) => {
            let keys: Vec<&str> = values.iter().map(|v| v.key).collect();
            format!("# created once, with a generated {}\n", keys.join(", "))
        }
        _ => String::new(),
    }
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
