//! The command line of the test clusters.

use std::ffi::OsString;
use std::fs;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};

use crate::components::{KWOK_TOOLS, NODE_TOOLS};
use crate::control::{self, Request};
use crate::packages;
use crate::predecessor::Predecessor;
use crate::state::{Kind, State};
use crate::text::last_lines;
use crate::tools::{self, Tool};
use crate::up::{self, Options};
use crate::{bench, demo, down, enter, generate, init, keeper, load, registry, with};

/// Starts, uses and stops real Kubernetes clusters for tests and demonstrations.
#[derive(Debug, Parser)]
#[command(name = "cluster", version)]
pub struct Cli {
    /// The cluster's name: several run side by side.
    #[arg(long, global = true, default_value = "dev")]
    name: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the cluster: a real node as root, a control plane with KWOK nodes otherwise.
    Up {
        /// Only a control plane and nodes that KWOK plays, as root too.
        #[arg(long)]
        kwok: bool,
        /// How many nodes KWOK plays.
        #[arg(long, default_value_t = 0)]
        kwok_nodes: u32,
    },
    /// Stop the cluster and remove everything of it.
    Down,
    /// Say whether the cluster is up, and what its components do.
    Status,
    /// Print the path of the kubeconfig.
    Kubeconfig,
    /// Load container images into the node: archives, or names in buildah's storage.
    Load {
        /// A Docker or OCI archive, or an image's name.
        #[arg(required = true)]
        images: Vec<String>,
    },
    /// Print the log of a component, or the end of every log.
    Logs {
        /// The component, as `status` calls it.
        component: Option<String>,
    },
    /// Run a command inside the cluster's namespaces.
    Enter {
        /// The command and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
    /// Build tools and print where they are; without names, those that a cluster here starts with.
    Tools {
        /// Which tools.
        names: Vec<Tool>,
        /// All that the tests use.
        #[arg(long, conflicts_with = "names")]
        tests: bool,
        /// Print the paths alone.
        #[arg(long)]
        path: bool,
    },
    /// Run a command while the cluster is up; it is started before and taken down after, unless it was up already.
    With {
        /// The command and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
    /// Show the operator, from nothing to a model's answer.
    Demo(demo::Options),
    /// Remove what the demonstration made.
    DemoDown(demo::DownOptions),
    /// Measure the operator, and write docs/performance.md.
    Bench(bench::Options),
    /// Write the chart's files that are generated from its values.
    Generate,
    /// Serve models to Ollama servers of the tests.
    Registry(registry::Options),
    #[command(name = "__load", hide = true)]
    BenchLoad,
    #[command(name = "__keeper", hide = true)]
    Keeper,
    #[command(name = "__init", hide = true)]
    Init,
}

impl Cli {
    /// Does what the command line says. Called before any thread is started: entering namespaces needs that.
    ///
    /// # Errors
    /// A text for the person at the terminal.
    pub fn run(self) -> Result<ExitCode> {
        let state = State::of(&self.name)?;
        match self.command {
            Command::Up { kwok, kwok_nodes } => start(&state, kwok.then_some(Kind::Kwok), kwok_nodes)?,
            Command::Down => {
                let there = down::down(&state)?;
                eprintln!(
                    "{}",
                    if there {
                        "down"
                    } else {
                        "there was nothing to take down"
                    }
                );
            }
            Command::Status => return status(&state),
            Command::Kubeconfig => {
                state.spec()?;
                print(&format!("{}\n", state.kubeconfig().display()))?;
            }
            Command::Load { images } => runtime()?.block_on(load_all(&state, &images))?,
            Command::Logs { component } => logs(&state, component.as_deref())?,
            Command::Enter { command } => return enter::enter(&state, &command),
            Command::Tools { names, tests, path } => print_tools(names, tests, path)?,
            Command::With { command } => return runtime()?.block_on(with::with(&state, &command)),
            Command::Demo(options) => runtime()?.block_on(demo::demo(options))?,
            Command::DemoDown(options) => runtime()?.block_on(demo::down(options))?,
            Command::Bench(options) => runtime()?.block_on(bench::bench(&self.name, options))?,
            Command::BenchLoad => bench::generator::run()?,
            Command::Generate => generate::generate()?,
            Command::Registry(options) => runtime()?.block_on(registry::serve(options))?,
            Command::Keeper => keeper::run(&state)?,
            Command::Init => init::run(&state)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A reader that has seen enough, such as `head`, is no error.
fn print(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Runtime::new().context("cannot start the async runtime")
}

fn start(state: &State, kind: Option<Kind>, kwok_nodes: u32) -> Result<()> {
    let lock = state.lock()?;
    if up::is_up(state) {
        eprintln!("cluster {:?} is already up", state.name());
    } else {
        let options = Options {
            kind,
            kwok_nodes,
            linger: None,
            program: std::env::current_exe()?,
        };
        runtime()?.block_on(up::up(state, &lock, &options))?;
    }
    eprintln!("export KUBECONFIG={}", state.kubeconfig().display());
    Ok(())
}

fn status(state: &State) -> Result<ExitCode> {
    let name = state.name();
    if !up::is_up(state) {
        let left = if state.dir().exists() {
            " (an earlier one left something; `down` removes it)"
        } else {
            ""
        };
        print(&format!("cluster {name:?} is down{left}\n"))?;
        return Ok(ExitCode::FAILURE);
    }
    let spec = state.spec()?;
    let kind = match spec.kind {
        Kind::Node => "real node",
        Kind::Kwok => "control plane with KWOK nodes",
    };
    print(&format!(
        "cluster {name:?} is up: {kind}, https://127.0.0.1:{}\n",
        spec.port
    ))?;
    for status in control::ask(state, &Request::List)? {
        let pid = status.pid.map(|pid| format!(" (pid {pid} inside)")).unwrap_or_default();
        print(&format!("  {:<24} {}{pid}\n", status.name, status.condition))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn load_all(state: &State, images: &[String]) -> Result<()> {
    for image in images {
        for name in load::load(state, image).await? {
            print(&format!("{name}\n"))?;
        }
    }
    Ok(())
}

fn logs(state: &State, component: Option<&str>) -> Result<()> {
    state.spec()?;
    if let Some(name) = component {
        let path = state.log(name);
        let Ok(text) = fs::read_to_string(&path) else {
            bail!(
                "there is no log {}; the components are {}",
                path.display(),
                log_names(state)?.join(", ")
            )
        };
        return print(&text);
    }
    for name in log_names(state)? {
        let text = fs::read_to_string(state.log(&name))?;
        print(&format!("==> {name} <==\n{}\n\n", last_lines(&text, 10)))?;
    }
    Ok(())
}

fn log_names(state: &State) -> Result<Vec<String>> {
    let entries = fs::read_dir(state.path("log"))?;
    let files = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = files
        .filter_map(|file| Some(file.strip_suffix(".log")?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

fn print_tools(mut names: Vec<Tool>, tests: bool, path_only: bool) -> Result<()> {
    if tests {
        packages::install_for_tests()?;
        // etcdctl is for people.
        names = Tool::ALL
            .iter()
            .copied()
            .filter(|tool| *tool != Tool::Etcdctl)
            .collect();
    } else if names.is_empty() {
        names = if Kind::possible() == Kind::Node {
            NODE_TOOLS.to_vec()
        } else {
            KWOK_TOOLS.to_vec()
        };
    }
    for (tool, path) in names.iter().zip(tools::paths(&names)?) {
        let path = path.display();
        print(&if path_only {
            format!(
                "{path}
"
            )
        } else {
            format!(
                "{:<24} {path}
",
                tool.name()
            )
        })?;
    }
    if tests {
        Predecessor::built()?;
    }
    Ok(())
}
