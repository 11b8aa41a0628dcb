//! Routes of the Gateway API, with its real definitions: absent, installed while the operator runs, and removed again. The
//! test answers as the controller of a Gateway would.

use super::live::objects::{condition, message};
use super::live::operator;
use super::live::stage::Stage;
use anyhow::{Context, Result, ensure};
use cluster::tools;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

const ROUTE: &str = "chat-tabby-ingress";
const DEFINITION: &str = "httproutes.gateway.networking.k8s.io";

pub async fn routes_follow_the_gateway_api() -> Result<()> {
    let cluster = operator::alone("exposure").await?;
    let stage = Stage::on(&cluster, "gateway").await?;
    let models = [stage.item("tiny"), stage.item("embed")];
    let tabby = json!({
        "enabled": true, "embeddingModel": stage.model("embed"),
        "gateway": {"parentRef": {"name": "web", "namespace": "infra", "sectionName": "https"}, "host": "code.example.com"},
    });
    let spec = json!({"ollama": {"models": models}, "tabby": tabby});

    // Another test may have left it.
    cluster
        .kubectl(&["delete", "crd", DEFINITION, "--ignore-not-found"])
        .await?;
    // A cluster without the API: said once, in words, and nothing is tried in vain.
    stage.stack("chat", &spec).await?;
    let stack = stage.told("chat", "Ready", "False", "GatewayMissing").await?;
    let said = message(&stack, "Ready");
    let way_out = "install it, or remove gateway from the manifest";
    ensure!(said.contains(ROUTE) && said.contains(way_out), "{said}");
    assert_eq!(condition(&stack, "Exposed"), ("False", "GatewayMissing"));
    let answers = |stack: &Value| stack["status"]["tabbyStatus"]["readyReplicas"] == 1;
    stage.until("serves inside", "LMDeployment", "chat", answers).await?;

    define(&stage).await?;
    let route = stage.until("is there", "HTTPRoute", ROUTE, |_| true).await?;
    let spec_of = &route["spec"];
    assert_eq!(spec_of["hostnames"], json!(["code.example.com"]));
    let parent = &spec_of["parentRefs"][0];
    assert_eq!(
        (&parent["name"], &parent["namespace"]),
        (&json!("web"), &json!("infra"))
    );
    assert_eq!(spec_of["rules"][0]["backendRefs"][0]["name"], "chat-tabby");
    stage.told("chat", "Exposed", "False", "RouteWaiting").await?;

    answer(
        &stage,
        "False",
        "NotAllowedByListeners",
        "no listener allows routes from here",
    )
    .await?;
    let stack = stage.told("chat", "Exposed", "False", "RouteRefused").await?;
    let said = message(&stack, "Exposed");
    ensure!(
        said.contains("Gateway infra/web") && said.contains("no listener allows"),
        "{said}"
    );
    assert_eq!(condition(&stack, "Degraded"), ("True", "RouteRefused"));
    answer(&stage, "True", "Accepted", "").await?;
    let stack = stage.told("chat", "Exposed", "True", "Accepted").await?;
    assert_eq!(condition(&stack, "Degraded"), ("False", "Reconciled"));
    assert_eq!(stack["status"]["endpoints"]["tabbyPublic"], "https://code.example.com");
    stage.ready("chat").await?;

    // The definitions go, and come back.
    cluster.kubectl(&["delete", "crd", DEFINITION, "--wait=true"]).await?;
    stage.told("chat", "Ready", "False", "GatewayMissing").await?;
    define(&stage).await?;
    stage.until("is there again", "HTTPRoute", ROUTE, |_| true).await?;

    let mut without = spec;
    without["tabby"].as_object_mut().context("no block")?.remove("gateway");
    stage.stack("chat", &without).await?;
    stage.gone("HTTPRoute", ROUTE).await?;
    let stack = stage.ready("chat").await?;
    assert_eq!(condition(&stack, "Exposed"), ("", ""));

    let log = operator::logs(&cluster).await;
    let failures: Vec<&str> = log.lines().filter(|line| line.contains("reconcile failed")).collect();
    // At most the pass that the definition went away in the midst of.
    ensure!(failures.len() <= 1, "{failures:?}");
    let told = log
        .lines()
        .filter(|line| line.contains("watch failed") && line.contains("HTTPRoute"))
        .count();
    ensure!(told <= 8, "{told} lines on routes:\n{log}");
    Ok(())
}

/// Installs the definitions of the Gateway API.
pub async fn define(stage: &Stage) -> Result<()> {
    let source = spawn_blocking(|| tools::source("gateway-api", "sigs.k8s.io/gateway-api")).await??;
    let folder = source.join("config/crd/standard");
    let folder = folder.to_str().context("the path is not UTF-8")?;
    let arguments = ["apply", "--server-side", "--force-conflicts", "-f", folder];
    stage.cluster().kubectl(&arguments).await.map(drop)
}

/// What the controller of the Gateway says of the route.
async fn answer(stage: &Stage, status: &str, reason: &str, text: &str) -> Result<()> {
    let route = stage.get("HTTPRoute", ROUTE).await?;
    let of = |kind: &str, status: &str, reason: &str| {
        json!({
            "type": kind, "status": status, "reason": reason, "message": text,
            "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": route["metadata"]["generation"],
        })
    };
    let parent = json!({
        "parentRef": route["spec"]["parentRefs"][0], "controllerName": "example.com/gateway",
        "conditions": [of("Accepted", status, reason), of("ResolvedRefs", "True", "ResolvedRefs")],
    });
    let patch = json!({"status": {"parents": [parent]}}).to_string();
    let arguments = [
        "patch",
        "httproute",
        ROUTE,
        "--subresource=status",
        "--type=merge",
        "--patch",
        &patch,
    ];
    stage.namespace.kubectl(&arguments).await.map(drop)
}
