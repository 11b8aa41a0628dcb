//! How soon the operator is ready, how large it is, and how soon another replica takes over.

use std::fs;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Service;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, ListParams, PostParams};
use kube::core::ApiResource;
use kube::core::gvk::GroupVersionKind;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::bed::{Bed, LIMIT, NAMESPACE, UNADMITTED};
use super::figures::{count, median};
use super::operator::{Launch, Operator};
use super::record::{Goal, Table};
use super::{Bench, Measured, milliseconds, say};

/// By which the replicas choose the leader.
const LEASE: &str = "llm-operator-leader";
const STARTS: usize = 10;
const CLEAN_STOPS: usize = 5;
const KILLS: usize = 3;
/// Between two looks at the Lease.
const PACE: Duration = Duration::from_millis(10);

pub(super) async fn measure(bench: &Bench) -> Result<Measured> {
    let mut goals = vec![];
    let size = size(bench, &mut goals)?;
    let bed = Bed::start(&bench.name, &bench.program, 2).await?;
    let pods = bed.pods(2).await?;
    let starts = starts(&bed, &pods[0], bench, &mut goals).await?;
    let failovers = failovers(&bed, &pods, bench, &mut goals).await?;
    Ok((goals, vec![starts, failovers, size]))
}

/// The image is the program and nothing else: its Dockerfile begins with `scratch`.
fn size(bench: &Bench, goals: &mut Vec<Goal>) -> Result<Table> {
    let mib = count(fs::metadata(&bench.program)?.len()) / f64::from(1 << 20);
    for (what, most) in [("image, budget", 20.0), ("image, aim", 12.0)] {
        goals.push(Goal::new(what, "MiB", mib, most, None));
    }
    let mut table = Table::new("Size of the program, which is all of the image", "file", &["*MiB"]);
    table.row("llm-operator", [mib]);
    Ok(table)
}

fn launch<'a>(bed: &'a Bed, pod: &'a (String, IpAddr)) -> Launch<'a> {
    Launch {
        bed,
        pod,
        core: None,
        server: None,
        arguments: &[],
    }
}

async fn starts(bed: &Bed, pod: &(String, IpAddr), bench: &Bench, goals: &mut Vec<Goal>) -> Result<Table> {
    let mut times = vec![];
    let number = if bench.short { 2 } else { STARTS };
    let first = launch(bed, pod).start().await?;
    let (authority, memory) = (milliseconds(first.ready_after), first.memory()?.now);
    end(first).await?;
    for _ in 0..number {
        let operator = launch(bed, pod).start().await?;
        times.push(milliseconds(operator.ready_after));
        end(operator).await?;
    }
    let most = times.iter().copied().fold(0.0, f64::max);
    let half = median(times).context("no start was measured")?;
    say(&format!("  ready after {half:.0} ms"));
    goals.push(Goal::new("start to ready", "ms", half, 500.0, None));
    let columns = ["*p50 ms", "most ms", "MiB"];
    let mut table = Table::new("From the start of the process to /readyz", "start", &columns);
    table.row("the first, which makes an authority", [authority, authority, memory]);
    table.row(format!("{number} more"), [half, most]);
    Ok(table)
}

/// Nobody waits for it to drain.
async fn end(operator: Operator) -> Result<()> {
    operator.signal(Signal::SIGKILL)?;
    operator.ended().await
}

async fn failovers(bed: &Bed, pods: &[(String, IpAddr)], bench: &Bench, goals: &mut Vec<Goal>) -> Result<Table> {
    // What is made here must not wait for the webhooks of the replica that has just ended.
    bed.namespace("failover", &[UNADMITTED]).await?;
    let columns = [
        "*Lease taken after s, p50",
        "most",
        "*a new stack's first child after s, p50",
        "most",
    ];
    let mut table = Table::new("Failover", "the leader's end", &columns);
    for (signal, number, name, goal) in [
        (Signal::SIGTERM, CLEAN_STOPS, "a clean stop", 3.0),
        (Signal::SIGKILL, KILLS, "a kill", 20.0),
    ] {
        let mut times = (vec![], vec![]);
        for index in 0..if bench.short { 1 } else { number } {
            let (taken, reconciled) = failover(bed, pods, signal, &format!("{signal}-{index}").to_lowercase()).await?;
            say(&format!(
                "  {name}: Lease after {taken:.2} s, reconciled after {reconciled:.2} s"
            ));
            times.0.push(taken);
            times.1.push(reconciled);
        }
        let most = |times: &[f64]| times.iter().copied().fold(0.0, f64::max);
        let (most_taken, most_reconciled) = (most(&times.0), most(&times.1));
        let (taken, reconciled) = (median(times.0), median(times.1));
        let none = f64::NAN;
        table.row(
            name,
            [
                taken.unwrap_or(none),
                most_taken,
                reconciled.unwrap_or(none),
                most_reconciled,
            ],
        );
        goals.push(Goal::new(
            &format!("failover after {name}, the longest"),
            "s",
            most_reconciled,
            goal,
            None,
        ));
    }
    Ok(table)
}

/// Seconds until the other replica holds the Lease, and until it has made something of a stack that came meanwhile.
async fn failover(bed: &Bed, pods: &[(String, IpAddr)], signal: Signal, name: &str) -> Result<(f64, f64)> {
    let client = bed.cluster.client().await?;
    let leases: Api<Lease> = Api::namespaced(client.clone(), NAMESPACE);
    // One that was killed before has left it behind, in the name of the same pod.
    if leases.get_opt(LEASE).await?.is_some() {
        leases.delete(LEASE, &DeleteParams::default()).await?;
    }
    let first = launch(bed, &pods[0]).start().await?;
    until_holder(&leases, &pods[0].0).await?;
    let second = launch(bed, &pods[1]).start().await?;
    let kind = GroupVersionKind::gvk("llm.geeper.io", "v1alpha1", "LMDeployment");
    let stacks: Api<DynamicObject> = Api::namespaced_with(client.clone(), "failover", &ApiResource::from_gvk(&kind));
    let services: Api<Service> = Api::namespaced(client, "failover");
    // A leader at work, not one that is still reading what there is.
    stacks
        .create(
            &PostParams::default(),
            &serde_json::from_value(stack(&format!("before-{name}")))?,
        )
        .await?;
    until_made(&services, &format!("before-{name}")).await?;
    let begin = Instant::now();
    first.signal(signal)?;
    stacks
        .create(&PostParams::default(), &serde_json::from_value(stack(name))?)
        .await?;
    until_holder(&leases, &pods[1].0).await?;
    let taken = begin.elapsed().as_secs_f64();
    until_made(&services, name)
        .await
        .map_err(|error| error.context(second.log()))?;
    let reconciled = begin.elapsed().as_secs_f64();
    first.ended().await?;
    end(second).await?;
    Ok((taken, reconciled))
}

/// Waits until a stack has a Service.
async fn until_made(services: &Api<Service>, stack: &str) -> Result<()> {
    let begin = Instant::now();
    while services
        .list_metadata(&ListParams::default())
        .await?
        .items
        .iter()
        .all(|s| !of(s, stack))
    {
        anyhow::ensure!(begin.elapsed() < LIMIT, "{stack} has no Service after {LIMIT:?}");
        tokio::time::sleep(PACE).await;
    }
    Ok(())
}

fn of(service: &kube::core::PartialObjectMeta<Service>, name: &str) -> bool {
    service.metadata.name.as_ref().is_some_and(|own| own.starts_with(name))
}

fn stack(name: &str) -> Value {
    json!({
        "apiVersion": "llm.geeper.io/v1alpha1", "kind": "LMDeployment", "metadata": {"name": name},
        "spec": {"suspend": true, "ollama": {"models": []}},
    })
}

async fn until_holder(leases: &Api<Lease>, pod: &str) -> Result<()> {
    let begin = Instant::now();
    loop {
        let lease = leases.get_opt(LEASE).await?;
        let holder = lease.and_then(|lease| lease.spec?.holder_identity).unwrap_or_default();
        if holder.starts_with(pod) {
            return Ok(());
        }
        anyhow::ensure!(
            begin.elapsed() < LIMIT,
            "the Lease has {holder:?} and not {pod} after {LIMIT:?}"
        );
        tokio::time::sleep(PACE).await;
    }
}
