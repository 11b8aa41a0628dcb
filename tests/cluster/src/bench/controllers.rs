//! Many stacks: how fast they converge, what that costs, what they cost at rest, and how the operator starts with them.

mod bare;
mod growth;
mod ledger;
mod models;
mod rest;
mod stacks;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::bed::{Bed, LIMIT};
use super::figures::count;
use super::operator::{Launch, Operator};
use super::record::Table;
use super::relay::Relay;
use super::{Bench, Measured, say};
use crate::test::until;
use growth::Step;
pub(super) use ledger::Ledger;
pub(super) use models::Models;
pub(super) use stacks::Stacks;

/// How many stacks there are after each step.
const STEPS: [usize; 4] = [100, 300, 500, 1000];
const SHORT: [usize; 2] = [10, 20];
/// As many are made once more without the operator.
const BARE: usize = 100;
/// How long nothing happens.
const REST: Duration = Duration::from_secs(60);
const SHORT_REST: Duration = Duration::from_secs(10);
/// Nothing was written for this long: it has come to rest.
const QUIET: Duration = Duration::from_secs(3);

/// Seconds a stack of the older operator.
const OLDER_SECONDS: f64 = 0.72;

struct Scene<'a> {
    bed: &'a Bed,
    relay: Relay,
    pod: (String, std::net::IpAddr),
}

impl Scene<'_> {
    async fn operator(&self) -> Result<Operator> {
        let launch = Launch {
            bed: self.bed,
            pod: &self.pod,
            core: None,
            server: Some(self.relay.address),
            arguments: &[],
        };
        launch.start().await
    }
}

pub(super) async fn measure(bench: &Bench) -> Result<Measured> {
    let bed = Bed::start(&bench.name, &bench.program, 1).await?;
    let pod = bed.pods(1).await?.remove(0);
    let server = SocketAddr::new([127, 0, 0, 1].into(), bed.port()?);
    let relay = Relay::inside(&bed.cluster, SocketAddr::new([127, 0, 0, 1].into(), 0), server).await?;
    let scene = Scene { bed: &bed, relay, pod };
    let models = Models::serve(&bed, 1).await?;
    models.ollama("0.0.0.0").await?;
    models.pull("127.0.0.1", 0).await?;
    let operator = scene.operator().await?;
    let start = operator.memory()?.now;
    bed.namespace("bench", &[]).await?;
    let mut goals = vec![];
    let throttled = throttled(&scene, &operator, &models, bench).await?;
    bed.unleash().await?;
    let (steps, mut tables) = grow(&scene, &operator, &models, bench).await?;
    tables.insert(0, throttled);
    growth::judge(&steps, &mut goals);
    tables.push(growth::lines(start, &steps));
    let rest = if bench.short { SHORT_REST } else { REST };
    tables.push(rest::at_rest(&scene, &operator, rest, &mut goals).await?);
    operator.stop().await?;
    let all = steps.last().map_or(0, |s| s.stacks);
    tables.push(rest::cold(&scene, all).await?);
    tables.push(bare::bare(&bed, "bench", all.min(BARE)).await?);
    Ok((goals, tables))
}

/// A stack like that of the older operator's measurement: Ollama, Open WebUI, Tabby and one Ingress.
fn stack(name: &str, model: &Value) -> Value {
    json!({
        "apiVersion": "llm.geeper.io/v1alpha1", "kind": "LMDeployment", "metadata": {"name": name},
        "spec": {
            "ollama": {"models": [model]},
            "openwebui": {"enabled": true, "ingress": {"host": format!("{name}.example.com")}},
            "tabby": {"enabled": true, "chatModel": model["name"], "embeddingModel": model["name"]},
        },
    })
}

/// As the older operator was measured: the controller manager asks 20 times a second for each of its controllers.
async fn throttled(scene: &Scene<'_>, operator: &Operator, models: &Models, bench: &Bench) -> Result<Table> {
    let number = if bench.short { 5 } else { 50 };
    say("  with the controller manager's default limits");
    scene.bed.namespace("throttled", &[]).await?;
    let stacks = Stacks::watch(scene.bed, "throttled").await?;
    let step = step(scene, operator, &stacks, (0, number), models).await?;
    let columns = ["*seconds", "*seconds per stack", "older operator, seconds per stack"];
    let title = "With the controller manager's default limit of 20 requests a second for each controller";
    let mut table = Table::new(title, "stacks", &columns);
    table.row(
        number.to_string(),
        [step.seconds, step.seconds / count(number), OLDER_SECONDS],
    );
    scene
        .bed
        .cluster
        .kubectl(&["delete", "namespace", "throttled", "--wait=false"])
        .await?;
    let rest = until("the stacks of this measurement are gone", LIMIT * 3, async || {
        let left = ["--namespace", "throttled", "get", "lmdeployments,pods", "-o", "name"];
        Ok(scene.bed.cluster.kubectl(&left).await?.trim().is_empty().then_some(()))
    });
    rest.await?;
    Ok(table)
}

async fn grow(
    scene: &Scene<'_>,
    operator: &Operator,
    models: &Models,
    bench: &Bench,
) -> Result<(Vec<Step>, Vec<Table>)> {
    let stacks = Stacks::watch(scene.bed, "bench").await?;
    let columns = [
        "*seconds",
        "*stacks /s",
        "created in s",
        "*requests per stack",
        "*writes per stack",
        "*KiB per stack",
        "*CPU ms per stack",
        "*MiB",
        "*MiB of its own",
        "most MiB",
    ];
    let mut table = Table::new("From apply to Ready", "stacks before and after", &columns);
    let mut steps: Vec<Step> = vec![];
    let mut before = 0;
    let wanted: &[usize] = if bench.short { &SHORT } else { &STEPS };
    for &after in wanted.iter().filter(|after| **after <= bench.stacks) {
        let step = step(scene, operator, &stacks, (before, after), models).await?;
        let new = step.new;
        table.row(
            format!("{before} to {after}"),
            [
                step.seconds,
                new / step.seconds,
                step.created,
                step.ledger.requests() / new,
                step.ledger.writes() / new,
                step.bytes / new / 1024.0,
                step.cpu / new * 1000.0,
                step.memory.now,
                step.memory.own,
                step.memory.most,
            ],
        );
        steps.push(step);
        before = after;
    }
    let kinds = steps.last().map(|last| last.ledger.table(last.new));
    Ok((steps, [Some(table), kinds].into_iter().flatten().collect()))
}

/// Creates stacks and waits until all are Ready and nothing is written any more.
async fn step(
    scene: &Scene<'_>,
    operator: &Operator,
    stacks: &Stacks,
    (before, after): (usize, usize),
    models: &Models,
) -> Result<Step> {
    let audit = scene.bed.cluster.audit();
    let (mark, bytes, cpu) = (audit.mark()?, scene.relay.bytes(), operator.cpu()?);
    let phases = stacks.phases();
    let model = models.item(0);
    let begin = Instant::now();
    let objects = (before..after)
        .map(|index| stack(&format!("s{index}"), &model))
        .collect();
    stacks.create(objects).await?;
    let created = begin.elapsed().as_secs_f64();
    stacks
        .until_ready(after)
        .await
        .map_err(|error| error.context(operator.log()))?;
    let seconds = begin.elapsed().as_secs_f64();
    quiet(scene).await?;
    let memory = operator.memory()?;
    let ledger = Ledger::of(audit.since(mark)?);
    say(&format!(
        "  {before} to {after}: {seconds:.1} s, {:.0} writes, {:.1} MiB",
        ledger.writes(),
        memory.now
    ));
    Ok(Step {
        stacks: after,
        new: count(after - before),
        seconds,
        created,
        phases: stacks.phases() - phases,
        bytes: count(scene.relay.bytes() - bytes),
        cpu: operator.cpu()? - cpu,
        memory,
        ledger,
    })
}

/// Waits until the operator has written nothing for a while.
async fn quiet(scene: &Scene<'_>) -> Result<()> {
    let audit = scene.bed.cluster.audit();
    let end = Instant::now() + LIMIT;
    loop {
        let mark = audit.mark()?;
        tokio::time::sleep(QUIET).await;
        if Ledger::of(audit.since(mark)?).writes() == 0.0 {
            return Ok(());
        }
        ensure!(
            Instant::now() < end,
            "the operator still writes {LIMIT:?} after every stack was Ready"
        );
    }
}
