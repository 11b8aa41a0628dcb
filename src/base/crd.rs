//! The schema of our kinds as the API server should get it, from what the derive makes of the Rust types.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// Any object, stored as it was sent: volumes, affinity, security contexts and the like.
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
    json_schema!({"x-kubernetes-int-or-string": true})
}

/// Quantities by resource name.
#[must_use]
pub fn quantities(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "additionalProperties": {"x-kubernetes-int-or-string": true}})
}

/// The definition of a kind: no `default:` (a default that changes would change stored objects) and no `nullable:`
/// (null is a mistake that should be told), with the rule on names of at most `longest` characters at the root.
#[must_use]
pub fn definition<K: CustomResourceExt>(longest: usize) -> CustomResourceDefinition {
    let mut crd = K::crd();
    for version in &mut crd.spec.versions {
        let Some(schema) = version.schema.as_mut().and_then(|s| s.open_api_v3_schema.as_mut()) else {
            continue;
        };
        let mut raw = serde_json::to_value(&*schema).unwrap_or_default();
        clean(&mut raw);
        raw["x-kubernetes-validations"] = json!([{
            "rule": format!(
                "self.metadata.name.size() <= {longest} && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')"
            ),
            "message": format!("metadata.name must be a DNS-1035 label of at most {longest} characters"),
        }]);
        if let Ok(cleaned) = serde_json::from_value(raw) {
            *schema = cleaned;
        }
    }
    crd
}

fn clean(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    fields.remove("default");
    fields.remove("nullable");
    for (key, value) in fields.iter_mut() {
        match (key.as_str(), value) {
            // The keys of this map are names of fields, one of which may well be called "default".
            ("properties", Value::Object(properties)) => properties.values_mut().for_each(clean),
            ("items" | "additionalProperties", value) => clean(value),
            _ => {}
        }
    }
}
