//! The table of faults: each row is written by the test that injected it, and the last test puts them together.

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// What a fault did.
#[derive(Serialize, Deserialize)]
pub struct Row {
    /// Its name.
    pub fault: String,
    /// What was done.
    pub injected: String,
    /// For how long, in seconds.
    pub seconds: f64,
    /// Tries that an API server answered meanwhile.
    pub answered: usize,
    /// Of them, those in which it blamed a webhook.
    pub failed: usize,
    /// Objects that were admitted without their defaults.
    pub unfilled: usize,
    /// Seconds from the first failed admission to the last.
    pub failing: f64,
    /// Seconds from the end of the fault until both replicas were ready and everything that was acknowledged had come true.
    pub recovered: f64,
    /// Acknowledged writes that never came true.
    pub lost: usize,
    /// How many failed admissions are promised at most.
    pub promised: String,
}

/// Full durations.
#[must_use]
pub fn is_soak() -> bool {
    env::var_os("LLM_OPERATOR_SOAK").is_some()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("reliability")
}

impl Row {
    /// Keeps the row.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self) -> Result<()> {
        fs::create_dir_all(folder())?;
        println!("{}", self.line());
        let file: String = self.fault.chars().filter(char::is_ascii_alphanumeric).collect();
        fs::write(folder().join(file), serde_json::to_vec_pretty(self)?).context("cannot keep a row of the table")
    }

    fn line(&self) -> String {
        let failed = match (self.failed, self.unfilled) {
            (0, 0) => "0".to_string(),
            (0, unfilled) => format!("0, and {unfilled} without defaults"),
            (failed, _) => format!("{failed} in {:.1} s", self.failing),
        };
        format!(
            "| {} | {} | {:.0} s | {} | {failed} | {} | {:.1} s | {} |",
            self.fault, self.injected, self.seconds, self.answered, self.promised, self.recovered, self.lost
        )
    }
}

/// Puts the rows in the order of `faults` into a page: docs/reliability.md with full durations, else one beside the rows.
///
/// # Errors
/// When one is missing.
pub fn put_together<'a>(faults: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut rows = String::new();
    for fault in faults {
        let file: String = fault.chars().filter(char::is_ascii_alphanumeric).collect();
        let row = fs::read(folder().join(file)).with_context(|| format!("no row for {fault}"))?;
        let row: Row = serde_json::from_slice(&row)?;
        writeln!(rows, "{}", row.line())?;
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reliability.md");
    let text = fs::read_to_string(&page)?;
    let (head, rest) = text.split_once(BEGIN).context("docs/reliability.md has no table")?;
    let (_, tail) = rest
        .split_once(END)
        .context("the table of docs/reliability.md has no end")?;
    let heading = "| fault | what was done | for | tries answered | failed admissions | promised | recovered after | lost writes |";
    let made = format!("{head}{BEGIN}\n{heading}\n|---|---|---|---|---|---|---|---|\n{rows}{END}{tail}");
    let to = if is_soak() {
        page
    } else {
        folder().join("reliability.md")
    };
    fs::write(&to, made)?;
    println!("{}", to.display());
    ensure!(!rows.is_empty(), "a table without rows");
    Ok(())
}

const BEGIN: &str = "<!-- begin: written by the tests -->";
const END: &str = "<!-- end -->";
