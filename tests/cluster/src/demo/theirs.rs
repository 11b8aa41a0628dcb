//! A cluster that the user has: nothing is built, and only what the demonstration made is removed.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::programs::{Programs, text};
use super::release;
use super::steps::{Steps, say};
use super::{Model, Stage};
use crate::packages;

/// A namespace of its own, since the cluster is not.
const NAMESPACE: &str = "llm-demo";

pub(super) async fn prepare(kubeconfig: &Path, image: Option<&str>) -> Result<(Steps, Stage)> {
    println!(
        "From a chart to the answer of a model, on the cluster of {}.",
        kubeconfig.display()
    );
    let mut steps = Steps::of(7);
    steps.next("The cluster, kubectl and Helm");
    let programs = programs(kubeconfig)?;
    let version: Value = programs
        .json(&["version"])
        .await
        .context("the cluster does not answer")?;
    say(format_args!(
        "Kubernetes {}",
        version["serverVersion"]["gitVersion"].as_str().unwrap_or_default()
    ));
    if let Some(other) = installed(&programs)
        .await?
        .filter(|description| description != release::DESCRIPTION)
    {
        bail!(
            "the cluster has a release {:?} in the namespace {:?} that this demonstration did not install ({other:?}), so it \
             leaves it alone; use it: kubectl apply -f examples/",
            release::NAME,
            release::NAMESPACE
        );
    }
    let values = image.map_or_else(|| json!({}), values);
    say(match image {
        Some(image) => format!("The operator's image is {image}; the nodes must be able to pull it, or have it."),
        None => "The operator's image is the chart's own. For one of yours: make docker-build docker-push demo KUBECONFIG=... IMG=..."
            .to_owned(),
    });
    make_namespace(&programs).await?;
    Ok((
        steps,
        Stage {
            programs,
            namespace: Some(NAMESPACE),
            model: Model::Small,
            values,
        },
    ))
}

fn programs(kubeconfig: &Path) -> Result<Programs> {
    let kubeconfig = std::path::absolute(kubeconfig)?;
    ensure!(kubeconfig.is_file(), "there is no kubeconfig {}", kubeconfig.display());
    let find = |name: &str, from: &str| {
        packages::program(name).with_context(|| format!("there is no {name} on PATH; install it: {from}"))
    };
    Ok(Programs {
        kubectl: find("kubectl", "https://kubernetes.io/docs/tasks/tools/")?,
        helm: find("helm", "https://helm.sh/docs/intro/install/")?,
        kubeconfig,
        caches: None,
    })
}

/// The description of the release, if there is one.
async fn installed(programs: &Programs) -> Result<Option<String>> {
    // Helm 4 lists every release and has no `--all`; Helm 3 leaves out those that are under way unless asked.
    let list = [
        "list",
        "--deployed",
        "--failed",
        "--pending",
        "--namespace",
        release::NAMESPACE,
        "--output=json",
    ];
    let output = programs.helm(&list).output().await.context("cannot run helm")?;
    ensure!(output.status.success(), "helm list: {}", text(&output.stderr));
    let releases: Value = serde_json::from_slice(&output.stdout).context("helm list did not print JSON")?;
    if !releases
        .as_array()
        .is_some_and(|all| all.iter().any(|r| r["name"] == release::NAME))
    {
        return Ok(None);
    }
    let status = [
        "status",
        release::NAME,
        "--namespace",
        release::NAMESPACE,
        "--output=json",
    ];
    let output = programs.helm(&status).output().await?;
    let status: Value = serde_json::from_slice(&output.stdout).context("helm status did not print JSON")?;
    Ok(Some(
        status["info"]["description"].as_str().unwrap_or_default().to_owned(),
    ))
}

/// The chart's settings for an image; its tag is what follows the last colon after the last slash.
fn values(image: &str) -> Value {
    let (repository, tag) = match image.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (image, "latest"),
    };
    match image.split_once('@') {
        Some((repository, digest)) => json!({"image": {"registry": "", "repository": repository, "digest": digest}}),
        None => json!({"image": {"registry": "", "repository": repository, "tag": tag}}),
    }
}

async fn make_namespace(programs: &Programs) -> Result<()> {
    let there = programs
        .get(&["get", "namespace", NAMESPACE, "--ignore-not-found", "--output=name"])
        .await?;
    if there.is_empty() {
        programs.get(&["create", "namespace", NAMESPACE]).await?;
    }
    Ok(())
}

/// Removes the stack, then the release that looks after it, then the namespaces.
pub(super) async fn remove(kubeconfig: &Path) -> Result<()> {
    let programs = programs(kubeconfig)?;
    let description = installed(&programs).await?;
    let kinds = programs
        .get(&[
            "get",
            "crd",
            "lmdeployments.llm.geeper.io",
            "--ignore-not-found",
            "--output=name",
        ])
        .await?;
    if !kinds.is_empty() {
        programs
            .get(&[
                "--namespace",
                NAMESPACE,
                "delete",
                "lmdeployments,ollamamodels",
                "--all",
            ])
            .await?;
    }
    programs
        .get(&["delete", "namespace", NAMESPACE, "--ignore-not-found"])
        .await?;
    if description.as_deref() != Some(release::DESCRIPTION) {
        println!(
            "The stack and the namespace {NAMESPACE} are gone. The release of the operator is none of the demonstration's."
        );
        return Ok(());
    }
    let uninstall = ["uninstall", release::NAME, "--namespace", release::NAMESPACE, "--wait"];
    let output = programs.helm(&uninstall).output().await?;
    ensure!(output.status.success(), "helm uninstall: {}", text(&output.stderr));
    programs
        .get(&["delete", "namespace", release::NAMESPACE, "--ignore-not-found"])
        .await?;
    println!(
        "The stack, the operator and their namespaces are gone. The CustomResourceDefinitions are kept, because with them"
    );
    println!("every object of their kinds would go, in all namespaces. To remove them as well:");
    println!("  kubectl delete crd lmdeployments.llm.geeper.io ollamadeployments.llm.geeper.io \\");
    println!("    deployments.llm.geeper.io ollamamodels.ollama.smithforge.dev");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_cut_where_its_tag_begins() {
        let image =
            |repository: &str, tag: &str| json!({"image": {"registry": "", "repository": repository, "tag": tag}});
        assert_eq!(values("r.io:5000/team/op:1"), image("r.io:5000/team/op", "1"));
        assert_eq!(values("r.io:5000/team/op"), image("r.io:5000/team/op", "latest"));
        assert_eq!(values("op@sha256:ab")["image"]["digest"], "sha256:ab");
    }
}
