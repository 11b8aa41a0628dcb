//! The demonstration: from nothing to a model's answer, step by step, on a cluster of its own or on one that is given.

mod own;
mod programs;
mod release;
mod second;
mod stack;
mod steps;
mod theirs;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::Value;

use programs::Programs;

/// The arguments of `cluster demo`.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Show it on the cluster of this kubeconfig, with the kubectl and helm on PATH; nothing is built then
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The operator's image, where the cluster is yours; by default the chart's
    #[arg(long, value_name = "IMAGE", requires = "kubeconfig")]
    image: Option<String>,
    /// The operator's static program, for the image of a cluster of the demonstration's own
    #[arg(long, value_name = "FILE", required_unless_present = "kubeconfig")]
    operator: Option<PathBuf>,
    /// The name of that cluster
    #[arg(long, value_name = "NAME", default_value = "demo")]
    cluster: String,
}

/// The arguments of `cluster demo-down`.
#[derive(Args, Clone, Debug)]
pub struct DownOptions {
    /// The cluster that the demonstration was given
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The name of the cluster of its own
    #[arg(long, value_name = "NAME", default_value = "demo")]
    cluster: String,
}

/// Where the demonstration happens.
struct Stage {
    programs: Programs,
    /// The namespace of the stack, where it is not `default`.
    namespace: Option<&'static str>,
    model: Model,
    /// What the chart is told.
    values: Value,
}

impl Stage {
    /// Arguments of kubectl for the stack's namespace.
    fn within<'a>(&self, arguments: &[&'a str]) -> Vec<&'a str> {
        let place = self
            .namespace
            .map_or(vec![], |namespace| vec!["--namespace", namespace]);
        [&place, arguments].concat()
    }
}

/// What the stack serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Model {
    /// Random weights, made on the spot.
    Toy,
    /// A real one, pulled from Ollama's library.
    Small,
}

impl Model {
    /// The manifest of the stack, below [`root`].
    fn manifest(self) -> &'static str {
        match self {
            Model::Toy => "tests/cluster/src/demo/toy.yaml",
            Model::Small => "tests/cluster/src/demo/small.yaml",
        }
    }

    /// The manifest of a second model, below [`root`].
    fn second(self) -> &'static str {
        match self {
            Model::Toy => "tests/cluster/src/demo/second-toy.yaml",
            Model::Small => "tests/cluster/src/demo/second-small.yaml",
        }
    }

    /// The name of the first model.
    fn name(self) -> &'static str {
        match self {
            Model::Toy => "registry.test:5000/library/tiny",
            Model::Small => "qwen2.5:0.5b",
        }
    }
}

/// Shows everything.
///
/// # Errors
/// What did not go as it should, in a sentence, with the last words of whoever knows more.
pub async fn demo(options: Options) -> Result<()> {
    let (mut steps, stage) = if let Some(kubeconfig) = &options.kubeconfig {
        theirs::prepare(kubeconfig, options.image.as_deref()).await?
    } else {
        let operator = options.operator.as_ref().context("--operator names no program")?;
        own::prepare(&options.cluster, operator).await?
    };
    let installed = release::install(&mut steps, &stage).await?;
    stack::apply(&mut steps, &stage, installed).await?;
    stack::refuse(&mut steps, &stage).await?;
    stack::wait(&mut steps, &stage).await?;
    stack::ask(&mut steps, &stage).await?;
    second::add(&mut steps, &stage).await?;
    steps.end();
    farewell(&stage, options.operator.as_deref());
    Ok(())
}

/// How to go on, and how to remove it all.
fn farewell(stage: &Stage, operator: Option<&Path>) {
    if stage.model == Model::Toy {
        println!(
            "\nThe answer makes no sense because the model's weights are random: it was made on this machine, so that nothing\n\
             had to be downloaded. In a cluster that reaches the internet, name a real one: models: [\"llama3.2:1b\"]"
        );
    }
    println!("\nThe stack goes on. To look around:\n");
    if let Some(path) = stage.programs.search_path() {
        println!("  export PATH={}:$PATH", path.display());
    }
    println!("  export KUBECONFIG={}", stage.programs.kubeconfig.display());
    let kubectl = ["kubectl"]
        .iter()
        .chain(&stage.within(&[]))
        .copied()
        .collect::<Vec<_>>()
        .join(" ");
    println!("  {kubectl} describe lmdeployment demo");
    println!("  {kubectl} port-forward service/demo-ollama 11434 &");
    println!(
        "  curl http://localhost:11434/api/generate -d '{{\"model\": \"{}\", \"prompt\": \"Hello\"}}'",
        stage.model.name()
    );
    println!("  kubectl explain lmdeployment.spec.ollama");
    match operator {
        Some(program) => println!("  {} doctor", program.display()),
        // With the rights of the operator, which sees less than you do.
        None => println!(
            "  kubectl --namespace llm-operator-system exec deployment/llm-operator-controller-manager -- /llm-operator doctor"
        ),
    }
    let given = match stage.model {
        Model::Toy => String::new(),
        Model::Small => format!(" KUBECONFIG={}", stage.programs.kubeconfig.display()),
    };
    println!("\nTo remove it all:\n\n  make demo-down{given}");
}

/// Removes everything that [`demo`] made.
///
/// # Errors
/// What cannot be removed.
pub async fn down(options: DownOptions) -> Result<()> {
    match options.kubeconfig {
        Some(kubeconfig) => theirs::remove(&kubeconfig).await,
        None => own::remove(&options.cluster),
    }
}

/// The folder of the project, from which the shown commands run.
fn root() -> &'static Path {
    let member = Path::new(env!("CARGO_MANIFEST_DIR"));
    member
        .ancestors()
        .nth(2)
        .expect("the package lies two folders below the project")
}
