//! What criterion has measured of functions alone.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::record::Table;
use super::{Bench, Measured, say};

/// A file that criterion writes for each benchmark.
#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    /// Nanoseconds.
    point_estimate: f64,
    confidence_interval: Interval,
}

#[derive(Deserialize)]
struct Interval {
    lower_bound: f64,
    upper_bound: f64,
}

/// What nothing that reads a review and writes an answer can avoid.
const FLOOR: &str = "json";

pub(super) fn measure(bench: &Bench) -> Result<Measured> {
    let Some(folder) = &bench.criterion else {
        anyhow::bail!(
            "say with --criterion where criterion left what it measured, or measure something else with --only"
        )
    };
    let folder = folder.join("handlers");
    let mut names: Vec<String> = fs::read_dir(&folder)
        .with_context(|| format!("criterion left nothing in {}", folder.display()))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| folder.join(name).join("new").is_dir())
        .collect();
    names.sort();
    let floor = estimates(&folder, FLOOR)?.median.point_estimate;
    let columns = ["*median µs", "from", "to", "of the JSON alone"];
    let mut table = Table::new("In one process, on one core", "function", &columns);
    for name in names {
        let median = estimates(&folder, &name)?.median;
        let Interval {
            lower_bound,
            upper_bound,
        } = median.confidence_interval;
        say(&format!("  {name}: {:.1} µs", median.point_estimate / 1e3));
        let micros = [median.point_estimate, lower_bound, upper_bound].map(|nanoseconds| nanoseconds / 1e3);
        table.row(name, micros.into_iter().chain([median.point_estimate / floor]));
    }
    Ok((vec![], vec![table]))
}

fn estimates(folder: &Path, name: &str) -> Result<Estimates> {
    let file = folder.join(name).join("new/estimates.json");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not what criterion writes", file.display()))
}
