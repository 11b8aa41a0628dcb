//! The life of a release: install, first objects, test, upgrade, rollback, uninstall.

use super::live::LIMIT;
use super::live::objects::Objects;
use super::live::operator::{self, NAMESPACE, RELEASE};
use super::live::stage::Stage;
use anyhow::{Context, Result, ensure};
use cluster::test::until;
use cluster::{Cluster, Helm, Kind};
use serde_json::{Value, json};
use std::time::Instant;

pub async fn helm_3_installs_and_never_races() -> Result<()> {
    life(Helm::V3).await
}

pub async fn helm_4_installs_and_never_races() -> Result<()> {
    life(Helm::V4).await
}

const CHECKED: &str = "admission works: a good object is admitted and filled, a bad one is refused with its cause";

async fn life(helm: Helm) -> Result<()> {
    let cluster = Cluster::separate("apart", Kind::Node, 0).await?;
    let image = operator::load(&cluster).await?;
    let values = operator::values(&image);
    let stage = first_objects(&cluster, helm, &values).await?;
    let tested = cluster
        .helm(helm, &["test", RELEASE, "-n", NAMESPACE, "--logs", "--timeout", "1m"])
        .await?;
    ensure!(tested.contains(CHECKED), "{tested}");
    let deployed = async |arguments: &str| {
        let args = "jsonpath={.spec.template.spec.containers[0].args}";
        let deployment = "deployment/llm-operator-controller-manager";
        let found = cluster
            .kubectl(&["-n", NAMESPACE, "get", deployment, "-o", args])
            .await?;
        anyhow::Ok(found.contains(arguments))
    };
    let mut louder = values.clone();
    louder["log"] = json!({"level": "debug"});
    operator::install(&cluster, helm, &louder).await?;
    ensure!(deployed("--log-level=debug").await?, "the upgrade changed the value");
    cluster
        .helm(
            helm,
            &["rollback", RELEASE, "1", "-n", NAMESPACE, "--wait", "--timeout", "2m"],
        )
        .await?;
    ensure!(deployed("--log-level=info").await?, "the rollback changed it back");
    refuses(&stage).await?;
    uninstall(&cluster, helm, &stage).await
}

/// The first objects are applied without a pause after Helm has returned.
async fn first_objects(cluster: &Cluster, helm: Helm, values: &Value) -> Result<Stage> {
    let start = Instant::now();
    operator::install(cluster, helm, values).await?;
    let installed = start.elapsed();
    cluster.kubectl(&["create", "namespace", "first"]).await?;
    let manifest = |replicas: i32| {
        json!({"apiVersion": "llm.geeper.io/v1alpha1", "kind": "LMDeployment",
            "metadata": {"name": "first", "namespace": "first"}, "spec": {"ollama": {"replicas": replicas}}})
        .to_string()
    };
    cluster
        .kubectl_with(&["apply", "-f", "-"], &manifest(1))
        .await
        .context("a good object right after --wait")?;
    println!(
        "{helm:?}: {:.1} s from helm install to the first admitted object, of which helm took {:.1} s",
        start.elapsed().as_secs_f64(),
        installed.as_secs_f64()
    );
    let bad = cluster.kubectl_with(&["apply", "-f", "-"], &manifest(11)).await;
    let said = format!(
        "{:#}",
        bad.err().context("a bad object right after --wait was accepted")?
    );
    ensure!(said.contains("spec.ollama.replicas: Invalid value: 11"), "{said}");
    let filled = Objects::new(cluster.client().await?, "first")
        .get("LMDeployment", "first")
        .await?;
    assert_eq!(
        filled["spec"]["ollama"]["drainSeconds"], 30,
        "filled from the first moment on"
    );
    Stage::on(cluster, "install").await
}

async fn refuses(stage: &Stage) -> Result<()> {
    let bad = json!({"apiVersion": "llm.geeper.io/v1alpha1", "kind": "LMDeployment", "metadata": {"name": "bad"},
        "spec": {"ollama": {"models": ["a", "a"]}}});
    let said = stage.namespace.refuses(&bad.to_string()).await?;
    ensure!(said.contains("spec.ollama.models[1]"), "{said}");
    Ok(())
}

/// What users made stays: definitions, objects, claims, and the pods that serve.
async fn uninstall(cluster: &Cluster, helm: Helm, stage: &Stage) -> Result<()> {
    let kept = json!({"enabled": true, "size": "1Gi"});
    let ollama = json!({"drainSeconds": 0, "persistence": kept, "models": [stage.item("tiny")]});
    stage.stack("chat", &json!({"ollama": ollama})).await?;
    stage.ready("chat").await?;
    let said = cluster
        .helm(helm, &["uninstall", RELEASE, "-n", NAMESPACE, "--wait"])
        .await?;
    println!("{said}");
    let gone = async || {
        let left = cluster
            .kubectl(&[
                "-n",
                NAMESPACE,
                "get",
                "pods,deployments,services,secrets",
                "-o",
                "name",
            ])
            .await?;
        // The pod of `helm test` belongs to no release: Helm leaves what its hooks made.
        let others = ["selfcheck", "helm.release"];
        let ours = |l: &&str| l.contains(RELEASE) && !others.iter().any(|other| l.contains(other));
        let ours: Vec<&str> = left.lines().filter(ours).collect();
        ensure!(ours.is_empty(), "still there: {ours:?}");
        Ok(Some(()))
    };
    until("the release is gone", LIMIT, gone).await?;
    let webhooks = [
        "get",
        "mutatingwebhookconfigurations,validatingwebhookconfigurations",
        "-o",
        "name",
    ];
    ensure!(
        !cluster.kubectl(&webhooks).await?.contains(RELEASE),
        "no webhook is left that nobody answers"
    );
    stage.get("LMDeployment", "chat").await?;
    stage.get("PersistentVolumeClaim", "data-chat-ollama-0").await?;
    assert!(
        !stage.ask("chat", &stage.model("tiny")).await?.is_empty(),
        "it serves without an operator"
    );
    // Nothing hangs for want of an operator.
    stage.delete("LMDeployment", "chat").await?;
    stage.gone("LMDeployment", "chat").await
}

pub async fn rendering_twice_gives_the_same_bytes() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let chart = operator::chart();
    let chart = chart.to_str().context("the chart's path is not UTF-8")?;
    for helm in [Helm::V3, Helm::V4] {
        // Helm as the tests build it does not know which Kubernetes it was made for.
        let render = ["template", RELEASE, chart, "-n", NAMESPACE, "--kube-version", "1.37.0"];
        let (one, other) = (cluster.helm(helm, &render).await?, cluster.helm(helm, &render).await?);
        ensure!(
            one == other && one.contains("kind: Deployment"),
            "{helm:?} renders something else each time"
        );
        ensure!(!one.contains("caBundle"), "what is not rendered is not fought over");
    }
    Ok(())
}

/// As GitOps tools do it, without Helm's own records.
pub async fn what_is_rendered_and_applied_twice_changes_nothing() -> Result<()> {
    let cluster = Cluster::separate("apart", Kind::Node, 0).await?;
    let image = operator::load(&cluster).await?;
    let values = tempfile::NamedTempFile::new()?;
    std::fs::write(values.path(), operator::values(&image).to_string())?;
    let (chart, values) = (operator::chart(), values.path());
    let (chart, values) = (
        chart.to_str().context("the chart's path is not UTF-8")?,
        values.to_str().context("the path of the values is not UTF-8")?,
    );
    let render = [
        "template",
        RELEASE,
        chart,
        "-n",
        NAMESPACE,
        "--kube-version",
        "1.37.0",
        "--no-hooks",
        "--values",
        values,
    ];
    let rendered = cluster.helm(Helm::V4, &render).await?;
    cluster.kubectl(&["create", "namespace", NAMESPACE]).await?;
    let apply = ["apply", "--server-side", "-n", NAMESPACE, "-f", "-"];
    let path = "jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion} {.metadata.generation}{\"\\n\"}{end}";
    let versions = async || {
        let said = cluster
            .kubectl_with(&["get", "-n", NAMESPACE, "-f", "-", "-o", path], &rendered)
            .await?;
        // Its status counts pods; nothing else may change.
        anyhow::Ok(
            said.lines()
                .filter(|line| !line.starts_with("Deployment/"))
                .map(str::to_string)
                .collect::<Vec<_>>(),
        )
    };
    cluster.kubectl_with(&apply, &rendered).await?;
    let deployment = "deployment/llm-operator-controller-manager";
    let status = ["-n", NAMESPACE, "rollout", "status", deployment, "--timeout=120s"];
    cluster.kubectl(&status).await?;
    let generation = [
        "-n",
        NAMESPACE,
        "get",
        deployment,
        "-o",
        "jsonpath={.metadata.generation}",
    ];
    let before = (versions().await?, cluster.kubectl(&generation).await?);
    ensure!(before.0.len() > 10, "{before:?}");
    cluster.kubectl_with(&apply, &rendered).await?;
    let after = (versions().await?, cluster.kubectl(&generation).await?);
    ensure!(before == after, "before: {before:?}; after: {after:?}");
    let bad = json!({"apiVersion": "llm.geeper.io/v1alpha1", "kind": "LMDeployment", "metadata": {"name": "bad"},
        "spec": {"ollama": {"replicas": 11}}});
    let said = cluster.kubectl_with(&["apply", "-f", "-"], &bad.to_string()).await;
    let said = format!("{:#}", said.err().context("a bad object was accepted")?);
    ensure!(said.contains("spec.ollama.replicas: Invalid value: 11"), "{said}");
    Ok(())
}
