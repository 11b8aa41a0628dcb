//! The schema of our kinds as the API server should get it, from what the derive makes of the Rust types.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

/// Any object, stored as it was sent: affinity, security contexts and the like.
#[must_use]
pub fn object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// A list of any objects, stored as they were sent.
#[must_use]
pub fn objects(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 64,
        "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    })
}

/// A list whose items are a string or an object: without a type, the API server stores both as sent (facts: schema).
#[must_use]
pub fn anything(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "maxItems": 256, "items": {"x-kubernetes-preserve-unknown-fields": true}})
}

/// One value of any form.
#[must_use]
pub fn value(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"x-kubernetes-preserve-unknown-fields": true})
}

/// A quantity: a string or a whole number.
#[must_use]
pub fn quantity(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"x-kubernetes-int-or-string": true, "maxLength": 32})
}

/// Quantities by resource name.
#[must_use]
pub fn quantities(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "maxProperties": 32,
        "additionalProperties": {"x-kubernetes-int-or-string": true, "maxLength": 32},
    })
}

/// An enum as a bare list of strings: what stands at the type would replace what stands at the field.
pub fn choice(schema: &mut Schema) {
    let values: Vec<Value> = match (schema.get("enum"), schema.get("oneOf")) {
        (Some(Value::Array(values)), _) => values.clone(),
        (_, Some(Value::Array(variants))) => variants
            .iter()
            .flat_map(|v| {
                v.get("const")
                    .cloned()
                    .into_iter()
                    .chain(v["enum"].as_array().cloned().unwrap_or_default())
            })
            .collect(),
        _ => return,
    };
    *schema = json_schema!({"type": "string", "enum": values});
}

/// A rule in CEL: an object for which `violation` holds is refused, unless it held before the change already, so that
/// an old object can still be changed elsewhere. `violation` names fields as `self.…` only.
#[must_use]
pub fn rule(violation: &str, field: &str, message: &str) -> Value {
    rule_unless(violation, violation, field, message)
}

/// The same where `excuse`, of the old object, is all that is asked of it: CEL cannot know how long its lists are, so
/// a rule that walks one would cost too much.
#[must_use]
pub fn rule_unless(violation: &str, excuse: &str, field: &str, message: &str) -> Value {
    let before = excuse.replace("self.", "oldSelf.value().");
    json!({
        "rule": format!("!({violation}) || (oldSelf.hasValue() && ({before}))"),
        "optionalOldSelf": true, "message": message, "fieldPath": field,
    })
}

/// What the names of a kind may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameRule {
    /// The longest name.
    pub longest: usize,
    /// The name is the beginning of other names and a label, so it must be a DNS-1035 label itself.
    pub label: bool,
}

/// The definition of a kind: no `default:` (a default that changes would change stored objects), no `nullable:` (null
/// is a mistake that should be told), every list with its type, and the rule on names at the root.
///
/// # Panics
/// Never: what is taken out and put in leaves a schema what it is.
#[must_use]
pub fn definition<K: CustomResourceExt>(names: NameRule) -> CustomResourceDefinition {
    let mut crd = K::crd();
    for version in &mut crd.spec.versions {
        let Some(schema) = version.schema.as_mut().and_then(|s| s.open_api_v3_schema.as_mut()) else {
            continue;
        };
        let mut raw = json!(schema);
        clean(&mut raw);
        // Without it there is no path to the name.
        raw["properties"]["metadata"] = json!({"type": "object", "properties": {"name": {"type": "string"}}});
        raw["x-kubernetes-validations"] = json!([name_rule(names)]);
        *schema = serde_json::from_value(raw).expect("a schema without some of its keywords is a schema");
    }
    crd
}

fn name_rule(NameRule { longest, label }: NameRule) -> Value {
    let (form, pattern) = if label {
        (
            "a DNS-1035 label",
            " && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
        )
    } else {
        ("a name", "")
    };
    json!({
        "rule": format!("self.metadata.name.size() <= {longest}{pattern}"),
        "message": format!("metadata.name must be {form} of at most {longest} characters"),
        "fieldPath": ".metadata.name",
    })
}

fn clean(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    fields.remove("default");
    fields.remove("nullable");
    if let Some(Value::Array(values)) = fields.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    declare_list(fields);
    for (key, value) in fields.iter_mut() {
        match (key.as_str(), value) {
            // The keys of this map are names of fields, one of which may well be called "default".
            ("properties", Value::Object(properties)) => properties.values_mut().for_each(clean),
            ("items" | "additionalProperties", value) => clean(value),
            _ => {}
        }
    }
}

/// A list that does not say how two managers share it belongs to one of them.
fn declare_list(fields: &mut Map<String, Value>) {
    if fields.get("type") == Some(&json!("array")) {
        fields
            .entry("x-kubernetes-list-type")
            .or_insert_with(|| "atomic".into());
    }
}
