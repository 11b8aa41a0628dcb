//! The list of models: strings or objects, invisible to the schema, so read leniently and checked here.

use crate::base::issue::Issue;
use crate::base::model::ModelName;
use crate::component::common::PullPolicy;
use serde_json::Value;
use std::collections::BTreeMap;

/// One model of the list.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Its name with every part filled in.
    pub name: ModelName,
    /// When it is pulled.
    pub pull_policy: Option<PullPolicy>,
    /// By plain http.
    pub insecure: bool,
}

/// The models that can be read; what cannot is an issue of [`check`].
#[must_use]
pub fn read(items: &[Value]) -> Vec<Item> {
    items.iter().filter_map(|item| one("", item).ok()).collect()
}

/// Every rule on the list: form, names, tags, duplicates.
#[must_use]
pub fn check(path: &str, items: &[Value]) -> Vec<Issue> {
    let mut issues = vec![];
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (i, value) in items.iter().enumerate() {
        let at = format!("{path}.models[{i}]");
        match one(&at, value) {
            Err(issue) => issues.push(issue),
            Ok(item) => {
                if let Some(first) = seen.insert(item.name.key(), i) {
                    let detail = format!("is the same model as {path}.models[{first}]; remove one");
                    issues.push(Issue::duplicate(at, "model-twice", item.name.short(), detail));
                }
            }
        }
    }
    issues
}

fn one(at: &str, value: &Value) -> Result<Item, Issue> {
    let malformed = |at: &str, value: &Value, why: String| Issue::invalid(at, "model-name", value.clone(), why);
    let fields = match value {
        Value::String(text) => {
            let name = ModelName::parse(text).map_err(|why| malformed(at, value, why))?;
            return Ok(Item {
                name,
                pull_policy: None,
                insecure: false,
            });
        }
        Value::Object(fields) => fields,
        other => {
            let why = "must be a string such as \"llama3:8b\" or an object {name, tag, pullPolicy, insecure}";
            return Err(malformed(at, other, why.into()));
        }
    };
    if let Some(unknown) = fields
        .keys()
        .find(|k| !["name", "tag", "pullPolicy", "insecure"].contains(&k.as_str()))
    {
        let why = "is no field of a model; there are name, tag, pullPolicy and insecure";
        return Err(Issue::invalid(
            format!("{at}.{unknown}"),
            "model-field",
            fields[unknown].clone(),
            why,
        ));
    }
    let text = |field: &str| match fields.get(field) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(other) => Err(malformed(&format!("{at}.{field}"), other, "must be a string".into())),
    };
    let name = text("name")?.ok_or_else(|| Issue::required(format!("{at}.name"), "model-name", "name the model"))?;
    let tag = text("tag")?;
    let name = ModelName::with_tag(name, tag).map_err(|why| {
        let field = if tag.is_some() && ModelName::parse(name).is_ok() {
            "tag"
        } else {
            "name"
        };
        malformed(&format!("{at}.{field}"), &fields[field], why)
    })?;
    let pull_policy = match text("pullPolicy")? {
        None => None,
        Some("Always") => Some(PullPolicy::Always),
        Some("IfNotPresent") => Some(PullPolicy::IfNotPresent),
        Some("Never") => Some(PullPolicy::Never),
        Some(other) => {
            let supported = ["Always", "IfNotPresent", "Never"];
            return Err(Issue::unsupported(
                format!("{at}.pullPolicy"),
                "model-policy",
                other,
                &supported,
            ));
        }
    };
    let insecure = match fields.get("insecure") {
        None => false,
        Some(Value::Bool(insecure)) => *insecure,
        Some(other) => {
            return Err(malformed(
                &format!("{at}.insecure"),
                other,
                "must be true or false".into(),
            ));
        }
    };
    Ok(Item {
        name,
        pull_policy,
        insecure,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_forms_of_an_item_are_read() {
        let items = [
            json!("llama3"),
            json!({"name": "a/b", "tag": "c", "pullPolicy": "Never", "insecure": true}),
        ];
        let read = read(&items);
        assert_eq!(read[0].name.short(), "llama3:latest");
        assert_eq!((read[1].name.short().as_str(), read[1].insecure), ("a/b:c", true));
        assert_eq!(read[1].pull_policy, Some(PullPolicy::Never));
        assert!(check("spec.ollama", &items).is_empty());
    }

    #[test]
    fn everything_wrong_with_the_list_is_told_at_its_place() {
        let items = [
            json!(5),
            json!("bad name"),
            json!({"tag": "x"}),
            json!({"name": "a:b", "tag": "c"}),
            json!({"name": "a", "pullPolicy": "Sometimes"}),
            json!({"name": "a", "insecure": "yes"}),
            json!({"name": "a", "nosuch": 1}),
            json!("llama3"),
            json!({"name": "LLAMA3", "tag": "latest"}),
            json!(null),
        ];
        let told: Vec<String> = check("p", &items).iter().map(ToString::to_string).collect();
        let paths: Vec<&str> = told.iter().map(|t| t.split(": ").next().unwrap()).collect();
        assert_eq!(
            paths,
            [
                "p.models[0]",
                "p.models[1]",
                "p.models[2].name",
                "p.models[3].tag",
                "p.models[4].pullPolicy",
                "p.models[5].insecure",
                "p.models[6].nosuch",
                "p.models[8]",
                "p.models[9]"
            ]
        );
        assert!(
            told[3].contains("a:c") && told[7].contains("Duplicate value"),
            "{told:?}"
        );
    }
}
