//! What holds for every object that can be sent, sensible or not: objects are made up from the schema of their kind,
//! now and then against it.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that panics says why

#[path = "properties/made.rs"]
mod made;

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
use llm_operator::kind::{Kind, Outcome, Refusal, all, of};
use made::{any_object, object};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

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
