//! The kinds as files: their definitions in YAML, and the page that describes every field.

use super::all;
use crate::component::common::Common;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// The definition of each kind: the name of its file, and its YAML.
///
/// # Panics
/// Never: a definition is made of maps with text keys.
#[must_use]
pub fn crds() -> Vec<(String, String)> {
    let file = |form: super::Form| {
        let yaml = serde_saphyr::to_string(&(form.crd)()).expect("a definition has text keys only");
        (format!("{}_{}.yaml", form.group, form.plural), yaml)
    };
    all().into_iter().map(file).collect()
}

/// `docs/reference.md`: every kind, one table for each block of fields.
#[must_use]
pub fn reference() -> String {
    let mut page = Page::default();
    page.line("# Reference\n");
    page.line("Every kind and field. This page is generated from the definitions in `crds/`, which `kubectl explain` shows as well.");
    page.line("Fields are filled in, checked and explained in the same words by the webhooks, the operator and `llm-operator validate`.");
    let mut told: Vec<(Value, &str)> = vec![];
    for form in all() {
        let crd = json!((form.crd)());
        let version = &crd["spec"]["versions"][0];
        let schema = &version["schema"]["openAPIV3Schema"];
        page.line(&format!("\n## {}\n", form.kind));
        page.line(&format!(
            "`apiVersion: {}/{}`. {}",
            form.group,
            form.version,
            text(schema, "description")
        ));
        page.line(&format!("\n`kubectl get {}` shows {}.", form.plural, columns(version)));
        let fields = schema["properties"]["spec"].clone();
        if let Some((_, same)) = told.iter().find(|(other, _)| *other == fields) {
            page.line(&format!("\nIts fields are those of {same}."));
            continue;
        }
        told.push((fields, form.kind));
        for block in ["spec", "status"] {
            page.block(block, &schema["properties"][block]);
        }
    }
    page.text
}

#[derive(Default)]
struct Page {
    text: String,
    /// Where a block of these fields stands already.
    known: BTreeMap<String, String>,
}

impl Page {
    fn line(&mut self, line: &str) {
        // Writing into a String cannot fail.
        let _ = writeln!(self.text, "{line}");
    }

    /// The table of a block, then those of the blocks in it.
    fn block(&mut self, path: &str, schema: &Value) {
        let Some(fields) = schema["properties"].as_object() else {
            return;
        };
        self.line(&format!("\n### `{path}`\n"));
        self.line(&format!("{}\n", text(schema, "description")));
        let shared = shared_fields();
        let has_common = shared.iter().all(|field| fields.contains_key(field));
        let own = |field: &&String| !has_common || !shared.contains(*field);
        let required: BTreeSet<&str> = schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        self.line("| field | type | meaning |\n|---|---|---|");
        for name in fields.keys().filter(own) {
            let must = if required.contains(name.as_str()) {
                " **Required.**"
            } else {
                ""
            };
            self.row(name, &fields[name], must);
        }
        if has_common {
            self.line("| *and those of every component* | | see below |");
        }
        self.rules(schema);
        for name in fields.keys().filter(own) {
            self.inner(&format!("{path}.{name}"), &fields[name]);
        }
        if has_common {
            self.common(fields, &shared);
        }
    }

    fn common(&mut self, fields: &Map<String, Value>, shared: &BTreeSet<String>) {
        let title = "Fields of every component";
        let block = json!({"properties": shared.iter().map(|f| (f.clone(), fields[f].clone())).collect::<Map<_, _>>()});
        if !self.is_new(&block, title) {
            return;
        }
        self.line(&format!("\n### {title}\n\n| field | type | meaning |\n|---|---|---|"));
        for name in shared {
            self.row(name, &fields[name], "");
        }
        for name in shared {
            self.inner(&format!("….{name}"), &fields[name]);
        }
    }

    /// A block inside a block, unless the same one stands on the page already.
    fn inner(&mut self, path: &str, schema: &Value) {
        let block = if schema["type"] == "array" {
            &schema["items"]
        } else {
            schema
        };
        let path = if schema["type"] == "array" {
            format!("{path}[]")
        } else {
            path.to_string()
        };
        if block["properties"].is_object() && self.is_new(block, &path) {
            self.block(&path, block);
        }
    }

    fn is_new(&mut self, block: &Value, path: &str) -> bool {
        let key = block["properties"].to_string();
        let known = self.known.contains_key(&key);
        self.known.entry(key).or_insert_with(|| path.to_string());
        !known
    }

    fn row(&mut self, name: &str, schema: &Value, must: &str) {
        let meaning = text(schema, "description").replace('|', "\\|");
        self.line(&format!("| `{name}` | {} | {meaning}{must} |", kind(schema)));
    }

    fn rules(&mut self, schema: &Value) {
        let rules = schema["x-kubernetes-validations"].as_array();
        let messages: BTreeSet<&str> = rules.into_iter().flatten().map(|r| text(r, "message")).collect();
        if !messages.is_empty() {
            self.line("\nRules that the API server holds even without the webhooks:\n");
        }
        for message in messages {
            self.line(&format!("- {message}"));
        }
    }
}

/// What a value may be, in a few words.
fn kind(schema: &Value) -> String {
    let bounds = |low: &str, high: &str| match (&schema[low], &schema[high]) {
        (Value::Null, Value::Null) => String::new(),
        (Value::Null, most) => format!(", at most {}", whole(most)),
        (least, Value::Null) => format!(", at least {}", whole(least)),
        (least, most) => format!(", {} to {}", whole(least), whole(most)),
    };
    if let Some(values) = schema["enum"].as_array() {
        let names: Vec<String> = values
            .iter()
            .map(|v| format!("`{}`", v.as_str().unwrap_or_default()))
            .collect();
        return names.join(", ");
    }
    match text(schema, "type") {
        "array" => format!("list of {}{}", kind(&schema["items"]), bounds("minItems", "maxItems")),
        "object" if !schema["additionalProperties"].is_null() => {
            format!("map of {}", kind(&schema["additionalProperties"]))
        }
        "string" => match bounds("minLength", "maxLength") {
            none if none.is_empty() => "string".into(),
            bounds => format!("string{bounds} characters"),
        },
        "integer" => format!("integer{}", bounds("minimum", "maximum")),
        "" if schema["x-kubernetes-int-or-string"] == json!(true) => "string or integer".into(),
        "" => "any".into(),
        other => other.into(),
    }
}

/// Bounds are floating-point in a schema and whole in ours.
fn whole(number: &Value) -> String {
    number.as_f64().map_or_else(String::new, |n| format!("{n:.0}"))
}

fn columns(version: &Value) -> String {
    let columns = version["additionalPrinterColumns"].as_array();
    let name = |column: &Value| {
        let wide = if column["priority"] == json!(1) {
            " (with `-o wide`)"
        } else {
            ""
        };
        format!("{}{wide}", text(column, "name").to_uppercase())
    };
    columns.into_iter().flatten().map(name).collect::<Vec<_>>().join(", ")
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// The names of the common block's fields.
fn shared_fields() -> BTreeSet<String> {
    let schema = json!(
        SchemaSettings::openapi3()
            .into_generator()
            .into_root_schema_for::<Common>()
    );
    let fields = schema["properties"].as_object();
    fields.into_iter().flat_map(|f| f.keys().cloned()).collect()
}
