//! The bounds that stand at the fields themselves, which are also in the schema, as issues with the paths of a manifest.

use crate::base::issue::Issue;
use serde_json::Value;
use std::collections::BTreeMap;
use validator::{Validate, ValidationError, ValidationErrors, ValidationErrorsKind};

/// Fields whose own fields stand beside them in the manifest (`serde(flatten)`), so they have no place in a path.
const FLATTENED: [&str; 2] = ["common", "web"];

/// Every bound that the value breaks.
#[must_use]
pub fn check<T: Validate>(path: &str, value: &T) -> Vec<Issue> {
    value
        .validate()
        .err()
        .map(|errors| flatten(path, &errors))
        .unwrap_or_default()
}

fn flatten(path: &str, errors: &ValidationErrors) -> Vec<Issue> {
    let sorted: BTreeMap<_, _> = errors.errors().iter().collect();
    let each = sorted.into_iter().flat_map(|(field, kind)| {
        let here = if FLATTENED.contains(&&**field) {
            path.to_string()
        } else {
            format!("{path}.{}", camel(field))
        };
        match kind {
            ValidationErrorsKind::Struct(inner) => flatten(&here, inner),
            ValidationErrorsKind::List(items) => items
                .iter()
                .flat_map(|(i, inner)| flatten(&format!("{here}[{i}]"), inner))
                .collect(),
            ValidationErrorsKind::Field(list) => list.iter().map(|e| issue(&here, e)).collect(),
        }
    });
    each.collect()
}

fn issue(path: &str, error: &ValidationError) -> Issue {
    let bound = |name: &str| error.params.get(name).map(ToString::to_string);
    let value = error.params.get("value").cloned().unwrap_or_default();
    // A list may hold what nobody should read in a log, and either may be long: its length says enough.
    let (value, unit) = match &value {
        Value::Array(items) => (items.len().into(), " items long"),
        Value::String(text) if error.code == "length" => (text.chars().count().into(), " characters long"),
        _ => (value, ""),
    };
    let detail = match (bound("min"), bound("max")) {
        (Some(min), Some(max)) => format!("must be {min} to {max}{unit}"),
        (Some(min), None) => format!("must be at least {min}{unit}"),
        (None, Some(max)) => format!("must be at most {max}{unit}"),
        (None, None) => format!("breaks the rule {}", error.code),
    };
    Issue::invalid(path, "bounds", value, detail)
}

fn camel(field: &str) -> String {
    let mut upper = false;
    field.chars().fold(String::new(), |mut out, c| {
        if c == '_' {
            upper = true;
        } else {
            out.push(if upper { c.to_ascii_uppercase() } else { c });
            upper = false;
        }
        out
    })
}
