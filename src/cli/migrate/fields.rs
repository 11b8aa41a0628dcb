//! What is older, and what stands for it today: one table, which both ways of rewriting follow.

use crate::base::object::{STACKS, TAKE_OVER_FROM};
use crate::kind;
use serde_json::{Map, Value, json};

/// The blocks of a spec that have older fields.
pub(super) const BLOCKS: [&[&str]; 4] = [&["ollama"], &["openwebui"], &["openwebui", "pipelines"], &["tabby"]];

/// An older field, and its place in a block of today.
pub(super) const NESTED: [(&str, &str, &str); 4] = [
    ("serviceType", "service", "type"),
    ("servicePort", "service", "port"),
    ("ingressEnabled", "ingress", "enabled"),
    ("ingressHost", "ingress", "host"),
];

/// An older name of a list, and its name today.
pub(super) const RENAMED: [(&str, &str); 2] = [("envVars", "env"), ("pipelineUrls", "urls")];

/// An older field, and those for which it stands where they are unset.
pub(super) const SPLIT: (&str, [&str; 2]) = ("modelName", ["chatModel", "completionModel"]);

/// True where the field means something in the block; Ollama and Pipelines have no Ingress, in either form.
pub(super) fn applies(block: &[&str], outer: &str) -> bool {
    outer != "ingress" || block == ["openwebui"] || block == ["tabby"]
}

/// True for a stack, which may have older fields.
pub(super) fn is_stack(object: &Value) -> bool {
    kind::of(object).is_some_and(|form| STACKS.contains(&form.kind))
}

/// The annotation by which the stack takes over what lives of it under its older kind. Where nothing does, it does nothing.
pub(super) fn take_over(object: &Value) -> Option<String> {
    let kind = object["kind"].as_str().filter(|kind| *kind != STACKS[0])?;
    let name = object["metadata"]["name"].as_str()?;
    let given = object["metadata"]["annotations"].get(TAKE_OVER_FROM).is_some();
    (!given).then(|| format!("{kind}/{name}"))
}

/// The stack in today's form.
pub(super) fn modern(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(from) = take_over(&object) {
        object["metadata"]["annotations"][TAKE_OVER_FROM] = from.into();
    }
    object["kind"] = STACKS[0].into();
    for block in BLOCKS {
        let path = format!("/spec/{}", block.join("/"));
        if let Some(fields) = object.pointer_mut(&path).and_then(Value::as_object_mut) {
            modernise(block, fields);
        }
    }
    object
}

fn modernise(block: &[&str], fields: &mut Map<String, Value>) {
    for (flat, outer, inner) in NESTED {
        let fits = applies(block, outer) && fields.get(outer).is_none_or(Value::is_object);
        if !fits || !has(fields, flat) {
            continue;
        }
        let value = fields.remove(flat).unwrap_or_default();
        let nested = fields.entry(outer).or_insert_with(|| json!({}));
        if nested[inner].is_null() {
            nested[inner] = value;
        }
    }
    for (older, newer) in RENAMED {
        if !fields.get(older).is_some_and(Value::is_array) || fields.get(newer).is_some_and(|v| !v.is_array()) {
            continue;
        }
        let mut all = fields.remove(newer).unwrap_or_else(|| json!([]));
        if let (Some(all), Some(Value::Array(more))) = (all.as_array_mut(), fields.remove(older)) {
            all.extend(more);
        }
        fields.insert(newer.into(), all);
    }
    if block == ["tabby"] && has(fields, SPLIT.0) {
        let value = fields.remove(SPLIT.0).unwrap_or_default();
        for name in SPLIT.1 {
            if !has(fields, name) {
                fields.insert(name.into(), value.clone());
            }
        }
    }
    if let Some(tls) = fields.get_mut("ingress").and_then(|i| i.get_mut("tls"))
        && tls.is_object()
    {
        *tls = json!([tls.take()]);
    }
}

fn has(fields: &Map<String, Value>, name: &str) -> bool {
    fields.get(name).is_some_and(|value| !value.is_null())
}
