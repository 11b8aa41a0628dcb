//! What is wrong with a manifest, and what is merely unwise: the currency of every check.

use serde_json::Value;
use std::fmt;

/// The API server answers at most this many causes usefully; more are counted, not listed.
pub const MOST_CAUSES: usize = 20;
/// The API server cuts warnings when there are many of them (facts: 4096 runes in all).
pub const MOST_WARNINGS: usize = 10;
/// Kubernetes' convention for the length of one warning, in characters.
pub const WARNING_LENGTH: usize = 120;

/// How a field breaks a rule, in the words of Kubernetes' own `field.Error`.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// The field must be given.
    Required,
    /// The field must not be given, or not be changed.
    Forbidden,
    /// The value is not acceptable.
    Invalid(Value),
    /// The value is not one of a short list.
    Unsupported(Value, Vec<String>),
    /// The value stands twice in a list.
    Duplicate(Value),
}

/// One violated rule: where, what stands there, and the way out.
#[derive(Clone, Debug, PartialEq)]
pub struct Issue {
    /// JSON path as kubectl prints it, such as `spec.tabby.chatModel`.
    pub path: String,
    /// The rule's name; stable, so that the same violation is recognised in the old object.
    pub rule: &'static str,
    /// What kind of violation it is.
    pub fault: Fault,
    /// What is wrong and what to do.
    pub detail: String,
    /// The thing cannot be built, or data would be lost: the reconciler then touches nothing.
    pub fatal: bool,
}

impl Issue {
    fn new(path: impl Into<String>, rule: &'static str, fault: Fault, detail: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            rule,
            fault,
            detail: detail.into(),
            fatal: false,
        }
    }

    /// A field that must be given.
    pub fn required(path: impl Into<String>, rule: &'static str, detail: impl Into<String>) -> Self {
        Self::new(path, rule, Fault::Required, detail)
    }

    /// A field that must not be given or changed.
    pub fn forbidden(path: impl Into<String>, rule: &'static str, detail: impl Into<String>) -> Self {
        Self::new(path, rule, Fault::Forbidden, detail)
    }

    /// A value that is not acceptable.
    pub fn invalid(
        path: impl Into<String>,
        rule: &'static str,
        value: impl Into<Value>,
        detail: impl Into<String>,
    ) -> Self {
        Self::new(path, rule, Fault::Invalid(value.into()), detail)
    }

    /// A value that is not in a short list of possible ones.
    pub fn unsupported(
        path: impl Into<String>,
        rule: &'static str,
        value: impl Into<Value>,
        supported: &[&str],
    ) -> Self {
        let supported = supported.iter().map(ToString::to_string).collect();
        Self::new(path, rule, Fault::Unsupported(value.into(), supported), "")
    }

    /// A value that stands twice.
    pub fn duplicate(
        path: impl Into<String>,
        rule: &'static str,
        value: impl Into<Value>,
        detail: impl Into<String>,
    ) -> Self {
        Self::new(path, rule, Fault::Duplicate(value.into()), detail)
    }

    /// The same issue, marked as one that stops the reconciler from touching anything.
    #[must_use]
    pub fn fatal(mut self) -> Self {
        self.fatal = true;
        self
    }

    /// The reason of the cause in an API status, such as `FieldValueInvalid`.
    #[must_use]
    pub fn cause(&self) -> &'static str {
        match self.fault {
            Fault::Required => "FieldValueRequired",
            Fault::Forbidden => "FieldValueForbidden",
            Fault::Invalid(_) => "FieldValueInvalid",
            Fault::Unsupported(..) => "FieldValueNotSupported",
            Fault::Duplicate(_) => "FieldValueDuplicate",
        }
    }

    /// The issue without its path, as it stands in a cause's message.
    #[must_use]
    pub fn message(&self) -> String {
        let detail = &self.detail;
        match &self.fault {
            Fault::Required => format!("Required value: {detail}"),
            Fault::Forbidden => format!("Forbidden: {detail}"),
            Fault::Invalid(value) => format!("Invalid value: {value}: {detail}"),
            Fault::Duplicate(value) if detail.is_empty() => format!("Duplicate value: {value}"),
            Fault::Duplicate(value) => format!("Duplicate value: {value}: {detail}"),
            Fault::Unsupported(value, supported) => {
                let list: Vec<String> = supported.iter().map(|s| format!("{s:?}")).collect();
                format!("Unsupported value: {value}: supported values: {}", list.join(", "))
            }
        }
    }
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message())
    }
}

/// Why a warning is given; also the order in which warnings are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Concern {
    /// Data may be lost.
    DataLoss,
    /// Something is open that could be closed.
    Security,
    /// A setting does nothing.
    NoEffect,
    /// An older form of the manifest.
    Legacy,
}

/// Something that works, but not as its author may think.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Warning {
    /// Why it is given.
    pub concern: Concern,
    /// The sentence a user reads; cut at [`WARNING_LENGTH`].
    pub text: String,
}

/// Everything that a check found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Review {
    /// Violations, in the order of the fields.
    pub issues: Vec<Issue>,
    /// Warnings, unordered.
    pub warnings: Vec<Warning>,
}

impl Review {
    /// Adds a warning.
    pub fn warn(&mut self, concern: Concern, text: impl Into<String>) {
        self.warnings.push(Warning {
            concern,
            text: text.into(),
        });
    }

    /// Takes over what another check found.
    pub fn extend(&mut self, other: Self) {
        self.issues.extend(other.issues);
        self.warnings.extend(other.warnings);
    }

    /// The warnings as they are sent: most serious first, none twice, none too long, not too many.
    #[must_use]
    pub fn spoken(&self) -> Vec<String> {
        let mut sorted = self.warnings.clone();
        sorted.sort();
        sorted.dedup();
        sorted
            .into_iter()
            .take(MOST_WARNINGS)
            .map(|w| cut(w.text, WARNING_LENGTH))
            .collect()
    }

    /// Leaves out every issue that the old object had already at a field the user has not touched, so that a new
    /// rule never blocks an old object. An item of a list is the same wherever in the list it stands now.
    #[must_use]
    pub fn ratcheted(mut self, new: &Value, before: &Self, old: &Value) -> Self {
        self.issues.retain(|issue| {
            let known = |o: &Issue| {
                o.rule == issue.rule && shape(&o.path) == shape(&issue.path) && at(new, &issue.path) == at(old, &o.path)
            };
            !before.issues.iter().any(known)
        });
        self
    }
}

/// The value at a path such as `spec.ollama.models[2].name` or `spec.ollama.resources.limits[nvidia.com/gpu]`; `None`
/// where there is none.
#[must_use]
pub fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    steps(path).try_fold(object, |value, step| match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        other => other.get(step),
    })
}

/// Names of fields, keys and indices, in their order.
fn steps(path: &str) -> impl Iterator<Item = &str> {
    let mut rest = path;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some((key, after)) = rest.strip_prefix('[').and_then(|r| r.split_once(']')) {
            rest = after.strip_prefix('.').unwrap_or(after);
            return Some(key);
        }
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (field, after) = rest.split_at(end);
        rest = after.strip_prefix('.').unwrap_or(after);
        Some(field)
    })
}

/// The path without the places in lists.
fn shape(path: &str) -> Vec<&str> {
    let place = |step: &str| !step.is_empty() && step.bytes().all(|b| b.is_ascii_digit());
    steps(path).map(|step| if place(step) { "[]" } else { step }).collect()
}

fn cut(mut text: String, most: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(most) {
        let keep = text.char_indices().nth(most - 1).map_or(end, |(i, _)| i);
        text.truncate(keep);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn issues_read_like_those_of_kubernetes() {
        let issue = Issue::invalid("spec.a", "r", "x", "must be y");
        assert_eq!(issue.to_string(), r#"spec.a: Invalid value: "x": must be y"#);
        let issue = Issue::unsupported("spec.a", "r", "x", &["y", "z"]);
        assert_eq!(
            issue.to_string(),
            r#"spec.a: Unsupported value: "x": supported values: "y", "z""#
        );
        assert_eq!(
            Issue::invalid("spec.n", "r", 11, "m").to_string(),
            "spec.n: Invalid value: 11: m"
        );
    }

    #[test]
    fn an_old_violation_at_an_untouched_field_is_left_out() {
        let old = json!({"spec": {"list": [{"a": 1}], "b": 1}});
        let review = |issues: Vec<Issue>| Review {
            issues,
            warnings: vec![],
        };
        let issues = || {
            vec![
                Issue::invalid("spec.list[0].a", "r", 1, ""),
                Issue::invalid("spec.b", "r", 1, ""),
            ]
        };
        let same = review(issues()).ratcheted(&old, &review(issues()), &old);
        assert!(same.issues.is_empty());
        let touched = json!({"spec": {"list": [{"a": 2}], "b": 1}});
        let left = review(issues()).ratcheted(&touched, &review(issues()), &old);
        assert_eq!(left.issues.len(), 1);
        let new_rule = review(issues()).ratcheted(&old, &Review::default(), &old);
        assert_eq!(new_rule.issues.len(), 2);
    }

    #[test]
    fn an_item_that_moved_is_the_same_item() {
        let review = |i: usize| Review {
            issues: vec![Issue::invalid(format!("spec.list[{i}]"), "r", "bad", "")],
            warnings: vec![],
        };
        let old = json!({"spec": {"list": ["good", "bad"]}});
        let moved = json!({"spec": {"list": ["bad"]}});
        assert!(review(0).ratcheted(&moved, &review(1), &old).issues.is_empty());
        let other = json!({"spec": {"list": ["worse"]}});
        assert_eq!(review(0).ratcheted(&other, &review(1), &old).issues.len(), 1);
    }

    #[test]
    fn keys_with_dots_are_found() {
        let object = json!({"a": {"nvidia.com/gpu": 1}, "b": [{"c": 2}], "0": 3});
        assert_eq!(at(&object, "a[nvidia.com/gpu]"), Some(&json!(1)));
        assert_eq!(at(&object, "b[0].c"), Some(&json!(2)));
        assert_eq!(at(&object, "[0]"), Some(&json!(3)));
        assert_eq!(at(&object, "b[x]"), None);
        let review = || Review {
            issues: vec![Issue::invalid("a[nvidia.com/gpu]", "r", 1, "")],
            warnings: vec![],
        };
        let changed = json!({"a": {"nvidia.com/gpu": 9}});
        assert_eq!(review().ratcheted(&changed, &review(), &object).issues.len(), 1);
    }

    #[test]
    fn warnings_are_ordered_cut_and_few() {
        let mut review = Review::default();
        review.warn(Concern::Legacy, "z".repeat(200));
        review.warn(Concern::DataLoss, "data");
        review.warn(Concern::DataLoss, "data");
        let spoken = review.spoken();
        assert_eq!(spoken[0], "data");
        assert_eq!(spoken[1].chars().count(), WARNING_LENGTH);
        assert_eq!(spoken.len(), 2);
    }
}
