//! The operator's rights, held against what it asks of the API server during the life of a stack.

use super::LIMIT;
use super::objects::is_observed;
use super::operator::{NAMESPACE, RELEASE, USER, chart};
use super::stage::Stage;
use anyhow::{Context, Result, ensure};
use cluster::audit::{Mark, Request};
use cluster::test::until;
use cluster::{Cluster, Helm};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What the chart renders.
///
/// # Errors
/// What Helm says.
pub async fn rendered(cluster: &Cluster, form: &[String]) -> Result<String> {
    let chart = chart();
    let chart = chart.to_str().context("the chart's path is not UTF-8")?;
    let start = ["template", RELEASE, chart, "-n", NAMESPACE, "--kube-version", "1.37.0"];
    let words: Vec<&str> = start.into_iter().chain(form.iter().map(String::as_str)).collect();
    cluster.helm(Helm::V4, &words).await
}

/// The roles of a rendering: the text and the object.
///
/// # Errors
/// When one is no YAML.
pub fn roles(text: &str) -> Result<Vec<(String, Value)>> {
    let mut all = vec![];
    for document in text.split("\n---") {
        if document.contains("\nkind: Role\n") || document.contains("\nkind: ClusterRole\n") {
            all.push((document.to_string(), serde_saphyr::from_str(document)?));
        }
    }
    Ok(all)
}

/// Rights that no request of a stack's ordinary life shows, by the beginning or the end of their name, each with what it
/// is for.
const RARELY: [(&str, &str); 16] = [
    (
        " create",
        "an apply that makes an object is authorised as `create` too, and logged as `patch`",
    ),
    (
        "/finalizers update",
        "asked by the plugin OwnerReferencesPermissionEnforcement, without a request",
    ),
    (
        "llm.geeper.io/deployments",
        "the older names of the kind, of which this life has none",
    ),
    ("llm.geeper.io/ollamadeployments", "the same"),
    (
        "gateway.networking.k8s.io/httproutes",
        "clusters without the Gateway API have none",
    ),
    (
        "llm.geeper.io/lmdeployments patch",
        "finalizers that older operators left, and annotations",
    ),
    (
        "llm.geeper.io/lmdeployments get",
        "a read of the latest before a finalizer goes",
    ),
    ("ollama.smithforge.dev/ollamamodels get", "the same"),
    (
        "/events list",
        "why a claim is not bound or a pod refused, once something is wrong",
    ),
    ("events.k8s.io/events patch", "an event of the release that is repeated"),
    ("/pods delete", "a server that hangs before its gate has opened"),
    ("/pods get", "before such a restart"),
    ("apps/replicasets delete", "what the older operator left"),
    ("apps/replicasets get", "before that"),
    (
        "/secrets delete",
        "generated Secrets go with what they belong to, mostly by the garbage collector",
    ),
    (
        "apiextensions.k8s.io/customresourcedefinitions get",
        "only when a watch of a kind fails",
    ),
];

fn is_rare(right: &str) -> bool {
    RARELY
        .iter()
        .any(|(part, _)| right.starts_with(part) || right.ends_with(part))
}

/// `group/resource[/subresource] verb`, as a rule gives it.
fn granted(role: &Value) -> BTreeSet<String> {
    let texts = |list: &Value| -> Vec<String> {
        let all = list.as_array().into_iter().flatten();
        all.filter_map(|v| v.as_str().map(str::to_string)).collect()
    };
    let mut all = BTreeSet::new();
    for rule in role["rules"].as_array().into_iter().flatten() {
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                all.extend(
                    texts(&rule["verbs"])
                        .iter()
                        .map(|verb| format!("{group}/{resource} {verb}")),
                );
            }
        }
    }
    all
}

fn used(request: &Request) -> String {
    let Request {
        group,
        resource,
        subresource,
        verb,
        ..
    } = request;
    let slash = if subresource.is_empty() { "" } else { "/" };
    format!("{group}/{resource}{slash}{subresource} {verb}")
}

/// Runs the life of a stack, and holds what the operator asked since `mark` against the roles of a form of the chart:
/// nothing is refused, and nothing is granted that nobody uses.
///
/// # Errors
/// When something is.
pub async fn are_those_in_use(stage: &Stage, mark: Mark, form: &[String]) -> Result<()> {
    life(stage).await?;
    let audit = stage.cluster().audit().since(mark)?;
    let ours: Vec<Request> = audit.into_iter().filter(|r| r.user == USER).collect();
    // Other tests take namespaces away, and quotas say no as well.
    let here = [stage.namespace.name(), NAMESPACE, ""];
    let denied: Vec<&Request> = ours
        .iter()
        .filter(|r| r.code == 403 && here.contains(&&*r.namespace))
        .collect();
    ensure!(denied.is_empty(), "the operator was denied: {denied:?}");

    let (mut all, mut unused) = (BTreeSet::new(), vec![]);
    for (_, role) in roles(&rendered(stage.cluster(), form).await?)? {
        let name = role["metadata"]["name"].as_str().unwrap_or_default();
        if name.ends_with("-selfcheck") {
            continue; // that of `helm test`
        }
        // The Role beside the release is about the release itself, the others about stacks and the cluster.
        let own = role["metadata"]["namespace"] == NAMESPACE;
        let asked = ours
            .iter()
            .filter(|r| r.code != 403 && (r.namespace == NAMESPACE) == own);
        let used: BTreeSet<String> = asked.map(used).collect();
        let granted = granted(&role);
        unused.extend(granted.difference(&used).cloned());
        all.extend(granted);
    }
    let unnamed: Vec<&str> = unused
        .iter()
        .map(String::as_str)
        .filter(|right| !is_rare(right))
        .collect();
    ensure!(
        unnamed.is_empty(),
        "nobody uses these, and no list says why they are granted:\n{}",
        unnamed.join("\n")
    );
    for (part, why) in RARELY {
        let given = all.iter().any(|right| right.starts_with(part) || right.ends_with(part));
        ensure!(given, "no rule gives {part} any more ({why})");
    }
    println!(
        "{} rights granted, {} used, not used here: {unused:?}",
        all.len(),
        all.len() - unused.len()
    );
    Ok(())
}

/// A stack with all its parts that is made, changed, switched off part by part and deleted.
async fn life(stage: &Stage) -> Result<()> {
    let chat = |more: Value| {
        let mut spec = json!({
            "ollama": {"drainSeconds": 0, "models": [stage.item("tiny")]},
            "networkPolicy": {"enabled": true},
        });
        llm_operator::base::object::merge(&mut spec, more);
        spec
    };
    // Where load decides how many there are, and where it no longer does.
    let scaled = json!({"ollama": {"autoscaling": {"enabled": true, "maxReplicas": 2}}});
    stage.stack("chat", &chat(scaled)).await?;
    stage.ready("chat").await?;
    let made = |_: &Value| true;
    stage
        .until("is made", "HorizontalPodAutoscaler", "chat-ollama", made)
        .await?;
    let more = json!({"ollama": {"autoscaling": {"enabled": true, "maxReplicas": 3}}});
    stage.stack("chat", &chat(more)).await?;
    let three = |o: &Value| o["spec"]["maxReplicas"] == 3;
    stage
        .until("has three", "HorizontalPodAutoscaler", "chat-ollama", three)
        .await?;
    let volume = json!({"persistence": {"enabled": true, "size": "1Gi", "retain": false}});
    // Without pods: what is looked at here is what is written.
    let mut whole = json!({
        "suspend": true,
        "openwebui": {
            "enabled": true, "replicas": 2, "redis": {"enabled": true, "password": "secret"}, "database": {"enabled": true, "persistence": {"retain": false}},
            "persistence": {"enabled": true, "accessModes": ["ReadWriteMany"], "retain": false},
            "pipelines": {"enabled": true}, "ingress": {"enabled": true, "host": "chat.example.com"},
        },
        "tabby": {"enabled": true, "embeddingModel": stage.model("tiny"), "ingress": {"enabled": true, "host": "code.example.com"}},
        "ollama": {},
    });
    stage.stack("chat", &chat(whole.clone())).await?;
    let suspended = |o: &Value| is_observed(o) && o["status"]["phase"] == "Suspended";
    stage.until("is suspended", "LMDeployment", "chat", suspended).await?;
    llm_operator::base::object::merge(&mut whole["ollama"], volume);
    stage.stack("chat", &chat(whole.clone())).await?;
    stage
        .until("has a volume", "StatefulSet", "chat-ollama", |_| true)
        .await?;
    stage.stack("chat", &chat(json!({"ollama": {"models": []}}))).await?;
    for (kind, name) in [
        ("Ingress", "chat-openwebui-ingress"),
        ("Deployment", "chat-openwebui"),
        ("Service", "chat-redis"),
        ("StatefulSet", "chat-ollama"),
        ("HorizontalPodAutoscaler", "chat-ollama"),
    ] {
        stage.gone(kind, name).await?;
    }
    stage.delete("LMDeployment", "chat").await?;
    stage.gone("LMDeployment", "chat").await?;
    let none = async || Ok(stage.list("OllamaModel", "").await?.is_empty().then_some(()));
    until("its models are gone", LIMIT, none).await
}
