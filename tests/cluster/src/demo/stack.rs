//! The stack: applied, read back, refused, waited for, asked.

use std::collections::BTreeSet;
use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

use super::programs::text;
use super::release;
use super::steps::{Steps, say, seconds, typed};
use super::{Stage, root, second};

/// The name in the manifests.
const NAME: &str = "demo";
const REFUSED: &str = "tests/cluster/src/demo/refused.yaml";
/// What the refused manifest does wrong.
const WRONG: [&str; 3] = [
    "spec.ollama.replicas",
    "spec.tabby.chatModel",
    "spec.tabby.completionModel",
];
/// A real model of a few hundred MiB on a slow line.
pub(super) const PATIENCE: Duration = Duration::from_secs(20 * 60);
pub(super) const QUESTION: &str = "Why is the sky blue?";

pub(super) async fn apply(steps: &mut Steps, stage: &Stage, installed: Instant) -> Result<()> {
    steps.next("Six lines of YAML, and what they become");
    let programs = &stage.programs;
    // The stack of an earlier demonstration would be ready at once, and there would be nothing to see.
    for (kind, name) in [("lmdeployment", NAME), ("ollamamodel", second::NAME)] {
        let again = ["delete", kind, name, "--ignore-not-found"];
        programs.get(&stage.within(&again)).await?;
    }
    let manifest = stage.model.manifest();
    typed(&format!("cat {manifest}"));
    say(std::fs::read_to_string(root().join(manifest))?);
    let applied = programs.show(&stage.within(&["apply", "-f", manifest])).await?;
    let took = installed.elapsed();
    ensure!(
        applied.status.success(),
        "the manifest was refused{}",
        release::pods(programs).await
    );
    say(format_args!("({} from `helm install` to this)", seconds(took)));
    let get = stage.within(&["get", "lmdeployment", NAME]);
    typed(&format!("kubectl {} -o yaml   # its spec", get.join(" ")));
    let object: Value = programs.json(&get).await?;
    say(serde_saphyr::to_string(&json!({"spec": object["spec"]}))?);
    ensure!(
        object["spec"]["ollama"]["replicas"] == 1,
        "the object was stored without its defaults"
    );
    Ok(())
}

pub(super) async fn refuse(steps: &mut Steps, stage: &Stage) -> Result<()> {
    steps.next("A manifest with three mistakes, refused with all of them at once");
    typed(&format!("cat {REFUSED}"));
    say(std::fs::read_to_string(root().join(REFUSED))?);
    let output = stage.programs.show(&stage.within(&["apply", "-f", REFUSED])).await?;
    ensure!(!output.status.success(), "it was not refused");
    let said = text(&output.stderr);
    for field in WRONG {
        ensure!(said.contains(field), "the refusal does not name {field}");
    }
    Ok(())
}

/// Waits for the stack, showing what changes as `kubectl get --watch` does.
pub(super) async fn wait(steps: &mut Steps, stage: &Stage) -> Result<()> {
    steps.next("The model is pulled, and the pods become ready");
    let programs = &stage.programs;
    let get = stage.within(&["get", "lmdeployments,ollamamodels,pods"]);
    typed(&format!("kubectl {} --watch", get.join(" ")));
    let end = Instant::now() + PATIENCE;
    let mut shown = BTreeSet::new();
    loop {
        let table = programs.get(&get).await?;
        // The age is the last column, and no news.
        let news = table.lines().filter(|line| shown.insert(without_last_column(line)));
        news.for_each(say);
        let object: Value = programs.json(&stage.within(&["get", "lmdeployment", NAME])).await?;
        if is_ready(&object) {
            return Ok(());
        }
        if Instant::now() > end {
            let described = programs.get(&stage.within(&["describe", "lmdeployments,pods"])).await?;
            bail!(
                "the stack is not ready after {PATIENCE:?}:\n{described}{}",
                release::pods(programs).await
            );
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

pub(super) fn without_last_column(row: &str) -> String {
    let row = row.trim_end();
    row.rsplit_once(char::is_whitespace)
        .map_or(row, |(before, _)| before)
        .trim_end()
        .to_owned()
}

fn is_ready(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    let current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
    current && conditions.is_some_and(|all| all.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"))
}

/// Asks through the Service, by way of the API server, which every kubeconfig reaches.
pub(super) async fn ask(steps: &mut Steps, stage: &Stage) -> Result<()> {
    steps.next("A question to the model, through the Service, and its answer as it comes");
    let path = path(stage);
    let question = json!({"model": stage.model.name(), "prompt": QUESTION, "options": {"num_predict": 80}});
    typed(&format!(
        "echo '{question}' |\n        kubectl create --raw {path} -f -"
    ));
    say(QUESTION);
    let mut asking = stage
        .programs
        .feed(&["create", "--raw", &path, "-f", "-"], &question.to_string())
        .await?;
    let mut lines = BufReader::new(asking.stdout.take().context("kubectl has no stdout")?).lines();
    let mut last = Value::Null;
    print!("    > ");
    while let Some(line) = lines.next_line().await? {
        last = serde_json::from_str(&line).with_context(|| format!("not a line of an answer: {line}"))?;
        print!("{}", readable(last["response"].as_str().unwrap_or_default()));
        std::io::stdout().flush()?;
    }
    println!();
    let output = asking.wait_with_output().await?;
    ensure!(
        output.status.success(),
        "the model was not reached: {}",
        text(&output.stderr)
    );
    ensure!(last["done"] == true, "the answer was cut short: {last}");
    let tokens = last["eval_count"].as_u64().unwrap_or_default();
    ensure!(tokens > 0, "the answer is empty: {last}");
    say(format_args!("({tokens} tokens)"));
    Ok(())
}

/// Where questions go.
pub(super) fn path(stage: &Stage) -> String {
    let namespace = stage.namespace.unwrap_or("default");
    format!("/api/v1/namespaces/{namespace}/services/{NAME}-ollama:http/proxy/api/generate")
}

/// A model may say anything, and a terminal would obey it.
fn readable(token: &str) -> String {
    let letter = |c: char| match c {
        '\n' => "\n      ".to_owned(),
        c if c.is_control() => "·".to_owned(),
        c => c.to_string(),
    };
    token.chars().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_new_when_more_than_its_age_changed() {
        let row = |phase: &str, age: &str| without_last_column(&format!("demo   {phase}   {age} "));
        assert_eq!(row("Pending", "1s"), row("Pending", "12s"));
        assert_ne!(row("Pending", "1s"), row("Ready", "1s"));
    }

    #[test]
    fn an_answer_cannot_steer_the_terminal() {
        assert_eq!(readable("a\u{1b}[2J\nb"), "a·[2J\n      b");
    }

    #[test]
    fn ready_counts_for_the_spec_that_was_seen() {
        let conditions = json!([{"type": "Ready", "status": "True"}]);
        let object = |seen| json!({"metadata": {"generation": 2}, "status": {"observedGeneration": seen, "conditions": conditions}});
        assert!(is_ready(&object(2)) && !is_ready(&object(1)));
    }
}
