//! The forms in which a command prints what it found, and whether it may use colours.

use anyhow::Context;
use serde::Serialize;
use serde_json::{Value, json};
use std::io::{ErrorKind, IsTerminal, Write};

/// The form of what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Form {
    /// Lines for people.
    Table,
    /// One JSON document.
    Json,
    /// YAML.
    Yaml,
}

/// What `-o` takes, with what it means where it is not given.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Output {
    /// The form of what is printed.
    #[arg(short = 'o', long = "output", value_enum, default_value_t = Form::Table)]
    pub form: Form,
}

/// The value as one document in JSON or YAML.
///
/// # Errors
/// When it cannot be written down.
pub(super) fn document(value: &impl Serialize, form: Form) -> anyhow::Result<String> {
    match form {
        Form::Json => Ok(serde_json::to_string_pretty(value)? + "\n"),
        Form::Table | Form::Yaml => Ok(serde_saphyr::to_string(value)?),
    }
}

/// Objects of Kubernetes: documents of YAML, a List in JSON, or a line for each.
///
/// # Errors
/// When they cannot be written down.
pub(super) fn objects(all: &[Value], form: Form) -> anyhow::Result<String> {
    let mut out = String::new();
    match form {
        Form::Json => return document(&json!({"apiVersion": "v1", "kind": "List", "items": all}), form),
        Form::Yaml => {
            for object in all {
                out.push_str("---\n");
                out.push_str(&serde_saphyr::to_string(object)?);
            }
        }
        Form::Table => {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let row = |o: &Value| {
                [
                    &o["apiVersion"],
                    &o["kind"],
                    &o["metadata"]["namespace"],
                    &o["metadata"]["name"],
                ]
                .map(text)
            };
            let rows: Vec<[String; 4]> = all.iter().map(row).collect();
            out = columns(["APIVERSION", "KIND", "NAMESPACE", "NAME"], &rows);
        }
    }
    Ok(out)
}

/// A table for people: a line of titles, and columns that are as wide as they must be.
pub(super) fn columns<const N: usize>(titles: [&str; N], rows: &[[String; N]]) -> String {
    let titles = titles.map(str::to_owned);
    let all: Vec<&[String; N]> = [&titles].into_iter().chain(rows).collect();
    let width = |column: usize| {
        all.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut out = String::new();
    for row in all {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        out.push_str(cells.join("   ").trim_end());
        out.push('\n');
    }
    out
}

/// Writes to standard output; a reader that has seen enough, such as `head`, is no error.
///
/// # Errors
/// When it cannot be written to.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.context("standard output"),
    }
}

/// Colours are for terminals, and for nobody who says NO_COLOR.
pub(super) fn colours() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    std::io::stdout().is_terminal() && !refused && !dumb
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Value> {
        let metadata = |name: &str| json!({"name": name, "namespace": "n"});
        vec![
            json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata("a")}),
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata("b")}),
        ]
    }

    #[test]
    fn objects_are_documents_a_list_or_lines() {
        let yaml = objects(&all(), Form::Yaml).unwrap();
        let read: Vec<Value> = serde_saphyr::from_multiple(&yaml).unwrap();
        assert_eq!(read, all());
        let list: Value = serde_json::from_str(&objects(&all(), Form::Json).unwrap()).unwrap();
        assert_eq!((list["kind"].as_str(), &list["items"]), (Some("List"), &json!(all())));
        let table = objects(&all(), Form::Table).unwrap();
        let expected = "APIVERSION   KIND         NAMESPACE   NAME\n\
                        v1           Service      n           a\n\
                        apps/v1      Deployment   n           b\n";
        assert_eq!(table, expected);
    }
}
