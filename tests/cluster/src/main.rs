//! Starts, uses and stops real Kubernetes clusters.

use std::process::ExitCode;

use clap::Parser;
use cluster::cli::Cli;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
