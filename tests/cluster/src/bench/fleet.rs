//! Many models on many servers, and what a pull at full speed costs the operator.

use std::time::Instant;

use anyhow::Result;
use serde_json::{Value, json};

use super::bed::Bed;
use super::controllers::{Ledger, Models, Stacks};
use super::figures::count;
use super::operator::{Launch, Operator};
use super::record::{Goal, Table};
use super::{Bench, Measured, say};

/// Stacks, servers of each, models of each.
const STACKS: usize = 2;
const SERVERS: usize = 10;
const MODELS: u64 = 10;
/// Of the model that is pulled at full speed.
const LARGE: usize = 2048;

pub(super) async fn measure(bench: &Bench) -> Result<Measured> {
    let bed = Bed::start(&bench.name, &bench.program, 1).await?;
    bed.unleash().await?;
    let pod = bed.pods(1).await?.remove(0);
    let models = Models::serve(&bed, MODELS).await?;
    let launch = Launch {
        bed: &bed,
        pod: &pod,
        core: None,
        server: None,
        arguments: &[],
    };
    let operator = launch.start().await?;
    let servers = if bench.short { 2 } else { SERVERS };
    let mut goals = vec![];
    let many = many(&bed, &operator, &models, servers).await?;
    let mib = if bench.short { 256 } else { LARGE };
    let pull = pull(&bed, &operator, &models, mib, &mut goals).await?;
    operator.stop().await?;
    Ok((goals, vec![many, pull]))
}

fn stack(name: &str, servers: usize, models: &[Value]) -> Value {
    json!({
        "apiVersion": "llm.geeper.io/v1alpha1", "kind": "LMDeployment", "metadata": {"name": name},
        "spec": {"ollama": {"models": models, "replicas": servers}},
    })
}

async fn many(bed: &Bed, operator: &Operator, models: &Models, servers: usize) -> Result<Table> {
    bed.namespace("fleet", &[]).await?;
    let stacks = Stacks::watch(bed, "fleet").await?;
    let items: Vec<Value> = (0..MODELS).map(|index| models.item(index)).collect();
    let audit = bed.cluster.audit();
    let (mark, cpu, before) = (audit.mark()?, operator.cpu()?, operator.memory()?.now);
    let objects = (0..STACKS).map(|index| stack(&format!("fleet-{index}"), servers, &items));
    stacks.create(objects.collect()).await?;
    let all = STACKS * servers;
    say(&format!("  starting {all} Ollama servers"));
    for (_, address) in bed.addresses("fleet", "", all).await? {
        models.ollama(&address.to_string()).await?;
    }
    let begin = Instant::now();
    stacks
        .until_ready(STACKS)
        .await
        .map_err(|error| error.context(operator.log()))?;
    let seconds = begin.elapsed().as_secs_f64();
    let ledger = Ledger::of(audit.since(mark)?);
    let columns = [
        "*seconds from the last server's start to Ready",
        "*status writes",
        "*writes",
        "*CPU ms",
        "MiB before",
        "*MiB",
        "most MiB",
    ];
    let mut table = Table::new("Models on servers", "servers x models", &columns);
    let memory = operator.memory()?;
    let busy = (operator.cpu()? - cpu) * 1000.0;
    let writes = [seconds, ledger.statuses(), ledger.writes()];
    let cells = writes.into_iter().chain([busy, before, memory.now, memory.most]);
    table.row(format!("{all} x {MODELS}"), cells);
    say(&format!(
        "  {all} x {MODELS}: {seconds:.1} s, {:.0} status writes",
        ledger.statuses()
    ));
    Ok(table)
}

async fn pull(bed: &Bed, operator: &Operator, models: &Models, mib: usize, goals: &mut Vec<Goal>) -> Result<Table> {
    say(&format!("  a pull of {mib} MiB"));
    models.add(MODELS, mib).await?;
    bed.namespace("pull", &[]).await?;
    let stacks = Stacks::watch(bed, "pull").await?;
    // Its server is there before the model is asked for, so that nothing but the pull is measured.
    stacks.create(vec![stack("pull", 1, &[models.item(0)])]).await?;
    let address = bed.addresses("pull", "", 1).await?.remove(0).1;
    models.ollama(&address.to_string()).await?;
    stacks
        .until_ready(1)
        .await
        .map_err(|error| error.context(operator.log()))?;
    let audit = bed.cluster.audit();
    let (mark, cpu, begin) = (audit.mark()?, operator.cpu()?, Instant::now());
    let patch = json!({"spec": {"ollama": {"models": [models.item(0), models.item(MODELS)]}}}).to_string();
    let patch = [
        "--namespace",
        "pull",
        "patch",
        "lmdeployment",
        "pull",
        "--type=merge",
        "--patch",
        &patch,
    ];
    bed.cluster.kubectl(&patch).await?;
    stacks
        .until_observed("pull")
        .await
        .map_err(|error| error.context(operator.log()))?;
    let seconds = begin.elapsed().as_secs_f64();
    let share = (operator.cpu()? - cpu) / seconds * 100.0;
    let ledger = Ledger::of(audit.since(mark)?);
    let columns = ["seconds", "MiB/s", "*status writes", "*operator's CPU %"];
    let mut table = Table::new("A pull at full speed", "MiB", &columns);
    table.row(
        mib.to_string(),
        [seconds, count(mib) / seconds, ledger.statuses(), share],
    );
    goals.push(Goal::new(
        "CPU of the operator while a model is pulled at full speed",
        "%",
        share,
        1.0,
        None,
    ));
    Ok(table)
}
