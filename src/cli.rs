//! The command line: the one place that knows every part.

mod cleanup;
mod manifests;
mod migrate;
mod run;
mod selfcheck;

use crate::kind;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs private LLM stacks on Kubernetes.
#[derive(Debug, Parser)]
#[command(name = "llm-operator", version, about, arg_required_else_help = true)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator in a cluster.
    Run(Box<run::Args>),
    /// Check manifests as the webhooks would, without a cluster. Exit status 1 when one would be refused.
    Validate(Files),
    /// Print the objects that the operator would make of manifests, without a cluster.
    Render(Files),
    /// Rewrite older manifests to LMDeployment and its present fields, and print them with everything else as it was.
    Migrate(migrate::Args),
    /// Print the CustomResourceDefinitions.
    Crd,
    /// Try the webhooks of a cluster: a good object must be admitted and filled, a bad one refused.
    Selfcheck(selfcheck::Args),
    /// Take the operator's finalizers off every object, so that none hangs once no operator runs any more.
    Cleanup(cleanup::Args),
}

/// Manifests to read.
#[derive(Debug, clap::Args)]
struct Files {
    /// A file or a folder of YAML; - reads standard input. May be given several times.
    #[arg(short = 'f', long = "filename", required = true)]
    files: Vec<PathBuf>,
    /// The settings file of an installation, as its chart renders it.
    #[arg(long)]
    config: Option<PathBuf>,
}

/// Does what the command line asks for.
#[must_use]
pub fn main() -> ExitCode {
    let result = match Args::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Validate(files) => manifests::validate(&files.files, files.config.as_deref()),
        Command::Render(files) => manifests::render(&files.files, files.config.as_deref()),
        Command::Migrate(args) => migrate::run(&args),
        Command::Crd => crds(),
        Command::Selfcheck(args) => selfcheck::run(&args),
        Command::Cleanup(args) => cleanup::run(&args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn crds() -> anyhow::Result<ExitCode> {
    for form in kind::all() {
        print!("---\n{}", serde_saphyr::to_string(&(form.crd)())?);
    }
    Ok(ExitCode::SUCCESS)
}
