//! Who manages which fields of an object, when it passes from one writer to another.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta};
use serde_json::Value;

/// The names under which the older operator wrote: that of its program, and what a client without a name is called.
const OLDER: [&str; 2] = ["manager", "Go-http-client"];

/// True for what the older operator wrote: under a name of its own, or else whoever made the object belong to a stack.
#[must_use]
pub fn is_older(entry: &ManagedFieldsEntry) -> bool {
    let name = entry.manager.as_deref().unwrap_or_default();
    let owners = entry
        .fields_v1
        .as_ref()
        .map(|f| &f.0["f:metadata"]["f:ownerReferences"]);
    OLDER.contains(&name) || owners.is_some_and(|owners| !owners.is_null())
}

/// The entries, once all that `is_theirs` has passed to `heir` as if it had applied it: what `heir` does not apply next
/// time goes from the object. `None` when nothing of theirs is there. Statuses stay with their writers.
#[must_use]
pub fn handed(
    meta: &ObjectMeta,
    heir: &str,
    is_theirs: impl Fn(&ManagedFieldsEntry) -> bool,
) -> Option<Vec<ManagedFieldsEntry>> {
    let all = meta.managed_fields.clone().unwrap_or_default();
    let is_spec = |entry: &ManagedFieldsEntry| entry.subresource.as_deref().is_none_or(str::is_empty);
    let is_own = |e: &ManagedFieldsEntry| e.manager.as_deref() == Some(heir) && e.operation.as_deref() == Some("Apply");
    let (passing, mut kept): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|entry| is_spec(entry) && !is_own(entry) && is_theirs(entry));
    let first = passing.first()?.clone();
    let place = kept.iter().position(|entry| is_spec(entry) && is_own(entry));
    let mut entry = place.map_or(first, |i| kept.remove(i));
    entry.manager = Some(heir.into());
    entry.operation = Some("Apply".into());
    let mut fields = entry.fields_v1.take().map_or(Value::Null, |f| f.0);
    for FieldsV1(theirs) in passing.into_iter().filter_map(|e| e.fields_v1) {
        join(&mut fields, theirs);
    }
    entry.fields_v1 = Some(FieldsV1(fields));
    kept.push(entry);
    Some(kept)
}

/// A set of fields is a tree of keys, so two are joined key by key.
fn join(set: &mut Value, other: Value) {
    match (set, other) {
        (Value::Object(set), Value::Object(other)) => {
            for (key, value) in other {
                join(set.entry(key).or_insert(Value::Null), value);
            }
        }
        (set @ Value::Null, other) => *set = other,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn meta(entries: &Value) -> ObjectMeta {
        serde_json::from_value(json!({"managedFields": entries})).unwrap()
    }

    fn entry(manager: &str, operation: &str, fields: &Value) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields})
    }

    #[test]
    fn what_several_wrote_passes_to_one_that_applies() {
        let mut status = entry("manager", "Update", &json!({"f:status": {}}));
        status["subresource"] = "status".into();
        let meta = meta(&json!([
            entry("manager", "Update", &json!({"f:spec": {"f:selector": {"f:app": {}}}})),
            status,
            entry(
                "kubectl-edit",
                "Update",
                &json!({"f:metadata": {"f:annotations": {"f:mine": {}}}})
            ),
            entry("op", "Apply", &json!({"f:spec": {"f:ports": {}}})),
            entry(
                "llm-operator-x",
                "Update",
                &json!({"f:metadata": {"f:ownerReferences": {".": {}}}})
            ),
        ]));
        let handed = json!(handed(&meta, "op", is_older).unwrap());
        let all: Vec<_> = handed
            .as_array()
            .unwrap()
            .iter()
            .map(|e| (&e["manager"], &e["operation"]))
            .collect();
        assert_eq!(
            json!(all),
            json!([["manager", "Update"], ["kubectl-edit", "Update"], ["op", "Apply"]])
        );
        assert_eq!(handed[0]["subresource"], "status");
        let fields = json!({
            "f:metadata": {"f:ownerReferences": {".": {}}},
            "f:spec": {"f:ports": {}, "f:selector": {"f:app": {}}},
        });
        assert_eq!(handed[2]["fieldsV1"], fields);
    }

    #[test]
    fn nothing_changes_where_nobody_else_wrote() {
        let meta = meta(&json!([entry(
            "op",
            "Apply",
            &json!({"f:metadata": {"f:ownerReferences": {}}})
        )]));
        assert_eq!(handed(&meta, "op", is_older), None);
    }
}
