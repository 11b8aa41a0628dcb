//! The list of models: strings or objects, invisible to the schema, so read leniently and checked here.

use crate::base::issue::Issue;
use crate::base::model::ModelName;
use crate::component::common::PullPolicy;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

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

/// The models that can be read, each once; what cannot, or stands twice, is an issue of [`check`].
#[must_use]
pub fn read(items: &[Value]) -> Vec<Item> {
    let mut known = BTreeSet::new();
    let readable = items.iter().filter_map(|item| one("", item).ok());
    readable.filter(|item| known.insert(item.name.key())).collect()
}

/// Every rule on the list: form, names, tags, duplicates.
#[must_use]
pub fn check(path: &str, items: &[Value]) -> Vec<Issue> {
    let mut issues = vec![];
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (i, value) in items.iter().enumerate() {
        let at = format!("{path}.models[{i}]");
        match one(&at, value) {
            Err(found) => issues.extend(found),
            Ok(item) => {
                if let Some(first) = seen.get(&item.name.key()) {
                    let detail = format!("is the same model as {path}.models[{first}]; remove one");
                    issues.push(Issue::duplicate(at, "model-twice", item.name.short(), detail));
                } else {
                    seen.insert(item.name.key(), i);
                }
            }
        }
    }
    issues
}

fn one(at: &str, value: &Value) -> Result<Item, Vec<Issue>> {
    match value {
        Value::String(text) => match ModelName::parse(text) {
            Ok(name) => Ok(Item {
                name,
                pull_policy: None,
                insecure: false,
            }),
            Err(why) => Err(vec![malformed(at, value, why)]),
        },
        Value::Object(fields) => Fields {
            at,
            given: fields,
            issues: vec![],
        }
        .read(),
        other => {
            let why = "must be a string such as \"llama3:8b\" or an object {name, tag, pullPolicy, insecure}";
            Err(vec![malformed(at, other, why)])
        }
    }
}

fn malformed(at: &str, value: &Value, why: impl Into<String>) -> Issue {
    Issue::invalid(at, "model-name", value.clone(), why)
}

/// The object form of an item, and what is wrong with it so far.
struct Fields<'a> {
    at: &'a str,
    given: &'a Map<String, Value>,
    issues: Vec<Issue>,
}

impl<'a> Fields<'a> {
    fn read(mut self) -> Result<Item, Vec<Issue>> {
        self.refuse_unknown();
        let name = self.name();
        let pull_policy = self.pull_policy();
        let insecure = self.insecure();
        match name {
            Some(name) if self.issues.is_empty() => Ok(Item {
                name,
                pull_policy,
                insecure,
            }),
            _ => Err(self.issues),
        }
    }

    fn refuse_unknown(&mut self) {
        for (field, value) in self.given {
            if !["name", "tag", "pullPolicy", "insecure"].contains(&field.as_str()) {
                let why = "is no field of a model; there are name, tag, pullPolicy and insecure";
                let at = format!("{}.{field}", self.at);
                self.issues.push(Issue::invalid(at, "model-field", value.clone(), why));
            }
        }
    }

    fn text(&mut self, field: &str) -> Option<&'a str> {
        match self.given.get(field)? {
            Value::String(text) => Some(text),
            other => {
                let at = format!("{}.{field}", self.at);
                self.issues.push(malformed(&at, other, "must be a string"));
                None
            }
        }
    }

    fn name(&mut self) -> Option<ModelName> {
        if !self.given.contains_key("name") {
            let at = format!("{}.name", self.at);
            self.issues.push(Issue::required(at, "model-name", "name the model"));
        }
        let tag = self.text("tag");
        let name = self.text("name")?;
        match ModelName::with_tag(name, tag) {
            Ok(name) => Some(name),
            Err(why) => {
                let field = if ModelName::parse(name).is_ok() { "tag" } else { "name" };
                let at = format!("{}.{field}", self.at);
                self.issues.push(malformed(&at, &self.given[field], why));
                None
            }
        }
    }

    fn pull_policy(&mut self) -> Option<PullPolicy> {
        match self.text("pullPolicy")? {
            "Always" => Some(PullPolicy::Always),
            "IfNotPresent" => Some(PullPolicy::IfNotPresent),
            "Never" => Some(PullPolicy::Never),
            other => {
                let at = format!("{}.pullPolicy", self.at);
                let supported = ["Always", "IfNotPresent", "Never"];
                self.issues
                    .push(Issue::unsupported(at, "model-policy", other, &supported));
                None
            }
        }
    }

    fn insecure(&mut self) -> bool {
        match self.given.get("insecure") {
            None => false,
            Some(Value::Bool(insecure)) => *insecure,
            Some(other) => {
                let at = format!("{}.insecure", self.at);
                self.issues.push(malformed(&at, other, "must be true or false"));
                false
            }
        }
    }
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
