//! Manifests without a cluster: the same checks and the same objects as with one.

use crate::base::issue::{Issue, Review};
use crate::base::settings::Settings;
use crate::cli::output;
use crate::kind::{self, Form};
use anyhow::Context;
use serde::Serialize;
use serde_json::Value;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// One document of a file.
struct Manifest {
    name: String,
    form: Form,
    object: Value,
}

/// What would come of one manifest.
#[derive(Serialize)]
struct Verdict {
    file: String,
    kind: &'static str,
    name: String,
    accepted: bool,
    errors: Vec<String>,
    warnings: Vec<String>,
}

/// Says what the webhooks would say. Fails when one manifest would be refused.
pub(super) fn validate(files: &[PathBuf], config: Option<&Path>, form: output::Form) -> anyhow::Result<ExitCode> {
    let settings = settings(config)?;
    let mut verdicts = vec![];
    for file in expand(files)? {
        for manifest in read(&file)? {
            let review = manifest.review(&settings);
            let errors: Vec<String> = review.issues.iter().map(ToString::to_string).collect();
            verdicts.push(Verdict {
                file: file.display().to_string(),
                kind: manifest.form.kind,
                name: manifest.name,
                accepted: errors.is_empty(),
                errors,
                warnings: review.spoken(),
            });
        }
    }
    anyhow::ensure!(!verdicts.is_empty(), "no object of this operator in {}", names(files));
    let good = verdicts.iter().filter(|verdict| verdict.accepted).count();
    if form == output::Form::Table {
        verdicts.iter().for_each(speak);
        println!("{good} of {} manifests are good", verdicts.len());
    } else {
        output::print(&output::document(&verdicts, form)?)?;
    }
    Ok(if good == verdicts.len() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A line for each thing, where a terminal shows what went wrong.
fn speak(verdict: &Verdict) {
    let title = format!("{}: {} {}", verdict.file, verdict.kind, verdict.name);
    verdict
        .warnings
        .iter()
        .for_each(|warning| eprintln!("{title}: warning: {warning}"));
    verdict.errors.iter().for_each(|issue| eprintln!("{title}: {issue}"));
}

/// Prints the objects of each manifest, as multi-document YAML. Fails, and prints nothing, when one is wrong.
pub(super) fn render(files: &[PathBuf], config: Option<&Path>, form: output::Form) -> anyhow::Result<ExitCode> {
    let settings = settings(config)?;
    let mut all = vec![];
    for file in expand(files)? {
        for manifest in read(&file)? {
            let issues = manifest.review(&settings).issues;
            let title = format!("{}: {} {}", file.display(), manifest.form.kind, manifest.name);
            anyhow::ensure!(issues.is_empty(), "{title}: {}", list(&issues));
            let objects = (manifest.form.render)(&manifest.object, &settings).map_err(anyhow::Error::msg)?;
            all.extend(objects.into_iter().map(|object| object.body));
        }
    }
    output::print(&output::objects(&all, form)?)?;
    Ok(ExitCode::SUCCESS)
}

/// The settings file; without one, what an empty file means.
///
/// # Errors
/// When it cannot be read, or does not fit.
pub(super) fn settings(path: Option<&Path>) -> anyhow::Result<Settings> {
    let Some(path) = path else {
        return Ok(Settings::default());
    };
    let text = fs::read_to_string(path).with_context(|| format!("settings file {}", path.display()))?;
    serde_saphyr::from_str(&text).with_context(|| format!("settings file {}", path.display()))
}

impl Manifest {
    fn review(&self, settings: &Settings) -> Review {
        let mut filled = self.object.clone();
        (self.form.fill)(&mut filled);
        let mut review = (self.form.review)(&filled, None, settings).unwrap_or_else(|why| {
            let issue = Issue::invalid(
                "spec",
                "form",
                Value::Null,
                format!("does not fit {}: {why}", self.form.kind),
            );
            Review {
                issues: vec![issue],
                warnings: vec![],
            }
        });
        review.issues.extend(self.unknown_fields());
        review
    }

    /// Fields that the API server would drop or refuse.
    fn unknown_fields(&self) -> Vec<Issue> {
        let crd = serde_json::to_value((self.form.crd)()).unwrap_or_default();
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        let mut found = vec![];
        unknown(schema, &self.object["spec"], "spec", &mut found);
        found
            .into_iter()
            .map(|path| Issue::forbidden(path, "unknown", "there is no such field; see docs/reference.md"))
            .collect()
    }
}

fn unknown(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    if schema["x-kubernetes-preserve-unknown-fields"] == Value::Bool(true) {
        return;
    }
    match value {
        Value::Object(fields) if schema["properties"].is_object() => {
            for (name, value) in fields {
                let at = format!("{path}.{name}");
                match &schema["properties"][name.as_str()] {
                    Value::Null => found.push(at),
                    known => unknown(known, value, &at, found),
                }
            }
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(i, item)| unknown(&schema["items"], item, &format!("{path}[{i}]"), found));
        }
        _ => {}
    }
}

/// Files as they are, folders as the YAML files in them, in the order of their names.
pub(super) fn expand(files: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut out = vec![];
    for file in files {
        if !file.is_dir() {
            out.push(file.clone());
            continue;
        }
        let entries = fs::read_dir(file).with_context(|| format!("folder {}", file.display()))?;
        let mut inside = entries.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>()?;
        inside.retain(|p| {
            p.extension()
                .is_some_and(|e| ["yaml", "yml", "json"].iter().any(|y| e == *y))
        });
        inside.sort();
        out.append(&mut inside);
    }
    Ok(out)
}

/// What is in a file, or comes in where it is `-`.
///
/// # Errors
/// When it cannot be read.
pub(super) fn text(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).context("standard input")?;
    } else {
        text = fs::read_to_string(file).with_context(|| format!("file {}", file.display()))?;
    }
    Ok(text)
}

/// The objects of this operator in a file; others are passed over, as `kubectl apply -f` takes files of all kinds.
fn read(file: &Path) -> anyhow::Result<Vec<Manifest>> {
    let text = text(file)?;
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(&text).with_context(|| format!("file {}", file.display()))?;
    let manifest = |object: Value| {
        let form = kind::of(&object)?;
        let name = object["metadata"]["name"].as_str().unwrap_or("without a name");
        Some(Manifest {
            name: name.into(),
            form,
            object,
        })
    };
    Ok(documents.into_iter().filter_map(manifest).collect())
}

fn names(files: &[PathBuf]) -> String {
    files
        .iter()
        .map(|f| f.display().to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

fn list(issues: &[Issue]) -> String {
    issues.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
