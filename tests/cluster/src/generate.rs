//! Writes what the chart has generated: the schema of its values and its README.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::chart;

/// Writes every generated file of the chart whose content has changed, and prints its path.
///
/// # Errors
/// When a source does not parse, or a file cannot be written.
pub fn generate() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts/llm-operator");
    let values = fs::read_to_string(folder.join("values.yaml")).context("cannot read the chart's values.yaml")?;
    let schema = serde_json::to_string_pretty(&chart::values_schema(&values)?)? + "\n";
    write(&folder.join("values.schema.json"), &schema)?;
    write(&folder.join("README.md"), &chart::chart_readme(&folder)?)
}

fn write(path: &Path, content: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))?;
    println!("{}", path.display());
    Ok(())
}
