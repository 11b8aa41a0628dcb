//! Older manifests in today's form: `LMDeployment`, and nested fields. What is not ours passes through byte for byte.

mod edit;
mod fields;
mod text;

use super::manifests;
use anyhow::Context;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `migrate`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A file or a folder of YAML; - reads standard input. May be given several times.
    #[arg(short = 'f', long = "filename", required = true)]
    files: Vec<PathBuf>,
}

/// Prints every document, older ones rewritten. Says on standard error what it did; prints nothing when a file cannot be read.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut out = String::new();
    let mut notes = String::new();
    for file in manifests::expand(&args.files)? {
        let text = manifests::text(&file)?;
        let migrated = text::migrated(&text).with_context(|| format!("file {}", file.display()))?;
        for note in migrated.notes {
            // Writing into a String cannot fail.
            let _ = writeln!(notes, "{}: {note}", file.display());
        }
        append(&mut out, &migrated.text);
    }
    eprint!("{notes}");
    print!("{out}");
    Ok(ExitCode::SUCCESS)
}

/// Files become documents of one stream.
fn append(out: &mut String, text: &str) {
    if !out.is_empty() && !text.starts_with("---") {
        out.push_str("---\n");
    }
    out.push_str(text);
    if !text.is_empty() && !text.ends_with('\n') {
        out.push('\n');
    }
}
