//! What many stacks cost when nothing happens, and when an operator starts that does not know them.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Ledger, Scene, quiet};
use crate::bench::bed::LIMIT;
use crate::bench::figures::count;
use crate::bench::operator::Operator;
use crate::bench::record::{Goal, Table};
use crate::bench::say;
use crate::test::until;

/// What all stacks cost while nothing happens.
pub async fn at_rest(scene: &Scene<'_>, operator: &Operator, rest: Duration, goals: &mut Vec<Goal>) -> Result<Table> {
    say(&format!("  at rest for {rest:?}"));
    let audit = scene.bed.cluster.audit();
    let (mark, bytes, cpu) = (audit.mark()?, scene.relay.bytes(), operator.cpu()?);
    tokio::time::sleep(rest).await;
    let ledger = Ledger::of(audit.since(mark)?);
    let busy = operator.cpu()? - cpu;
    let columns = [
        "writes",
        "reads",
        "watches begun",
        "Lease requests",
        "*KiB",
        "*CPU %",
        "MiB",
        "MiB of its own",
    ];
    let mut table = Table::new("At rest, with all stacks", "seconds", &columns);
    let seconds = rest.as_secs_f64();
    let kib = count(scene.relay.bytes() - bytes) / 1024.0;
    let cells = [
        ledger.writes(),
        ledger.reads(),
        ledger.watches(),
        ledger.leases(),
        kib,
        busy / seconds * 100.0,
    ];
    let memory = operator.memory()?;
    table.row(
        rest.as_secs().to_string(),
        cells.into_iter().chain([memory.now, memory.own]),
    );
    goals.push(Goal::new(
        "writes at rest, Lease aside",
        "",
        ledger.writes(),
        0.0,
        Some(0.0),
    ));
    Ok(table)
}

/// An operator that starts where all stacks are.
pub async fn cold(scene: &Scene<'_>, stacks: usize) -> Result<Table> {
    say("  starting with all stacks");
    let audit = scene.bed.cluster.audit();
    let (mark, bytes, begin) = (audit.mark()?, scene.relay.bytes(), Instant::now());
    let operator = scene.operator().await?;
    let all = until("every stack is reconciled", LIMIT, async || {
        Ok((reconciled(&operator.metrics().await?) >= count(stacks)).then_some(()))
    });
    all.await.map_err(|error| error.context(operator.log()))?;
    let seconds = begin.elapsed().as_secs_f64();
    let cpu = operator.cpu()?;
    let memory = operator.memory()?;
    quiet(scene).await?;
    let ledger = Ledger::of(audit.since(mark)?);
    let columns = [
        "*ready after ms",
        "*all reconciled after s",
        "requests",
        "writes",
        "KiB",
        "*CPU s",
        "*MiB",
        "*MiB of its own",
        "*most MiB",
    ];
    let mut table = Table::new("A start with existing stacks", "stacks", &columns);
    let kib = count(scene.relay.bytes() - bytes) / 1024.0;
    let ready = operator.ready_after.as_secs_f64() * 1000.0;
    let requests = [ledger.requests(), ledger.writes(), kib];
    let memory = [cpu, memory.now, memory.own, memory.most];
    let cells = [ready, seconds].into_iter().chain(requests).chain(memory);
    table.row(stacks.to_string(), cells);
    operator.stop().await?;
    Ok(table)
}

/// Reconciles of stacks that went well, out of /metrics.
fn reconciled(metrics: &str) -> f64 {
    let lines = metrics
        .lines()
        .filter(|l| l.contains("reconciles_total{") && l.contains("kind=\"LMDeployment\""));
    let values = lines.filter_map(|line| line.split(' ').nth(1)?.parse::<f64>().ok());
    values.fold(0.0, |sum, value| sum + value)
}
