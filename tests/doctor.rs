//! `llm-operator doctor` on a real cluster: with nothing wrong, and broken in one way after another.

mod live;

use anyhow::{Context, Result, ensure};
use cluster::test::Suite;
use cluster::{Cluster, Kind};
use live::operator::{self, Alone, NAMESPACE};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, ExitCode, Output};

const CLUSTER: &str = "apart";
const VALIDATING: &str = "validatingwebhookconfiguration/llm-operator-system-llm-operator-validating";

fn main() -> ExitCode {
    Suite::new()
        .test(
            "a_good_installation_has_no_problem",
            Kind::Node,
            a_good_installation_has_no_problem,
        )
        .test(
            "every_break_is_named_with_its_way_out",
            Kind::Node,
            every_break_is_named_with_its_way_out,
        )
        .test("who_may_not_look_is_told_so", Kind::Node, who_may_not_look_is_told_so)
        .run()
}

/// What the program says of the cluster of that kubeconfig.
async fn doctor(kubeconfig: &Path, arguments: &[&str]) -> Result<Output> {
    let mut program = Command::new(env!("CARGO_BIN_EXE_llm-operator"));
    program
        .arg("doctor")
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .env_remove("POD_NAMESPACE");
    tokio::task::spawn_blocking(move || program.output())
        .await?
        .context("cannot run the doctor")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The exit status and the findings of one level.
async fn findings(kubeconfig: &Path, level: &str) -> Result<(Option<i32>, Vec<Value>)> {
    let output = doctor(kubeconfig, &["-o", "json"]).await?;
    let report: Value = serde_json::from_slice(&output.stdout).with_context(|| text(&output.stderr))?;
    let all = report["findings"].as_array().context("no findings")?;
    let found: Vec<Value> = all
        .iter()
        .filter(|finding| finding["level"] == level)
        .cloned()
        .collect();
    if level == "problem" {
        ensure!(
            report["problems"] == found.len(),
            "it counts {} of {found:#?}",
            report["problems"]
        );
    }
    Ok((output.status.code(), found))
}

async fn a_good_installation_has_no_problem() -> Result<()> {
    let alone = operator::alone(CLUSTER).await?;
    let (status, problems) = findings(&alone.kubeconfig(), "problem").await?;
    ensure!(status == Some(0) && problems.is_empty(), "{status:?} {problems:#?}");
    let (_, mut fine) = findings(&alone.kubeconfig(), "ok").await?;
    // The volumes of these clusters cannot grow.
    fine.extend(findings(&alone.kubeconfig(), "note").await?.1);
    for (part, words) in [
        ("operator", "leads"),
        ("operator", "pods are available"),
        ("definitions", "is that of llm-operator"),
        ("rights", "has all of the"),
        ("webhooks", "is there and trusts what is served"),
        ("webhooks", "a good one is admitted and filled"),
        ("certificates", "the operator keeps it (selfManaged)"),
        ("certificates", "serves a certificate that is trusted"),
        ("storage", "is the default"),
    ] {
        let says = |f: &Value| f["part"] == part && f["message"].as_str().is_some_and(|m| m.contains(words));
        ensure!(fine.iter().any(says), "nothing of {part} says {words:?}: {fine:#?}");
    }
    let table = doctor(&alone.kubeconfig(), &[]).await?;
    let table = text(&table.stdout);
    ensure!(table.contains("\n0 problems, ") && !table.contains('\x1b'), "{table}");
    let yaml = doctor(&alone.kubeconfig(), &["--output", "yaml", "--namespace", NAMESPACE]).await?;
    let yaml: Value = serde_saphyr::from_str(&text(&yaml.stdout))?;
    ensure!(yaml["problems"] == 0, "{yaml}");
    let inside = alone.doctor().await?;
    ensure!(inside.contains("\n0 problems, "), "{inside}");
    Ok(())
}

/// Breaks something, and expects a problem of that part with these words and a way out.
async fn broken(alone: &Alone, commands: &[&[&str]], expected: &[(&str, &str)]) -> Result<()> {
    for command in commands {
        alone.kubectl(command).await?;
    }
    let (status, problems) = findings(&alone.kubeconfig(), "problem").await?;
    ensure!(
        status == Some(1),
        "{commands:?}: exit status {status:?} with {problems:#?}"
    );
    for (part, words) in expected {
        let says = |f: &&Value| {
            let said = format!("{}: {} {}", f["object"], f["message"], f["value"]);
            f["part"] == *part && said.contains(words)
        };
        let finding = problems.iter().find(says);
        let finding =
            finding.with_context(|| format!("{commands:?}: nothing of {part} says {words:?}: {problems:#?}"))?;
        ensure!(finding["remedy"].is_string(), "no way out: {finding}");
    }
    Ok(())
}

async fn every_break_is_named_with_its_way_out() -> Result<()> {
    let alone = operator::alone(CLUSTER).await?;
    broken(&alone, &[&["delete", VALIDATING]], &[("webhooks", "is not there")]).await?;
    alone.install().await?;
    without_pods(&alone).await?;
    without_definitions(&alone).await?;
    without_rights(&alone).await?;
    without_a_class(&alone).await?;
    let (status, problems) = findings(&alone.kubeconfig(), "problem").await?;
    ensure!(status == Some(0), "everything was mended: {problems:#?}");
    Ok(())
}

/// Nobody is there who would fill in the trust again.
async fn without_pods(alone: &Alone) -> Result<()> {
    alone.scale(0).await?;
    let wiped = json!([{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]).to_string();
    let expected = [
        ("operator", "is scaled to nothing"),
        ("webhooks", "trusts nobody"),
        ("webhooks", "failed calling webhook"),
    ];
    broken(
        alone,
        &[&["patch", VALIDATING, "--type=json", "--patch", &wiped]],
        &expected,
    )
    .await?;
    alone.install().await
}

/// What the doctor proposes brings them back.
async fn without_definitions(alone: &Alone) -> Result<()> {
    let narrow = json!([{"op": "replace", "value": 3,
        "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/ollama/properties/replicas/maximum"}]);
    let narrow = narrow.to_string();
    let commands: [&[&str]; 2] = [
        &["delete", "crd/ollamadeployments.llm.geeper.io"],
        &[
            "patch",
            "crd/lmdeployments.llm.geeper.io",
            "--type=json",
            "--patch",
            &narrow,
        ],
    ];
    let expected = [
        ("definitions", "there can be no OllamaDeployment"),
        ("definitions", "is not that of llm-operator"),
    ];
    broken(alone, &commands, &expected).await?;
    let printed = Command::new(env!("CARGO_BIN_EXE_llm-operator")).arg("crd").output()?;
    let apply = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
    alone.kubectl_with(&apply, &text(&printed.stdout)).await?;
    alone.install().await
}

async fn without_rights(alone: &Alone) -> Result<()> {
    let role = "clusterrole/llm-operator-system-llm-operator";
    let found: Value = serde_json::from_str(&alone.kubectl(&["get", role, "--output", "json"]).await?)?;
    let rules = found["rules"].as_array().context("no rules")?;
    let holds = |rule: &Value| {
        let resources = rule["resources"].as_array();
        resources.is_some_and(|all| all.contains(&json!("statefulsets")))
    };
    let index = rules.iter().position(holds).context("no rule on statefulsets")?;
    let patch =
        |verbs: &Value| json!([{"op": "replace", "path": format!("/rules/{index}/verbs"), "value": verbs}]).to_string();
    let (fewer, all) = (
        patch(&json!(["get", "list", "watch", "patch"])),
        patch(&rules[index]["verbs"]),
    );
    let words = "may not create, delete statefulsets of apps in all namespaces";
    let said = broken(
        alone,
        &[&["patch", role, "--type=json", "--patch", &fewer]],
        &[("rights", words)],
    )
    .await;
    alone.kubectl(&["patch", role, "--type=json", "--patch", &all]).await?;
    said
}

/// The class is no part of the release, so it is given back here.
async fn without_a_class(alone: &Alone) -> Result<()> {
    let set = async |value: &str| {
        let annotation = format!("storageclass.kubernetes.io/is-default-class={value}");
        alone
            .kubectl(&["annotate", "storageclasses", "--all", "--overwrite", &annotation])
            .await
    };
    set("false").await?;
    let said = broken(
        alone,
        &[],
        &[("storage", "is the default: claims that name no class wait for ever")],
    )
    .await;
    set("true").await?;
    said
}

/// A copy of the cluster's kubeconfig whose user acts as somebody who has no rights.
async fn as_nobody(cluster: &Cluster, folder: &Path) -> Result<std::path::PathBuf> {
    let view = cluster
        .kubectl(&["config", "view", "--flatten", "--output", "json"])
        .await?;
    let mut config: Value = serde_json::from_str(&view)?;
    config["users"][0]["user"]["as"] = "nobody".into();
    let file = folder.join("kubeconfig");
    std::fs::write(&file, config.to_string())?;
    Ok(file)
}

async fn who_may_not_look_is_told_so() -> Result<()> {
    let alone = operator::alone(CLUSTER).await?;
    let folder = tempfile::tempdir()?;
    let nobody = as_nobody(&alone, folder.path()).await?;
    let (status, notes) = findings(&nobody, "note").await?;
    ensure!(
        status == Some(0),
        "what cannot be seen is no problem: {status:?} {notes:#?}"
    );
    let unseen = |f: &&Value| f["message"].as_str().is_some_and(|m| m.contains("was not looked at"));
    let parts: Vec<&Value> = notes.iter().filter(unseen).map(|f| &f["part"]).collect();
    for part in [
        "operator",
        "definitions",
        "rights",
        "webhooks",
        "certificates",
        "storage",
        "nodes",
    ] {
        ensure!(
            parts.iter().any(|p| *p == part),
            "{part} is not said to be unseen: {notes:#?}"
        );
    }
    let nowhere = doctor(&folder.path().join("none"), &[]).await?;
    let said = text(&nowhere.stderr);
    ensure!(
        nowhere.status.code() == Some(2) && said.starts_with("error: no way to"),
        "{:?} {said}",
        nowhere.status
    );
    Ok(())
}
