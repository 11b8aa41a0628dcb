//! What holds for every object that can be sent, sensible or not: objects are made up from the schema of their kind,
//! now and then against it.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that panics says why

use jiff::Timestamp;
use kube::core::DynamicObject;
use llm_operator::base::condition::Reason;
use llm_operator::base::names;
use llm_operator::base::object::{DEPLOYMENT, OLD_DEPLOYMENT, Object, Owner};
use llm_operator::base::secret::{Content, Secrets};
use llm_operator::base::seen::{Failure, ModelState, Replica, Seen};
use llm_operator::base::settings::Settings;
use llm_operator::kind::lmdeployment::LMDeployment;
use llm_operator::kind::ollamamodel::OllamaModel;
use llm_operator::kind::{Form, Kind, Outcome, Refusal, all, of};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const TEXTS: [&str; 24] = [
    "",
    "a",
    "codellama:7b",
    "CodeLlama:7b",
    "llama3.2",
    "hf.co/a/b:F16",
    "bad name",
    "x:y:z",
    "data",
    "tmp",
    "ollama",
    "chat-ollama",
    "tabby.example.com",
    "/",
    "/data",
    "latest",
    "0.32.15",
    "OLLAMA_HOST",
    "HOME",
    "10m",
    "-1",
    "ü",
    "A.b",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];
const QUANTITIES: [&str; 10] = [
    "1",
    "500m",
    "2Gi",
    "50Gi",
    "1e3",
    "0",
    "-1",
    "two",
    "",
    "9999999999999999999999999E",
];

/// Anything at all, against the schema.
fn junk() -> BoxedStrategy<Value> {
    select(vec![
        Value::Null,
        json!(true),
        json!(-1),
        json!(1.5),
        json!(i64::MAX),
        json!("junk"),
        json!([]),
        json!([null]),
        json!({}),
        json!({"name": null}),
    ])
    .boxed()
}

fn text() -> BoxedStrategy<Value> {
    prop_oneof![8 => select(&TEXTS[..]).prop_map(Value::from), 1 => "\\PC{0,12}".prop_map(Value::from)].boxed()
}

/// Items of free form: models, volumes, mounts, containers, security contexts, TLS.
fn free() -> BoxedStrategy<Value> {
    let whole = select(vec![
        json!({"hostPath": {"path": "/"}, "name": "h"}),
        json!({"privileged": true, "capabilities": {"add": ["ALL"]}, "seLinuxOptions": null}),
        json!({"name": "init", "image": "x", "ports": [{"hostPort": 1}], "securityContext": {"privileged": true}}),
        json!({"hosts": ["a.b"], "secretName": "s"}),
        json!({"name": "a", "tag": "b", "pullPolicy": "Never", "insecure": true}),
        json!({"a": [null, {"b": null}]}),
    ]);
    let made = (text(), text(), option::of(text())).prop_map(|(name, path, tag)| {
        let mut item = json!({"name": name, "mountPath": path});
        if let Some(tag) = tag {
            item["tag"] = tag;
        }
        item
    });
    let model = (text(), option::of(text())).prop_map(|(name, tag)| match tag {
        Some(tag) => json!({"name": name, "tag": tag}),
        None => json!({"name": name}),
    });
    prop_oneof![3 => text(), 2 => whole, 2 => made, 2 => model, 1 => junk()].boxed()
}

/// A value that the schema describes; one in twenty-five is junk where `wild`.
fn value(schema: &Value, wild: bool) -> BoxedStrategy<Value> {
    let tame = tame(schema, wild);
    if wild {
        prop_oneof![24 => tame, 1 => junk()].boxed()
    } else {
        tame
    }
}

fn tame(schema: &Value, wild: bool) -> BoxedStrategy<Value> {
    if let Some(values) = schema["enum"].as_array() {
        return select(values.clone()).boxed();
    }
    if schema["x-kubernetes-int-or-string"] == json!(true) {
        return prop_oneof![
            select(&QUANTITIES[..]).prop_map(Value::from),
            (-2_i64..99).prop_map(Value::from)
        ]
        .boxed();
    }
    match schema["type"].as_str() {
        Some("boolean") => any::<bool>().prop_map(Value::from).boxed(),
        Some("integer") => integer(schema),
        Some("string") => text(),
        Some("array") => vec(value(&schema["items"], wild), 0..4).prop_map(Value::from).boxed(),
        Some("object") if schema["properties"].is_object() => fields(schema, wild),
        Some("object") if schema["additionalProperties"].is_object() => {
            let keys = select(vec![
                "cpu",
                "memory",
                "storage",
                "nvidia.com/gpu",
                "a.b/c",
                "bad key",
                "app",
            ]);
            let map = btree_map(keys, value(&schema["additionalProperties"], wild), 0..4);
            map.prop_map(|map| map.into_iter().map(|(k, v)| (k.to_string(), v)).collect())
                .boxed()
        }
        Some("object") => free().prop_filter("an object", move |v| wild || v.is_object()).boxed(),
        _ => free(),
    }
}

fn integer(schema: &Value) -> BoxedStrategy<Value> {
    let bound = |name: &str, or: f64| schema[name].as_f64().unwrap_or(or);
    #[allow(clippy::cast_possible_truncation)] // bounds of schemas are small and whole
    let (low, high) = (bound("minimum", -9.0) as i64, bound("maximum", 9.0) as i64);
    let edge = select(vec![
        low,
        high,
        low - 1,
        high + 1,
        i64::from(i32::MAX),
        i64::from(i32::MIN),
    ]);
    prop_oneof![3 => (low..=low.saturating_add(4)).prop_map(Value::from), 1 => edge.prop_map(Value::from)].boxed()
}

/// Some of the fields, in any combination; those that are required nearly always.
fn fields(schema: &Value, wild: bool) -> BoxedStrategy<Value> {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let properties = schema["properties"].as_object().unwrap();
    let each: Vec<BoxedStrategy<Option<(String, Value)>>> = properties
        .iter()
        .map(|(name, field)| {
            let (name, known) = (name.clone(), required.contains(&json!(name)));
            let often = match name.as_str() {
                _ if known && !wild => 0.999,
                _ if known => 0.98,
                "enabled" | "models" | "persistence" | "ollama" | "openwebui" | "tabby" => 0.6,
                "env" | "envVars" | "keepAlive" => 0.4,
                _ => 0.12,
            };
            option::weighted(often, value(field, wild))
                .prop_map(move |v| v.map(|v| (name.clone(), v)))
                .boxed()
        })
        .collect();
    each.prop_map(|pairs| Value::Object(pairs.into_iter().flatten().collect()))
        .boxed()
}

/// An object of the kind with any spec.
fn object(form: Form, wild: bool) -> BoxedStrategy<Value> {
    let crd = json!((form.crd)());
    let spec = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let name = select(vec!["chat", "a", "a23456789012345678901234567890123456789b"]);
    (name, value(spec, wild))
        .prop_map(move |(name, spec)| {
            json!({
                "apiVersion": format!("{}/{}", form.group, form.version), "kind": form.kind,
                "metadata": {"name": name, "namespace": "team", "uid": "u-1", "generation": 2}, "spec": spec,
            })
        })
        .boxed()
}

fn any_object(wild: bool) -> impl Strategy<Value = Value> {
    let kinds: Vec<BoxedStrategy<Value>> = all().into_iter().map(|form| object(form, wild)).collect();
    proptest::strategy::Union::new(kinds)
}

/// True when everything in `old` stands in `new` as it was.
fn keeps(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => old
            .iter()
            .all(|(key, value)| new.get(key).is_some_and(|n| keeps(value, n))),
        (old, new) => old == new,
    }
}

fn holds_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(holds_null),
        Value::Object(fields) => fields.values().any(holds_null),
        _ => false,
    }
}

/// What the API server and its merging of lists ask of an object whose manifest breaks no fatal rule.
fn is_well_formed(object: &Object) -> Result<(), String> {
    let (body, name) = (&object.body, &object.name);
    let labels = body["metadata"]["labels"].as_object().cloned().unwrap_or_default();
    let fault = |what: &str| Err(format!("{}: {what}", object.title()));
    if !names::is_subdomain(name) || name.len() > 63 || body["metadata"]["name"] != json!(name) {
        return fault("name");
    }
    for (key, value) in &labels {
        if !names::is_qualified(key) || !value.as_str().is_some_and(names::is_label_value) {
            return fault(key);
        }
    }
    let stack = labels.get("app.kubernetes.io/instance");
    if [DEPLOYMENT, OLD_DEPLOYMENT]
        .iter()
        .any(|label| labels.get(*label) != stack || stack.is_none())
    {
        return fault("is not found by both documented labels");
    }
    if holds_null(body) {
        return fault("holds a null");
    }
    let template = &body["spec"]["template"];
    let selector = body["spec"]["selector"]["matchLabels"].as_object();
    for (key, value) in selector.filter(|_| template.is_object()).into_iter().flatten() {
        if template["metadata"]["labels"][key] != *value {
            return fault("does not select its own pods");
        }
    }
    let container = &template["spec"]["containers"][0];
    for (list, key) in [
        ("env", "name"),
        ("volumeMounts", "mountPath"),
        ("ports", "containerPort"),
    ] {
        if !unique(&container[list], key) {
            return fault(&format!("{list} has a {key} twice: {}", container[list]));
        }
    }
    for list in ["volumes", "initContainers", "imagePullSecrets"] {
        if !unique(&template["spec"][list], "name") {
            return fault(&format!("{list} has a name twice"));
        }
    }
    Ok(())
}

fn unique(list: &Value, key: &str) -> bool {
    let mut seen = BTreeSet::new();
    list.as_array()
        .into_iter()
        .flatten()
        .all(|item| seen.insert(item[key].to_string()))
}

/// The objects as the cluster might hold them, models and pods in any state.
fn lived(objects: &[Object], states: &[u8]) -> Vec<DynamicObject> {
    let state = |i: usize| states.get(i % states.len().max(1)).copied().unwrap_or(0);
    let each = objects.iter().enumerate().map(|(i, object)| {
        let mut body = object.body.clone();
        let replicas = i64::from(state(i) % 4);
        body["metadata"]["generation"] = json!(1);
        body["status"] = match object.resource.kind.as_str() {
            "OllamaModel" => json!({
                "state": (["pending", "pulling", "ready", "failed"][usize::from(state(i) % 4)]),
                "conditions": [{"type": "Ready", "status": "False", "reason": "UnknownModel", "message": "",
                                "lastTransitionTime": "2026-01-01T00:00:00Z"}],
            }),
            _ => json!({"readyReplicas": replicas, "updatedReplicas": replicas, "replicas": replicas, "observedGeneration": 1}),
        };
        serde_json::from_value(body).unwrap()
    });
    each.collect()
}

fn replicas(states: &[u8]) -> Vec<Replica> {
    let each = states.iter().enumerate().map(|(i, state)| Replica {
        pod: format!("p-{i}"),
        state: [
            ModelState::Pending,
            ModelState::Pulling,
            ModelState::Ready,
            ModelState::Failed,
        ][usize::from(state % 4)],
        known: state % 3 > 0,
        digest: Some("d".into()),
        size: Some(i64::MAX),
        failure: (state % 2 == 1).then(|| Failure {
            reason: Reason::UnknownModel,
            message: "m".into(),
        }),
        progress: Some((i64::from(*state) - 9, i64::MAX)),
        pulled: state % 5 == 0,
        refreshed: None,
    });
    each.collect()
}

/// All five steps over an object, twice: once as new, once with everything alive.
fn live_through<K: Kind>(object: &Value, states: &[u8]) -> Result<(), TestCaseError> {
    let Ok(decoded) = serde_json::from_value::<K>(object.clone()) else {
        return Ok(());
    };
    let settings = Settings::default();
    let review = decoded.check(None, &settings);
    let sound = !review.issues.iter().any(|i| i.fatal);
    let owner = Owner::of(&decoded).unwrap();
    let mut live = vec![];
    for _ in 0..3 {
        let replicas = replicas(states);
        let mut secrets = Secrets::default();
        for (i, name) in decoded.secrets().into_iter().flatten().enumerate() {
            let found = [None, Some(Content::Any), Some(Content::Keys(BTreeMap::new()))];
            let state = states.get(i).copied().unwrap_or(1);
            secrets.put(name, found[usize::from(state % 3)].clone());
        }
        let seen = Seen {
            settings: &settings,
            owner: &owner,
            live: &live,
            replicas: &replicas,
            secrets: &secrets,
            other: None,
            now: jiff::Timestamp::UNIX_EPOCH,
        };
        let desired = decoded.desired(&seen);
        prop_assert_eq!(&desired, &decoded.desired(&seen));
        let mut names = BTreeSet::new();
        for object in &desired {
            prop_assert!(names.insert(object.title()), "{} twice", object.title());
            if sound {
                prop_assert_eq!(is_well_formed(object), Ok(()));
            }
        }
        let outcome = Outcome {
            review: review.clone(),
            leftover: (states.len() == 1).then(|| "m".into()),
            refused: vec![
                Refusal {
                    conflict: states.len() > 2,
                    message: "m".into()
                };
                states.len() % 2
            ],
            rivaled: states.len() == 4,
            missing: vec!["HTTPRoute x".into(); states.len() % 3],
        };
        let said = decoded.status(&seen, &outcome, Timestamp::UNIX_EPOCH);
        prop_assert!(!holds_null(&said), "{said}");
        let ready = said["conditions"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|c| c["type"] == "Ready");
        prop_assert!(ready, "no condition Ready in {said}");
        live = lived(&desired, states);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn filling_only_adds_and_twice_is_once(object in any_object(true)) {
        let form = of(&object).unwrap();
        let mut once = object.clone();
        (form.fill)(&mut once);
        prop_assert!(keeps(&object, &once), "{once}");
        let mut twice = once.clone();
        (form.fill)(&mut twice);
        prop_assert_eq!(once, twice);
    }

    /// Defaults are what an absent field means: the same rules, the same objects.
    #[test]
    fn filling_changes_nothing_but_what_is_written(object in any_object(false)) {
        let form = of(&object).unwrap();
        let settings = Settings::default();
        let mut filled = object.clone();
        (form.fill)(&mut filled);
        if let (Ok(before), Ok(after)) = ((form.review)(&object, None, &settings), (form.review)(&filled, None, &settings)) {
            prop_assert_eq!(before.issues, after.issues);
            prop_assert_eq!((form.render)(&object, &settings), (form.render)(&filled, &settings));
        }
    }

    #[test]
    fn what_was_stored_unchanged_is_never_refused(object in any_object(true)) {
        let form = of(&object).unwrap();
        let mut filled = object.clone();
        (form.fill)(&mut filled);
        let settings = Settings::default();
        for old in [&object, &filled] {
            if let Ok(review) = (form.review)(&filled, Some(old), &settings) {
                prop_assert_eq!(review.issues, vec![]);
            }
        }
    }

    #[test]
    fn issues_are_sentences_with_a_place(object in any_object(true)) {
        let form = of(&object).unwrap();
        if let Ok(review) = (form.review)(&object, None, &Settings::default()) {
            for issue in &review.issues {
                prop_assert!(issue.path.starts_with("spec.") || issue.path == "metadata.name", "{issue}");
                prop_assert!(issue.message().contains(": ") && !issue.message().ends_with(": "), "{issue}");
            }
            for warning in review.spoken() {
                prop_assert!(warning.chars().count() <= 120);
            }
        }
    }

    #[test]
    fn stacks_live_through_anything(object in object(all()[0], true), states in vec(any::<u8>(), 0..6)) {
        live_through::<LMDeployment>(&object, &states)?;
        let mut filled = object;
        LMDeployment::fill(&mut filled);
        live_through::<LMDeployment>(&filled, &states)?;
    }

    #[test]
    fn models_live_through_anything(object in object(all()[1], true), states in vec(any::<u8>(), 0..6)) {
        live_through::<OllamaModel>(&object, &states)?;
    }
}

/// The generator is of use only if much of what it makes decodes, and some of it is right.
#[test]
fn what_is_made_up_is_worth_looking_at() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let form = all()[0];
    let (mut decoded, mut right) = (0, 0);
    for _ in 0..300 {
        let object = object(form, true).new_tree(&mut runner).unwrap().current();
        if let Ok(review) = (form.review)(&object, None, &Settings::default()) {
            decoded += 1;
            right += i32::from(review.issues.is_empty());
        }
    }
    assert!(
        decoded > 100 && right > 10,
        "{decoded} of 300 decoded, {right} were right"
    );
}
