//! Which labels a selector means.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

/// True when the selector means an object with these labels; an empty one means every object.
pub(super) fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let equal = selector
        .match_labels
        .iter()
        .flatten()
        .all(|(k, v)| labels.get(k) == Some(v));
    let mut expressions = selector.match_expressions.iter().flatten();
    equal
        && expressions.all(|e| {
            let value = labels.get(&e.key);
            let listed = value.is_some_and(|v| e.values.iter().flatten().any(|l| l == v));
            match e.operator.as_str() {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                // The API server takes no other.
                _ => false,
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn selects_it(selector: serde_json::Value) -> bool {
        let labels = BTreeMap::from([("app".to_owned(), "redis".to_owned())]);
        selects(&serde_json::from_value(selector).unwrap(), &labels)
    }

    #[test]
    fn every_operator_is_known() {
        let expression =
            |operator: &str| json!({"matchExpressions": [{"key": "app", "operator": operator, "values": ["redis"]}]});
        assert_eq!(
            ["In", "NotIn", "Exists", "DoesNotExist"].map(|o| selects_it(expression(o))),
            [true, false, true, false]
        );
        assert!(selects_it(json!({})));
        assert!(selects_it(json!({"matchLabels": {"app": "redis"}})));
        assert!(!selects_it(json!({"matchLabels": {"app": "redis", "more": "x"}})));
    }
}
