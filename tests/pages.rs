//! The commands and manifests of the documents, run on a real cluster as they stand there: the chart is installed from
//! nothing under its own image names, models are pulled under the names of Ollama's library. Only `make` is rehearsed.

#![allow(clippy::panic, reason = "helpers of tests are tests, too")]

#[path = "docs/blocks.rs"]
mod blocks;
mod live;
#[path = "docs/rules.rs"]
mod rules;

#[path = "pages/library.rs"]
mod library;
#[path = "pages/session.rs"]
mod session;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use cluster::test::Suite;
use cluster::tools::{self, Tool};
use cluster::{Cluster, Kind, images};
use kube::api::{Api, DynamicObject, PostParams};
use serde_json::Value;

use blocks::{page, pages, root};
use library::Library;
use live::operator;
use session::Session;

const INSTALL: &str =
    "helm install llm-operator charts/llm-operator --namespace llm-operator-system --create-namespace --wait";
/// What a page finds: a cluster, the operator in it, or the stack of the README.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    Nothing,
    Operator,
    Stack,
}

/// Pages that install the operator themselves, or need none.
const FROM_NOTHING: [&str; 8] = [
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/cli.md",
    "docs/design.md",
    "docs/install.md",
    "docs/quickstart.md",
    "docs/release.md",
];

fn found(path: &str) -> Found {
    match path {
        _ if FROM_NOTHING.contains(&path) => Found::Nothing,
        "docs/operations.md" => Found::Stack,
        _ => Found::Operator,
    }
}

fn main() -> ExitCode {
    Suite::new()
        .test(
            "the_demonstration_ends_with_an_answer",
            Kind::Node,
            the_demonstration_ends_with_an_answer,
        )
        .test("the_pages_do_what_they_say", Kind::Node, the_pages_do_what_they_say)
        .one_by_one()
        .run()
}

/// One after another in one cluster, which each page leaves as it found it.
async fn the_pages_do_what_they_say() -> Result<()> {
    session::check_matcher()?;
    let cluster = Cluster::separate("pages", Kind::Node, 0).await?;
    let library = Library::open(&cluster).await?;
    let names = Names::of_the_chart()?;
    let (binary, operator) = (operator::binary().await?, names.operator.clone());
    let dockerfile = root().join("Dockerfile");
    let image = {
        let binary = binary.clone();
        tokio::task::spawn_blocking(move || images::operator_image(&operator, &binary, &dockerfile)).await??
    };
    cluster
        .load(image.archive.to_str().context("a path that is not UTF-8")?)
        .await?;
    library.load_ollama(&cluster, &names.ollama).await?;
    let mut failures = vec![];
    for page in pages() {
        let start = Instant::now();
        let mut session = open(&cluster, binary.clone()).await?;
        prepare(&session, found(&page.path)).await?;
        if let Err(failure) = session.follow(&page).await {
            let state = "kubectl get all,lmd,ollamamodels -A; kubectl get events -A; kubectl describe lmd,ollamamodels";
            eprintln!("{}\n{}", session.run(state).await?.1, operator::logs(&cluster).await);
            failures.push(format!("{failure:#}"));
        }
        if page.path == "docs/rules.md"
            && let Err(failure) = break_every_rule(&cluster).await
        {
            failures.push(format!("{failure:#}"));
        }
        clear(&session).await?;
        println!("{}: {:.0?}", page.path, start.elapsed());
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n\n"));
    demonstrate_here(&open(&cluster, binary).await?, &cluster).await
}

/// The examples of the rules, as far as they need no object before them: the API server says what the page says.
async fn break_every_rule(cluster: &Cluster) -> Result<()> {
    let client = cluster.client().await?;
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    for (_, kind, examples) in rules::SECTIONS {
        for example in examples {
            let (object, None) = example.objects(kind) else {
                continue;
            };
            let form = llm_operator::kind::of(&object).context("no kind of ours")?;
            let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), "default", &form.resource());
            let issues = example.issues(kind).map_err(anyhow::Error::msg)?;
            let said = match api.create(&dry, &serde_json::from_value(object.clone())?).await {
                Ok(_) => anyhow::bail!("{object} was admitted"),
                Err(kube::Error::Api(status)) => status.message,
                Err(error) => return Err(error.into()),
            };
            for issue in issues {
                ensure!(
                    said.contains(&issue.to_string()),
                    "{object}: {said}\nwhere the page has\n{issue}"
                );
            }
        }
    }
    Ok(())
}

/// `make demo KUBECONFIG=...`, and its end: it uses the kubectl and the Helm that are there.
async fn demonstrate_here(session: &Session, cluster: &Cluster) -> Result<()> {
    let program = cluster.state().spec()?.program;
    let program = program.display();
    let said = session
        .must(&format!("{program} demo --kubeconfig $KUBECONFIG"))
        .await?;
    ensure!(said.contains("tokens)"), "the model did not answer: {said}");
    let end = session
        .must(&format!("{program} demo-down --kubeconfig $KUBECONFIG"))
        .await?;
    ensure!(end.contains("kubectl delete crd"), "it does not say what stays: {end}");
    let left = session
        .must("kubectl get namespaces --output name; helm list --all-namespaces --deployed --failed --pending")
        .await?;
    ensure!(!left.contains("llm-"), "something is left: {left}");
    Ok(())
}

/// `make demo` on a machine without a cluster, and a second time on the one that it left.
async fn the_demonstration_ends_with_an_answer() -> Result<()> {
    let cluster = Cluster::separate("shown", Kind::Node, 0).await?;
    let session = open(&cluster, operator::binary().await?).await?;
    let program = cluster.state().spec()?.program;
    let demo = format!(
        "{} demo --cluster shown --operator $(command -v llm-operator)",
        program.display()
    );
    for _ in 0..2 {
        let said = session.must(&demo).await?;
        for shown in [
            "to this)",
            "spec.ollama.replicas: Invalid value: 11",
            "spec.tabby.completionModel: Invalid value",
            "tokens)",
            "weights are random",
            "llm-operator doctor",
            "make demo-down",
        ] {
            ensure!(said.contains(shown), "{shown:?} is missing in\n{said}");
        }
    }
    Ok(())
}

/// The images that the chart runs when it is told nothing.
struct Names {
    operator: String,
    ollama: String,
}

impl Names {
    fn of_the_chart() -> Result<Self> {
        let read = |file: &str| -> Result<Value> {
            let text = std::fs::read_to_string(root().join("charts/llm-operator").join(file))?;
            Ok(serde_saphyr::from_str(&text)?)
        };
        let (values, chart) = (read("values.yaml")?, read("Chart.yaml")?);
        let text = |value: &Value| {
            value
                .as_str()
                .map(str::to_owned)
                .context("no text in the chart's values")
        };
        let image = &values["image"];
        let (registry, repository) = (text(&image["registry"])?, text(&image["repository"])?);
        Ok(Self {
            operator: format!("{registry}/{repository}:{}", text(&chart["appVersion"])?),
            // What a name without a registry means to the kubelet.
            ollama: format!("docker.io/{}", text(&values["defaults"]["images"]["ollama"])?),
        })
    }
}

async fn open(cluster: &Cluster, binary: PathBuf) -> Result<Session> {
    let tools = tokio::task::spawn_blocking(|| tools::paths(&[Tool::Kubectl, Tool::Helm4])).await??;
    let cache = cluster.state().path("cache");
    let environment = vec![
        ("KUBECONFIG", cluster.kubeconfig()),
        ("KUBECACHEDIR", cache.join("kubectl")),
        ("HELM_CACHE_HOME", cache.join("helm/cache")),
        ("HELM_CONFIG_HOME", cache.join("helm/config")),
        ("HELM_DATA_HOME", cache.join("helm/data")),
    ];
    let programs = [
        ("kubectl", &*tools[0]),
        ("helm", &*tools[1]),
        ("llm-operator", &*binary),
    ];
    Session::new(&programs, environment)
}

async fn prepare(session: &Session, found: Found) -> Result<()> {
    if found >= Found::Operator {
        session.must(INSTALL).await?;
    }
    if found >= Found::Stack {
        let readme = page("README.md");
        let stack = readme.blocks.iter().find(|block| block.file() == Some("demo.yaml"));
        let stack = &stack.context("the README has no demo.yaml")?.text;
        session.must(&format!("kubectl apply -f - <<'EOF'\n{stack}EOF")).await?;
        session
            .must("kubectl wait lmdeployment/demo --for=condition=Ready --timeout=3m")
            .await?;
    }
    Ok(())
}

/// Leaves the cluster as it was. Pods are not given the time to let their answers finish, and none is left that is going:
/// `kubectl exec deployment/…` of the next page may pick it. What the stacks own goes before the definitions do.
async fn clear(session: &Session) -> Result<()> {
    session
        .must(
            "kubectl delete lmdeployments,ollamadeployments,deployments.llm.geeper.io,ollamamodels --all --ignore-not-found || kubectl get crd
             kubectl wait deployments,statefulsets --selector llm-deployment --for=delete --timeout=1m
             kubectl delete pods --all --grace-period=0 --force
             helm uninstall llm-operator --namespace llm-operator-system --wait --ignore-not-found
             kubectl delete crd --ignore-not-found lmdeployments.llm.geeper.io ollamadeployments.llm.geeper.io \
                 deployments.llm.geeper.io ollamamodels.ollama.smithforge.dev
             kubectl delete namespace --ignore-not-found llm-operator-system",
        )
        .await
        .map(drop)
}
