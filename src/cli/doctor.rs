//! What is wrong with an installation, or could be better: one look at a cluster, and a sentence for each thing.

mod ask;
mod finding;
mod installation;
mod judge;
mod needs;
mod picture;

use super::output::{self, Form, Output};
use anyhow::Context;
use finding::{Finding, Level};
use kube::{Client, Config};
use serde::Serialize;
use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

/// Exit status where there is a problem.
const PROBLEMS: u8 = 1;
/// Exit status where the cluster could not be asked.
const UNASKED: u8 = 2;
/// An API server that says nothing for this long is not there.
const PATIENCE: Duration = Duration::from_secs(30);

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The operator's namespace. Default: wherever it is found.
    #[arg(short, long, env = "POD_NAMESPACE")]
    namespace: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// What is printed as JSON or YAML.
#[derive(Serialize)]
struct Report<'a> {
    version: &'static str,
    problems: usize,
    notes: usize,
    findings: &'a [Finding],
}

/// Looks, and says what was found.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    // Two providers in one binary would leave rustls without a default; the first one installed is it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let picture = match runtime.block_on(look(args.namespace.as_deref())) {
        Ok(picture) => picture,
        Err(error) => {
            eprintln!("error: {error:#}");
            return Ok(ExitCode::from(UNASKED));
        }
    };
    let findings = judge::judge(&picture);
    let text = match args.output.form {
        Form::Table => table(&findings, output::colours()),
        form => output::document(&report(&findings), form)?,
    };
    output::print(&text)?;
    Ok(match count(&findings, Level::Problem) {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(PROBLEMS),
    })
}

async fn look(namespace: Option<&str>) -> anyhow::Result<picture::Picture> {
    let mut config = Config::infer().await.context("no way to a cluster")?;
    (config.connect_timeout, config.read_timeout) = (Some(PATIENCE), Some(PATIENCE));
    let client = Client::try_from(config).context("no way to the API server")?;
    ask::picture(&client, namespace).await
}

fn count(findings: &[Finding], level: Level) -> usize {
    findings.iter().filter(|finding| finding.level == level).count()
}

fn report(findings: &[Finding]) -> Report<'_> {
    Report {
        version: env!("CARGO_PKG_VERSION"),
        problems: count(findings, Level::Problem),
        notes: count(findings, Level::Note),
        findings,
    }
}

/// A line for each finding; under what is not as it should be, the field, its value and the way out.
fn table(findings: &[Finding], colours: bool) -> String {
    let mut out = String::new();
    for finding in findings {
        let (word, colour) = match finding.level {
            Level::Ok => ("ok", "32"),
            Level::Note => ("note", "33"),
            Level::Problem => ("PROBLEM", "1;31"),
        };
        let padded = format!("{word:<7}");
        let word = if colours {
            format!("\x1b[{colour}m{padded}\x1b[0m")
        } else {
            padded
        };
        let Finding {
            part, object, message, ..
        } = finding;
        // Writing into a String cannot fail.
        let _ = writeln!(out, "{word}  {part:<12}  {object}: {message}");
        if finding.level != Level::Ok {
            if let (Some(field), Some(value)) = (&finding.field, &finding.value) {
                let _ = writeln!(out, "{:23}{field}: {value}", "");
            }
            if let Some(remedy) = &finding.remedy {
                let _ = writeln!(out, "{:23}-> {remedy}", "");
            }
        }
    }
    let [problems, notes, fine] = [Level::Problem, Level::Note, Level::Ok].map(|level| count(findings, level));
    let _ = writeln!(out, "{problems} problems, {notes} notes, {fine} ok");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Vec<Finding> {
        vec![
            Finding::ok("nodes", "Nodes", "3 are Ready"),
            Finding::problem("operator", "Deployment a/b", "is scaled to nothing")
                .at("spec.replicas", 0)
                .remedy("scale it"),
        ]
    }

    #[test]
    fn people_read_object_field_value_and_way_out() {
        let expected = "ok       nodes         Nodes: 3 are Ready\n\
                        PROBLEM  operator      Deployment a/b: is scaled to nothing\n\
                        \x20                      spec.replicas: 0\n\
                        \x20                      -> scale it\n\
                        1 problems, 0 notes, 1 ok\n";
        assert_eq!(table(&findings(), false), expected);
        assert!(table(&findings(), true).contains("\x1b[1;31mPROBLEM\x1b[0m"));
    }

    #[test]
    fn programs_read_the_same() {
        let text = output::document(&report(&findings()), Form::Json).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&value["problems"], &value["notes"]), (&1.into(), &0.into()));
        assert_eq!(value["findings"][1]["level"], "problem");
        assert_eq!(value["findings"][1]["remedy"], "scale it");
        let yaml = output::document(&report(&findings()), Form::Yaml).unwrap();
        let read: serde_json::Value = serde_saphyr::from_str(&yaml).unwrap();
        assert_eq!(read, value);
    }
}
