//! Generates the chart's `values.schema.json` and `README.md` from its annotated `values.yaml`.
//!
//! The comments that count, above a key: `# -- description` (continued on the next comment lines), then any of `# @enum a,b`,
//! `# @minimum N`, `# @maximum N`, `# @minLength N`, `# @pattern REGEX`, and where the value is a list or a map of free keys
//! `# @items TYPE`, `# @map TYPE` or `# @open` (any object), TYPE being a JSON schema type or `open`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};

/// What the comments above one key of `values.yaml` say.
#[derive(Debug, Default, PartialEq)]
struct Note {
    /// Dotted path of the key.
    path: String,
    description: String,
    /// Name and argument of each `@` line.
    marks: BTreeMap<String, String>,
}

/// The closed JSON schema (draft 7, which Helm 3 and Helm 4 read) of a chart's values.
///
/// # Errors
/// When the YAML does not parse, a value has no description, a mark is unknown or does not fit, or the content of a list or
/// of an empty map is not said; the message names the path of the value.
pub fn values_schema(values_yaml: &str) -> Result<Value> {
    let (values, notes) = read_values(values_yaml)?;
    let by_path = notes.iter().map(|note| (note.path.as_str(), note)).collect();
    let mut schema = node("", &values, &by_path)?;
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    // Helm hands `global` to every chart that another chart depends on.
    schema["properties"]["global"] = json!({ "type": "object", "description": "Values that a parent chart shares." });
    Ok(schema)
}

/// The chart's README: its `README.tpl.md` with each `{{ chart.FIELD }}` taken from `Chart.yaml` and `{{ values }}` replaced
/// by the table of all values.
///
/// # Errors
/// When one of the three files is missing or does not parse, or a placeholder means nothing.
pub fn chart_readme(chart_dir: &Path) -> Result<String> {
    let read = |name: &str| {
        let path = chart_dir.join(name);
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let chart: Map<String, Value> =
        serde_saphyr::from_str(&read("Chart.yaml")?).context("Chart.yaml does not parse")?;
    let (values, notes) = read_values(&read("values.yaml")?)?;
    let table = values_table(&values, &notes)?;
    fill_in(&read("README.tpl.md")?, |name| match name.strip_prefix("chart.") {
        Some(field) => chart.get(field)?.as_str(),
        None => (name == "values").then_some(&table),
    })
}

fn read_values(text: &str) -> Result<(Value, Vec<Note>)> {
    Ok((
        serde_saphyr::from_str(text).context("values.yaml does not parse")?,
        notes(text),
    ))
}

/// The annotated keys, in the order of the file. Understands block mappings with one key a line, which is all that a
/// `values.yaml` of ours uses.
fn notes(text: &str) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut parents: Vec<(usize, &str)> = Vec::new();
    let mut pending: Option<Note> = None;
    for line in text.lines() {
        let content = line.trim_start();
        let indent = line.len() - content.len();
        if let Some(comment) = content.strip_prefix('#') {
            read_comment(comment.trim(), &mut pending);
        } else if let Some((key, _)) = content.split_once(':').filter(|_| !content.starts_with('-')) {
            parents.retain(|(of, _)| *of < indent);
            parents.push((indent, key));
            notes.extend(pending.take().map(|note| Note {
                path: dotted(&parents),
                ..note
            }));
        } else {
            pending = None;
        }
    }
    notes
}

fn dotted(keys: &[(usize, &str)]) -> String {
    keys.iter().map(|(_, key)| *key).collect::<Vec<_>>().join(".")
}

fn read_comment(comment: &str, pending: &mut Option<Note>) {
    if let Some(description) = comment.strip_prefix("-- ") {
        *pending = Some(Note {
            description: description.to_owned(),
            ..Note::default()
        });
    } else if let Some(note) = pending {
        if let Some(mark) = comment.strip_prefix('@') {
            let (name, argument) = mark.split_once(' ').unwrap_or((mark, ""));
            note.marks.insert(name.to_owned(), argument.trim().to_owned());
        } else {
            note.description = format!("{} {comment}", note.description);
        }
    }
}

fn node(path: &str, value: &Value, notes: &BTreeMap<&str, &Note>) -> Result<Value> {
    if let Some(note) = notes.get(path) {
        return leaf(value, note).with_context(|| format!("values.yaml: {path}"));
    }
    let Some(children) = value.as_object().filter(|children| !children.is_empty()) else {
        bail!("values.yaml: {path}: has no description (`# -- ...` above it)");
    };
    let mut properties = Map::new();
    for (key, child) in children {
        let path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        properties.insert(key.clone(), node(&path, child, notes)?);
    }
    Ok(json!({ "type": "object", "additionalProperties": false, "properties": properties }))
}

fn leaf(value: &Value, note: &Note) -> Result<Value> {
    let mut schema = json!({ "type": type_of(value)?, "description": note.description });
    for (mark, argument) in &note.marks {
        match (mark.as_str(), value) {
            ("enum", Value::String(_)) => schema["enum"] = argument.split(',').map(str::trim).collect(),
            ("pattern", Value::String(_)) => schema["pattern"] = json!(argument),
            ("minLength", Value::String(_)) | ("minimum" | "maximum", Value::Number(_)) => {
                schema[mark] = serde_json::from_str::<serde_json::Number>(argument)
                    .with_context(|| format!("@{mark} wants a number, not `{argument}`"))?
                    .into();
            }
            ("items", Value::Array(_)) => schema["items"] = content(argument)?,
            ("map", Value::Object(_)) => schema["additionalProperties"] = content(argument)?,
            ("open", Value::Object(_)) => {}
            _ => bail!("@{mark} is unknown or does not fit a value of type {}", type_of(value)?),
        }
    }
    let said = |mark: &str| note.marks.contains_key(mark);
    match value {
        Value::Array(_) if !said("items") => bail!("a list needs `@items TYPE`"),
        Value::Object(_) if !said("map") && !said("open") => bail!("a described map needs `@map TYPE` or `@open`"),
        _ => Ok(schema),
    }
}

fn content(kind: &str) -> Result<Value> {
    match kind {
        "open" => Ok(json!({ "type": "object" })),
        "string" | "integer" | "number" | "boolean" => Ok(json!({ "type": kind })),
        _ => bail!("`{kind}` is no type: string, integer, number, boolean or open"),
    }
}

fn type_of(value: &Value) -> Result<&'static str> {
    Ok(match value {
        Value::Null => bail!("null has no type: write the empty value of its type"),
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    })
}

fn values_table(values: &Value, notes: &[Note]) -> Result<String> {
    let mut lines = vec![
        "| Key | Type | Default | Description |".to_owned(),
        "|---|---|---|---|".to_owned(),
    ];
    for note in notes {
        let value = note.path.split('.').try_fold(values, |parent, key| parent.get(key));
        let value = value.with_context(|| format!("values.yaml: {}: described, but not there", note.path))?;
        let choice = note
            .marks
            .get("enum")
            .map(|choice| format!(" One of `{}`.", choice.replace(',', "`, `")));
        let description = format!("{}{}", note.description, choice.unwrap_or_default()).replace('|', "\\|");
        lines.push(format!(
            "| `{}` | {} | `{value}` | {description} |",
            note.path,
            type_of(value)?
        ));
    }
    Ok(lines.join("\n"))
}

fn fill_in<'a>(template: &str, text_of: impl Fn(&str) -> Option<&'a str>) -> Result<String> {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, tail) = after.split_once("}}").context("README.tpl.md: `{{` without `}}`")?;
        let text = text_of(name.trim());
        filled.push_str(before);
        filled.push_str(text.with_context(|| format!("README.tpl.md: `{}` means nothing", name.trim()))?);
        rest = tail;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(values_yaml: &str) -> String {
        format!("{:#}", values_schema(values_yaml).expect_err("should be refused"))
    }

    #[test]
    fn a_schema_is_closed_at_every_level_and_open_where_the_file_says_so() {
        let yaml = "\
image:
  # -- Pull policy,
  # continued.
  # @enum Always,Never
  pullPolicy: Always
# -- Number.
# @minimum 1
replicas: 2
# -- Labels.
# @map string
labels: {}
# -- Resources.
# @open
resources:
  limits: {memory: 1Gi}
# -- Names.
# @items string
names: []
";
        let closed =
            |properties: Value| json!({ "type": "object", "additionalProperties": false, "properties": properties });
        let mut expected = closed(json!({
            "image": closed(json!({
                "pullPolicy": { "type": "string", "description": "Pull policy, continued.", "enum": ["Always", "Never"] },
            })),
            "replicas": { "type": "integer", "description": "Number.", "minimum": 1 },
            "labels": { "type": "object", "description": "Labels.", "additionalProperties": { "type": "string" } },
            "resources": { "type": "object", "description": "Resources." },
            "names": { "type": "array", "description": "Names.", "items": { "type": "string" } },
            "global": { "type": "object", "description": "Values that a parent chart shares." },
        }));
        expected["$schema"] = json!("http://json-schema.org/draft-07/schema#");
        assert_eq!(values_schema(yaml).unwrap(), expected);
    }

    #[test]
    fn a_value_that_would_leave_a_hole_in_the_schema_is_refused_by_its_path() {
        for (yaml, message) in [
            (
                "a:\n  b: 1\n",
                "values.yaml: a.b: has no description (`# -- ...` above it)",
            ),
            (
                "# -- Map.\na: {}\n",
                "values.yaml: a: a described map needs `@map TYPE` or `@open`",
            ),
            ("# -- List.\na: []\n", "values.yaml: a: a list needs `@items TYPE`"),
            (
                "# -- Null.\na: null\n",
                "values.yaml: a: null has no type: write the empty value of its type",
            ),
            (
                "# -- Typo.\n# @enmu x\na: x\n",
                "values.yaml: a: @enmu is unknown or does not fit a value of type string",
            ),
            (
                "# -- Unfit.\n# @minimum 1\na: x\n",
                "values.yaml: a: @minimum is unknown or does not fit a value of type string",
            ),
            (
                "# -- Type.\n# @map text\na: {}\n",
                "values.yaml: a: `text` is no type: string, integer, number, boolean or open",
            ),
            (
                "# -- Lost.\n\na: 1\n",
                "values.yaml: a: has no description (`# -- ...` above it)",
            ),
        ] {
            assert_eq!(refusal(yaml), message);
        }
    }

    #[test]
    fn a_readme_lists_every_value_with_type_default_and_choices() {
        let yaml = "# -- Either | or.\n# @enum x,y\na: x\nb:\n  # -- Number.\n  c: 3\n";
        let (values, notes) = read_values(yaml).unwrap();
        let table = "| Key | Type | Default | Description |\n|---|---|---|---|\n\
                     | `a` | string | `\"x\"` | Either \\| or. One of `x`, `y`. |\n\
                     | `b.c` | integer | `3` | Number. |";
        assert_eq!(values_table(&values, &notes).unwrap(), table);
    }

    #[test]
    fn a_placeholder_without_meaning_is_refused() {
        let text_of = |name: &str| (name == "chart.name").then_some("demo");
        assert_eq!(fill_in("# {{ chart.name }}!", text_of).unwrap(), "# demo!");
        let error = fill_in("{{ chart.nmae }}", text_of).unwrap_err();
        assert_eq!(error.to_string(), "README.tpl.md: `chart.nmae` means nothing");
    }

    #[test]
    fn what_is_committed_is_what_is_generated() {
        let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts/llm-operator");
        let read = |name: &str| std::fs::read_to_string(chart.join(name)).unwrap();
        let schema: Value = serde_json::from_str(&read("values.schema.json")).unwrap();
        assert!(
            schema == values_schema(&read("values.yaml")).unwrap(),
            "values.schema.json is stale: make generate"
        );
        assert!(
            read("README.md") == chart_readme(&chart).unwrap(),
            "README.md of the chart is stale: make generate"
        );
    }
}
