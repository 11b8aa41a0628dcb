//! Objects made up from the schema of their kind.

use llm_operator::kind::{Form, all};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

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
pub fn object(form: Form, wild: bool) -> BoxedStrategy<Value> {
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

/// One of any kind.
pub fn any_object(wild: bool) -> impl Strategy<Value = Value> {
    let kinds: Vec<BoxedStrategy<Value>> = all().into_iter().map(|form| object(form, wild)).collect();
    proptest::strategy::Union::new(kinds)
}
