//! Finds the `cluster` program, which a cluster's own processes are started from.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// A line of what cargo says about what it made.
#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
}

/// Names the program where it is known to be up to date; `cluster with` sets it for the command that it runs.
pub const PROGRAM: &str = "LLM_OPERATOR_CLUSTER_PROGRAM";

/// The path of the program, built first where it is not up to date: a test is another program, and cargo does
/// not build the binaries of the packages it depends on.
pub(super) fn path() -> Result<PathBuf> {
    if let Some(path) = env::var_os(PROGRAM) {
        return Ok(path.into());
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    // What cargo tells a test about the test's package would make build scripts, such as that of ring, run again.
    for (name, _) in env::vars_os() {
        let told = [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_BIN_",
            "CARGO_CRATE_",
            "CARGO_PRIMARY_",
        ];
        if told
            .iter()
            .any(|prefix| name.as_encoded_bytes().starts_with(prefix.as_bytes()))
        {
            build.env_remove(name);
        }
    }
    let output = build
        .args([
            "build",
            "--quiet",
            "--package",
            "cluster",
            "--bin",
            "cluster",
            "--message-format",
            "json",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .context("cannot run cargo to build the program `cluster`")?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "the program `cluster` does not build: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let messages = said
        .lines()
        .rev()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok());
    messages
        .into_iter()
        .find_map(|message| message.executable)
        .context("cargo does not say where the program `cluster` is")
}
