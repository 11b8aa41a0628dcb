//! What the webhooks add to a create through the API server.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::bare::{Bare, LABEL};
use super::{object, tell};
use crate::bench::bed::{Bed, UNADMITTED};
use crate::bench::figures::{count, ratio};
use crate::bench::generator::{self, Plan, Seen, Through};
use crate::bench::record::{Goal, Table};
use crate::bench::{Bench, milliseconds};

/// What the two webhooks of the older operator added, in milliseconds: 4.0 - 1.9 and 12.4 - 8.1.
const OLDER_P50: f64 = 2.1;
const OLDER_P99: f64 = 4.3;
/// What the design allows them to add, in milliseconds.
const BUDGET_P99: f64 = 10.0;

/// Namespaces, the labels that choose their webhooks, and what these are called.
const NAMESPACES: [(&str, &[&str], &str); 3] = [
    ("with", &[], "both"),
    ("bare", &[UNADMITTED, LABEL], "bare"),
    ("without", &[UNADMITTED], "none"),
];

/// Objects created through the API server, one by one and eight at a time.
pub(super) async fn through(bed: &Bed, bench: &Bench, goals: &mut Vec<Goal>) -> Result<Vec<Table>> {
    for (name, labels, _) in NAMESPACES {
        bed.namespace(name, labels).await?;
    }
    let _bare = Bare::start(bed, &filled(bed).await?).await?;
    let columns = ["*p50 ms", "p90 ms", "*p99 ms", "p99.9 ms", "created /s"];
    let mut table = Table::new("Objects created through the API server", "clients, webhooks", &columns);
    for (clients, turn) in [(1, 100), (8, 50)] {
        let plan = Plan::Through(Through {
            kubeconfig: bed.cluster.kubeconfig().display().to_string(),
            namespaces: NAMESPACES.map(|(name, ..)| name.to_owned()).into(),
            object: object(&format!("clients-{clients}-")),
            clients,
            turn,
            turns: if bench.short { 1 } else { 10 },
        });
        let seen = generator::begin(&bed.cluster, None, &plan).await?.end().await?;
        let [with, bare, without] = &seen[..] else {
            anyhow::bail!("the load has seen {seen:?}")
        };
        for ((.., what), seen) in NAMESPACES.iter().zip(&seen) {
            tell(&format!("{clients}, {what}"), seen);
            let spread = seen.spread;
            let pace = count(seen.answered) / seen.seconds;
            table.row(
                format!("{clients}, {what}"),
                [spread.p50, spread.p90, spread.p99, spread.p999, pace],
            );
        }
        let added = |seen: &Seen| {
            (
                seen.spread.p50 - without.spread.p50,
                seen.spread.p99 - without.spread.p99,
            )
        };
        let (p50, p99) = added(bare);
        table.row(format!("{clients}, added by bare ones"), [p50, f64::NAN, p99]);
        let (p50, p99) = added(with);
        table.row(format!("{clients}, added"), [p50, f64::NAN, p99]);
        if clients == 1 {
            for (what, value, most, older) in [
                ("admission adds to a create, p50", p50, OLDER_P50 / 2.0, Some(OLDER_P50)),
                ("admission adds to a create, p99, budget", p99, BUDGET_P99, None),
                ("admission adds to a create, p99", p99, OLDER_P99 / 2.0, Some(OLDER_P99)),
            ] {
                goals.push(Goal::new(what, "ms", value, most, older));
            }
        }
    }
    are_filled_where_admitted(bed).await?;
    Ok(vec![table, older(), own_mean(bed).await?])
}

/// The spec that the operator makes of that of each object.
async fn filled(bed: &Bed) -> Result<Value> {
    let (namespace, ..) = NAMESPACES[0];
    let object = object("filled").to_string();
    bed.cluster
        .kubectl_with(&["create", "-n", namespace, "-f", "-"], &object)
        .await?;
    spec(bed, namespace).await
}

/// That what was compared is what it is called.
async fn are_filled_where_admitted(bed: &Bed) -> Result<()> {
    for (namespace, _, what) in NAMESPACES {
        let spec = spec(bed, namespace).await?;
        let is_filled = !spec["ollama"]["drainSeconds"].is_null();
        ensure!(
            is_filled == (what != "none"),
            "an object of {namespace} has the spec {spec}"
        );
    }
    Ok(())
}

/// That of the first object of a namespace.
async fn spec(bed: &Bed, namespace: &str) -> Result<Value> {
    let path = format!("/apis/llm.geeper.io/v1alpha1/namespaces/{namespace}/lmdeployments?limit=1");
    let mut found: Value = serde_json::from_str(&bed.cluster.kubectl(&["get", "--raw", &path]).await?)?;
    Ok(found["items"][0]["spec"].take())
}

/// What the older operator needed for the same.
fn older() -> Table {
    let columns = ["p50 ms", "p99 ms", "created /s"];
    let mut table = Table::new("The same with the older operator", "clients, webhooks", &columns);
    table.row("1, both", [4.0, 12.4]);
    table.row("1, none", [1.9, 8.1]);
    table.row("8, both", [16.6, f64::NAN, 389.0]);
    table.row("8, none", [7.6, f64::NAN, 756.0]);
    table
}

/// How long the API server says that each webhook took it.
async fn own_mean(bed: &Bed) -> Result<Table> {
    let text = bed.cluster.kubectl(&["get", "--raw", "/metrics"]).await?;
    let mut table = Table::new(
        "The API server's own mean for a call of a webhook",
        "webhook",
        &["*here ms", "older operator ms"],
    );
    for (webhook, older) in [("defaults.llm.geeper.io", 3.7), ("checks.llm.geeper.io", 2.9)] {
        let sum = |what: &str| -> f64 {
            let name = format!("apiserver_admission_webhook_admission_duration_seconds_{what}");
            let of = |line: &&str| line.starts_with(&name) && line.contains(&format!("name=\"{webhook}\""));
            let values = text
                .lines()
                .filter(of)
                .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
            values.sum()
        };
        let mean = ratio(sum("sum"), sum("count")).context("the API server has not counted its calls of webhooks")?;
        table.row(webhook, [milliseconds(std::time::Duration::from_secs_f64(mean)), older]);
    }
    Ok(table)
}
