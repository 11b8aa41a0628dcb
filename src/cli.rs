//! The command line: the one place that knows every part.

mod cleanup;
mod doctor;
mod manifests;
mod migrate;
mod output;
mod run;
mod selfcheck;
mod shell;

use crate::kind;
use clap::{CommandFactory, Parser, Subcommand};
use output::{Form, Output};
pub use run::Meters;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

const EXIT: &str = "Exit status:
  0  done; for `run`: ended by a signal
  1  an error, in the last line on standard error; for `run`: the Lease was lost; for `validate` and `render`: a manifest would be
     refused; for `selfcheck`: admission does not work; for `doctor`: there is a problem; for `cleanup` without --yes: there is
     something to release
  2  the command line is wrong; for `doctor`: there is no way to the cluster";

/// Runs private LLM stacks on Kubernetes.
#[derive(Debug, Parser)]
#[command(name = "llm-operator", version, about, arg_required_else_help = true, after_help = EXIT)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator in a cluster.
    Run(Box<run::Args>),
    /// Check manifests as the webhooks would, without a cluster. Exit status 1 when one would be refused.
    Validate(Checked),
    /// Print the objects that the operator would make of manifests, without a cluster.
    Render(Rendered),
    /// Rewrite older manifests to LMDeployment and its present fields, and print them with everything else as it was.
    Migrate(migrate::Args),
    /// Print the CustomResourceDefinitions.
    Crd(Yaml),
    /// Say what is wrong with an installation in a cluster, and the way out. Exit status 1 with a problem, 2 when there is
    /// no way to the cluster.
    Doctor(doctor::Args),
    /// Try the webhooks of a cluster: a good object must be admitted and filled, a bad one refused.
    Selfcheck(selfcheck::Args),
    /// Take the operator's finalizers off every object, so that none hangs once no operator runs any more.
    Cleanup(cleanup::Args),
    /// Print what a shell loads to complete this command line.
    Completion(shell::Args),
    /// Print a page of the manual, for `man -l -`.
    Man(shell::Page),
}

/// Manifests to check.
#[derive(Debug, clap::Args)]
struct Checked {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    output: Output,
}

/// Manifests to make objects of.
#[derive(Debug, clap::Args)]
struct Rendered {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    output: Yaml,
}

/// The same as [`Output`] for objects, which people read as YAML.
#[derive(Clone, Copy, Debug, clap::Args)]
struct Yaml {
    /// The form of what is printed.
    #[arg(short = 'o', long = "output", value_enum, default_value_t = Form::Yaml)]
    form: Form,
}

/// The description of the command line.
#[must_use]
pub fn command() -> clap::Command {
    Args::command()
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
        Command::Validate(Checked { files, output }) => {
            manifests::validate(&files.files, files.config.as_deref(), output.form)
        }
        Command::Render(Rendered { files, output }) => {
            manifests::render(&files.files, files.config.as_deref(), output.form)
        }
        Command::Migrate(args) => migrate::run(&args),
        Command::Crd(output) => crds(output.form),
        Command::Doctor(args) => doctor::run(&args),
        Command::Selfcheck(args) => selfcheck::run(&args),
        Command::Cleanup(args) => cleanup::run(&args),
        Command::Completion(args) => shell::completion(&args, command()),
        Command::Man(args) => shell::manual(&args, command()),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn crds(form: Form) -> anyhow::Result<ExitCode> {
    let all: Vec<Value> = kind::all().iter().map(|form| json!((form.crd)())).collect();
    output::print(&output::objects(&all, form)?)?;
    Ok(ExitCode::SUCCESS)
}
