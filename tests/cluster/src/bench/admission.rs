//! How fast the webhooks answer, asked directly and through the API server.

mod bare;
mod through;

use std::net::SocketAddr;

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::bed::{Bed, NAMESPACE, RELEASE};
use super::figures::{count, ratio};
use super::generator::{self, Direct, Plan, Seen};
use super::operator::{Launch, Operator};
use super::record::{Goal, Table};
use super::{Bench, Measured, say};

const CONNECTIONS: [usize; 4] = [1, 8, 64, 200];
/// Requests a second; none is as many as possible.
const RATES: [Option<u64>; 4] = [Some(100), Some(500), Some(1000), None];
const SECONDS: u64 = 5;
const COLUMNS: [&str; 7] = [
    "p50 ms",
    "p90 ms",
    "*p99 ms",
    "p99.9 ms",
    "answered /s",
    "*CPU µs per request",
    "failed",
];

/// A budget of the design: the rate, and the most milliseconds of 99 in 100 requests.
const BUDGETS: [(u64, f64); 2] = [(500, 5.0), (1000, 2.0)];
pub(super) async fn measure(bench: &Bench) -> Result<Measured> {
    let bed = Bed::start(&bench.name, &bench.program, 1).await?;
    let pod = bed.pods(1).await?.remove(0);
    // The core that the operator has, and the one of the load. With a single core they share it.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (mine, theirs) = if cores > 1 {
        (Some(cores - 1), Some(0))
    } else {
        (None, None)
    };
    bed.namespace("watched", &[]).await?;
    // The objects of this benchmark are not what it reconciles.
    let arguments = ["--watch-namespace=watched"];
    let launch = |core| Launch {
        bed: &bed,
        pod: &pod,
        core,
        server: None,
        arguments: &arguments,
    };
    let operator = launch(mine).start().await?;
    let seconds = if bench.short { 1 } else { SECONDS };
    let direct = Direct {
        address: SocketAddr::new(pod.1, 10250),
        host: format!("{RELEASE}-webhook.{NAMESPACE}.svc"),
        ca_pem: authority(&bed).await?,
        requests: vec![("/mutate".into(), review()), ("/validate".into(), review())],
        connections: 1,
        keep_alive: true,
        rate: None,
        seconds,
    };
    let mut goals = vec![];
    let mut tables = vec![];
    for keep_alive in [true, false] {
        let table = asked(
            &bed,
            &operator,
            &Direct {
                keep_alive,
                ..direct.clone()
            },
            theirs,
        )
        .await?;
        if keep_alive {
            goals.extend(BUDGETS.into_iter().filter_map(|budget| within(&table, budget)));
        }
        tables.push(table);
    }
    operator.stop().await?;
    let operator = launch(None).start().await?;
    tables.extend(through::through(&bed, bench, &mut goals).await?);
    operator.stop().await?;
    Ok((goals, tables))
}

fn within(table: &Table, (rate, most): (u64, f64)) -> Option<Goal> {
    // As many connections as an API server has open to a webhook that it asks often.
    let row = table.rows.iter().find(|row| row.name == name(8, Some(rate)))?;
    let what = format!("admission over TLS, p99 at {rate} requests/s, 8 connections, one core");
    Some(Goal::new(&what, "ms", row.cells[2]?, most, None))
}

fn name(connections: usize, rate: Option<u64>) -> String {
    match rate {
        Some(rate) => format!("{connections}, {rate}/s"),
        None => format!("{connections}, saturated"),
    }
}

/// Every number of connections at every rate.
async fn asked(bed: &Bed, operator: &Operator, direct: &Direct, core: Option<usize>) -> Result<Table> {
    let title = if direct.keep_alive {
        "Asked directly, connections kept"
    } else {
        "Asked directly, a connection and a full handshake for each request"
    };
    let mut table = Table::new(title, "connections, rate", &COLUMNS);
    for connections in CONNECTIONS {
        for rate in RATES {
            let plan = Plan::Direct(Direct {
                connections,
                rate,
                ..direct.clone()
            });
            let load = generator::begin(&bed.cluster, core, &plan).await?;
            let before = operator.cpu()?;
            let seen = load.end().await?.pop().context("the load has seen nothing")?;
            let cpu = (operator.cpu()? - before) * 1e6;
            tell(&name(connections, rate), &seen);
            let Seen {
                spread,
                answered,
                failed,
                ..
            } = &seen;
            let each = ratio(cpu, count(*answered + *failed)).unwrap_or(f64::NAN);
            let pace = count(*answered) / seen.seconds;
            table.row(
                name(connections, rate),
                [
                    spread.p50,
                    spread.p90,
                    spread.p99,
                    spread.p999,
                    pace,
                    each,
                    count(*failed),
                ],
            );
        }
    }
    Ok(table)
}

fn tell(what: &str, seen: &Seen) {
    let failed = if seen.failed > 0 {
        format!(", {} failed: {}", seen.failed, seen.why)
    } else {
        String::new()
    };
    say(&format!("  {what}: p99 {:.2} ms{failed}", seen.spread.p99));
}

/// Whom the API server trusts.
async fn authority(bed: &Bed) -> Result<String> {
    let object = format!("mutatingwebhookconfiguration/{NAMESPACE}-{RELEASE}-mutating");
    let path = "jsonpath={.webhooks[0].clientConfig.caBundle}";
    let bundle = bed.cluster.kubectl(&["get", &object, "-o", path]).await?;
    Ok(String::from_utf8(BASE64_STANDARD.decode(bundle.trim())?)?)
}

/// A stack as people write it.
fn object(name: &str) -> Value {
    json!({
        "apiVersion": "llm.geeper.io/v1alpha1", "kind": "LMDeployment", "metadata": {"name": name},
        "spec": {
            "ollama": {"models": ["llama3.2:1b", "nomic-embed-text"], "replicas": 2},
            "tabby": {"enabled": true},
        },
    })
}

/// What an API server asks about it.
fn review() -> String {
    let kind = json!({"group": "llm.geeper.io", "version": "v1alpha1", "kind": "LMDeployment"});
    let resource = json!({"group": "llm.geeper.io", "version": "v1alpha1", "resource": "lmdeployments"});
    let mut object = object("bench");
    object["metadata"]["namespace"] = "default".into();
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "00000000-0000-4000-8000-000000000000", "operation": "CREATE", "name": "bench", "namespace": "default",
            "kind": kind, "requestKind": kind, "resource": resource, "requestResource": resource,
            "userInfo": {"username": "bench", "groups": ["system:authenticated"]}, "object": object, "oldObject": null,
            "dryRun": false, "options": {"apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions"},
        },
    })
    .to_string()
}
