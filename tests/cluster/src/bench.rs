//! The benchmarks of the system: `make bench` runs them and writes docs/performance.md.

mod admission;
mod bed;
mod controllers;
pub mod figures;
mod fleet;
mod functions;
pub mod generator;
mod operator;
pub mod page;
mod process;
mod readiness;
pub mod record;
mod relay;
mod taken;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use record::{Run, Section};

/// The run and the one that was committed before it, below docs/performance/.
const RUN: &str = "docs/performance/run.json";
const PREVIOUS: &str = "docs/performance/previous.json";
const PAGE: &str = "docs/performance.md";

/// What is measured together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Functions alone, by criterion.
    Functions,
    /// The webhooks.
    Admission,
    /// Many stacks.
    Controllers,
    /// Many models on many servers.
    Fleet,
    /// Start, size, failover.
    Readiness,
}

impl Part {
    /// In the order of the page.
    pub const ALL: [Part; 5] = [
        Part::Admission,
        Part::Controllers,
        Part::Fleet,
        Part::Readiness,
        Part::Functions,
    ];

    /// Its name on the command line and in the records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Part::Functions => "functions",
            Part::Admission => "admission",
            Part::Controllers => "controllers",
            Part::Fleet => "fleet",
            Part::Readiness => "readiness",
        }
    }

    /// Its title on the page.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Part::Functions => "Functions",
            Part::Admission => "Admission",
            Part::Controllers => "Controllers",
            Part::Fleet => "Fleet",
            Part::Readiness => "Start, size, failover",
        }
    }

    /// How it is measured.
    #[must_use]
    pub fn about(self) -> &'static str {
        match self {
            Part::Functions => include_str!("bench/about/functions.md"),
            Part::Admission => include_str!("bench/about/admission.md"),
            Part::Controllers => include_str!("bench/about/controllers.md"),
            Part::Fleet => include_str!("bench/about/fleet.md"),
            Part::Readiness => include_str!("bench/about/readiness.md"),
        }
    }
}

/// The arguments of `cluster bench`.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// The operator's program, optimised and static.
    #[arg(long)]
    operator: PathBuf,
    /// The folder in which criterion left what it measured.
    #[arg(long)]
    criterion: Option<PathBuf>,
    /// Measure only this; may be given several times. The other sections stay as they are.
    #[arg(long)]
    only: Vec<Part>,
    /// The most stacks at a time; 1000 take some minutes.
    #[arg(long, default_value_t = 1000)]
    stacks: usize,
    /// Measure nothing: write the page again from the records, after a change of its text.
    #[arg(long)]
    page: bool,
    /// Take fewer and shorter measurements, to try the benchmarks themselves; nothing is written.
    #[arg(long)]
    short: bool,
}

/// What every part needs to know.
struct Bench {
    /// The name of its clusters.
    name: String,
    program: PathBuf,
    criterion: Option<PathBuf>,
    stacks: usize,
    short: bool,
}

/// Measures, and writes the record and the page after each part.
///
/// # Errors
/// When something cannot be measured; what was measured before is written.
pub async fn bench(name: &str, options: Options) -> Result<()> {
    if options.page {
        return write(&Run::read(&root().join(RUN))?, &Run::read(&root().join(PREVIOUS))?);
    }
    let begin = Instant::now();
    let program = fs::canonicalize(&options.operator);
    let bench = Bench {
        name: name.to_owned(),
        program: program.with_context(|| format!("there is no {}", options.operator.display()))?,
        criterion: options.criterion,
        stacks: options.stacks,
        short: options.short,
    };
    let (mut run, mut previous) = (Run::read(&root().join(RUN))?, Run::read(&root().join(PREVIOUS))?);
    let committed = taken::committed(RUN)?;
    for part in Part::ALL {
        if !options.only.is_empty() && !options.only.contains(&part) {
            continue;
        }
        say(&format!(
            "== {} ({:.0} s so far)",
            part.title(),
            begin.elapsed().as_secs_f64()
        ));
        let taken = taken::taken(&bench.program)?;
        let (goals, tables) = measure(&bench, part).await.with_context(|| part.title())?;
        let section = Section { taken, goals, tables };
        run.sections.insert(part.name().to_owned(), section);
        previous.copy(part.name(), &committed);
        if bench.short {
            println!("{}", page::page(&run, &previous));
        } else {
            write(&run, &previous)?;
        }
    }
    say(&format!("done after {:.0} s: {PAGE}", begin.elapsed().as_secs_f64()));
    Ok(())
}

type Measured = (Vec<record::Goal>, Vec<record::Table>);

async fn measure(bench: &Bench, part: Part) -> Result<Measured> {
    match part {
        Part::Functions => functions::measure(bench),
        Part::Admission => admission::measure(bench).await,
        Part::Controllers => controllers::measure(bench).await,
        Part::Fleet => fleet::measure(bench).await,
        Part::Readiness => readiness::measure(bench).await,
    }
}

fn write(run: &Run, previous: &Run) -> Result<()> {
    fs::create_dir_all(root().join("docs/performance"))?;
    run.write(&root().join(RUN))?;
    previous.write(&root().join(PREVIOUS))?;
    fs::write(root().join(PAGE), page::page(run, previous)).with_context(|| format!("cannot write {PAGE}"))
}

/// The folder of the project.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn say(what: &str) {
    eprintln!("{what}");
}

/// As milliseconds.
fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_what_the_records_say() {
        let run = Run::read(&root().join(RUN)).unwrap();
        let previous = Run::read(&root().join(PREVIOUS)).unwrap();
        let page = fs::read_to_string(root().join(PAGE)).unwrap();
        assert!(
            page == page::page(&run, &previous),
            "{PAGE} is written by `make bench`, not by hand"
        );
    }
}
