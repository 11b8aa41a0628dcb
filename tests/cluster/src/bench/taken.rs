//! When, of what and where something is measured.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use jiff::Timestamp;

use super::record::{Run, Taken};
use super::root;

/// Now, here, of this program.
///
/// # Errors
/// When the program cannot be asked for its version.
pub fn taken(program: &Path) -> Result<Taken> {
    let version = said(Command::new(program).arg("--version")).context("the operator does not tell its version")?;
    let versions = [
        ("llm-operator", version.trim_start_matches("llm-operator ").to_owned()),
        (
            "rustc",
            said(Command::new("rustc").arg("--version")).unwrap_or_else(|| "unknown".into()),
        ),
        ("Kubernetes", "1.37.0".into()),
    ];
    let clean = |(name, version): (&str, String)| (name.to_owned(), version.trim_start_matches("rustc ").to_owned());
    Ok(Taken {
        at: Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string(),
        commit: commit(),
        machine: machine(),
        load: first(&read("/proc/loadavg")).parse().unwrap_or(0.0),
        versions: versions.map(clean).into(),
    })
}

/// A run as the last commit has it; one without sections where there is none.
///
/// # Errors
/// When the file that is committed is something else.
pub fn committed(path: &str) -> Result<Run> {
    let text = said(
        Command::new("git")
            .args(["show", &format!("HEAD:{path}")])
            .current_dir(root()),
    );
    text.map_or_else(|| Ok(Run::default()), |text| Run::parse(&text))
}

fn commit() -> String {
    let git = |arguments: &[&str]| said(Command::new("git").args(arguments).current_dir(root()));
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return "unknown".into();
    };
    // The page and the records are what is being written.
    let dirty = git(&[
        "status",
        "--porcelain",
        "--",
        ".",
        ":!docs/performance",
        ":!docs/performance.md",
    ]);
    let mark = if dirty.is_none_or(|text| text.is_empty()) {
        ""
    } else {
        "-dirty"
    };
    commit + mark
}

fn machine() -> String {
    let value = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|l| l.split_once(':')).map(|(_, v)| v.trim().to_owned())
    };
    let cpu = value(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "an unnamed processor".into());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = value(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
    let kib: u64 = first(&memory).parse().unwrap_or_default();
    let kernel = read("/proc/sys/kernel/osrelease");
    format!(
        "{cpu}, {cores} cores, {} GiB, Linux {}",
        kib.div_ceil(1 << 20),
        kernel.trim()
    )
}

fn first(text: &str) -> String {
    text.split_whitespace().next().unwrap_or_default().to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// What a command prints; none when it fails.
fn said(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(text)
}
