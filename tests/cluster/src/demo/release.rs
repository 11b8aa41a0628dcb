//! The chart's release: installed by Helm, as a user would.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Stage;
use super::programs::{Programs, text};
use super::steps::{Steps, say, typed};

/// As the documents call them.
pub(super) const NAME: &str = "llm-operator";
pub(super) const NAMESPACE: &str = "llm-operator-system";
/// By this the demonstration knows its own release again.
pub(super) const DESCRIPTION: &str = "make demo";

/// Installs the chart and waits until the operator is ready. Returns when that began.
pub(super) async fn install(steps: &mut Steps, stage: &Stage) -> Result<Instant> {
    steps.next("The operator, installed by Helm");
    let settings: Vec<String> = flags("", &stage.values);
    typed(&format!(
        "helm install {NAME} charts/llm-operator --namespace {NAMESPACE} --create-namespace --wait{}",
        settings
            .iter()
            .fold(String::new(), |line, set| line + " \\\n        --set-string " + set)
    ));
    let place = ["--namespace", NAMESPACE, "--create-namespace"];
    let wait = ["--wait", "--timeout", "5m", "--description", DESCRIPTION];
    let mut arguments = [
        &["upgrade", "--install", NAME, "charts/llm-operator"][..],
        &place,
        &wait,
    ]
    .concat();
    for set in &settings {
        arguments.extend(["--set-string", set]);
    }
    let begin = Instant::now();
    let output = stage
        .programs
        .helm(&arguments)
        .output()
        .await
        .context("cannot run helm")?;
    if !output.status.success() {
        bail!("helm: {}{}", text(&output.stderr), pods(&stage.programs).await);
    }
    let said = text(&output.stdout);
    let status = said
        .lines()
        .filter(|line| line.starts_with("STATUS") || line.starts_with("LAST DEPLOYED"));
    status.for_each(say);
    stage.programs.show(&["--namespace", NAMESPACE, "get", "pods"]).await?;
    Ok(begin)
}

/// `--set-string` of every leaf.
fn flags(path: &str, values: &Value) -> Vec<String> {
    let Some(children) = values.as_object() else {
        return vec![format!("{path}={}", values.as_str().unwrap_or_default())];
    };
    let joined = |key: &str| {
        if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        }
    };
    children
        .iter()
        .flat_map(|(key, child)| flags(&joined(key), child))
        .collect()
}

/// What the operator's pods do and say, for the one who wants to know why it is not ready.
pub(super) async fn pods(programs: &Programs) -> String {
    let mut told = String::new();
    for arguments in [
        &["get", "pods", "--output=wide"][..],
        &["get", "events", "--sort-by=.lastTimestamp"],
        &[
            "logs",
            "--selector=app.kubernetes.io/name=llm-operator",
            "--tail=20",
            "--prefix",
        ],
    ] {
        let output = programs
            .kubectl(&[&["--namespace", NAMESPACE], arguments].concat())
            .output()
            .await;
        let said = output.map_or_else(|error| error.to_string(), |o| text(&o.stdout) + &text(&o.stderr));
        told += &format!("\n--- kubectl {}\n{said}", arguments.join(" "));
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn settings_are_flags_of_their_paths() {
        let values = json!({"image": {"registry": "", "tag": "1"}});
        assert_eq!(flags("", &values), ["image.registry=", "image.tag=1"]);
    }
}
