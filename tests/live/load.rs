//! People who apply objects all the time, through the API server: whether admission ever fails them, and whether what was
//! acknowledged comes true.

use super::LIMIT;
use super::objects::Objects;
use anyhow::{Context, Result, ensure};
use cluster::test::until;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Stacks that are written to.
const STACKS: usize = 3;
/// Between two questions of one of them.
const PACE: Duration = Duration::from_millis(100);
/// An API server that says nothing for this long is as good as away.
const PATIENCE: Duration = Duration::from_secs(15);
/// What an API server says that blames a webhook.
const BLAME: &str = "failed calling webhook";

/// What came of one try.
enum Outcome {
    /// Admission did what it is for.
    Good,
    /// The API server blamed a webhook.
    Failed(String),
    /// Admitted as it came.
    Unfilled,
    /// It could not be asked: that is nobody's admission.
    Unasked,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Tally {
    /// Answered tries.
    pub answered: usize,
    /// Tries that no API server answered.
    pub unasked: usize,
    /// Failed admissions, in the API server's words: it blamed a webhook.
    pub failed: Vec<String>,
    /// Objects that were admitted without their defaults.
    pub unfilled: usize,
    /// From the first failed admission to the last.
    pub failing: Duration,
    /// From the end of the load until every stack was as it was last written.
    pub settled: Duration,
    /// Stacks that never were.
    pub lost: usize,
}

#[derive(Default)]
struct Seen {
    tally: Tally,
    first: Option<Instant>,
    /// The last value that was acknowledged, of each stack.
    written: [u64; STACKS],
}

/// The load.
pub struct Load {
    seen: Arc<Mutex<Seen>>,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    objects: Objects,
}

fn stack(index: usize) -> String {
    format!("load-{index}")
}

/// A stack without pods, with something that its workload repeats.
fn manifest(name: &str, round: u64, replicas: i64) -> Value {
    let variable = json!({"name": "ROUND", "value": round.to_string()});
    json!({"apiVersion": "llm.geeper.io/v1alpha1", "kind": "LMDeployment", "metadata": {"name": name},
        "spec": {"suspend": true, "ollama": {"models": [], "replicas": replicas, "env": [variable]}}})
}

impl Load {
    /// Begins, with stacks in that namespace.
    ///
    /// # Errors
    /// When the stacks cannot be made.
    pub async fn start(client: Client, namespace: &str) -> Result<Self> {
        let objects = Objects::new(client, namespace);
        let api = objects.api("LMDeployment")?;
        for index in 0..STACKS {
            let name = stack(index);
            let patch = Patch::Apply(manifest(&name, epoch(), 1));
            api.patch(&name, &PatchParams::apply("load"), &patch).await?;
        }
        let seen = Arc::<Mutex<Seen>>::default();
        let stop = CancellationToken::new();
        let mut tasks = vec![];
        for index in 0..STACKS {
            tasks.push(tokio::spawn(writes(
                api.clone(),
                index,
                Arc::clone(&seen),
                stop.clone(),
            )));
        }
        for good in [true, false] {
            tasks.push(tokio::spawn(tries(api.clone(), good, Arc::clone(&seen), stop.clone())));
        }
        Ok(Self {
            seen,
            stop,
            tasks,
            objects,
        })
    }

    /// How many tries have been answered so far.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.seen.lock().map_or(0, |seen| seen.tally.answered)
    }

    /// Ends the load, and waits until what was acknowledged has come true.
    ///
    /// # Errors
    /// When a task of it broke.
    pub async fn stop(self) -> Result<Tally> {
        self.stop.cancel();
        for task in self.tasks {
            task.await?;
        }
        let start = Instant::now();
        let mut seen = std::mem::take(&mut *self.seen.lock().map_err(|e| anyhow::anyhow!("{e}"))?);
        for (index, round) in seen.written.into_iter().enumerate() {
            let name = format!("{}-ollama", stack(index));
            let come_true = until("what was acknowledged has come true", LIMIT, async || {
                let found = self.objects.find("Deployment", &name).await?.context("no workload")?;
                let env = found["spec"]["template"]["spec"]["containers"][0]["env"].clone();
                let variables = env.as_array().context("no env")?;
                let value = &variables.iter().find(|v| v["name"] == "ROUND").context("no ROUND")?["value"];
                let value: u64 = value.as_str().context("no value")?.parse()?;
                ensure!(value >= round, "{name} is at {value}, {round} was acknowledged");
                Ok(Some(()))
            });
            if let Err(error) = come_true.await {
                eprintln!("lost: {error:#}");
                seen.tally.lost += 1;
            }
        }
        seen.tally.settled = start.elapsed();
        Ok(seen.tally)
    }
}

fn epoch() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default()
}

/// Writes to one stack, one value after the other.
async fn writes(api: Api<DynamicObject>, index: usize, seen: Arc<Mutex<Seen>>, stop: CancellationToken) {
    let name = stack(index);
    // More than any load before has written.
    for round in epoch().. {
        let patch = Patch::Apply(manifest(&name, round, 1));
        let written = tokio::time::timeout(PATIENCE, api.patch(&name, &PatchParams::apply("load"), &patch)).await;
        let acknowledged = matches!(written, Ok(Ok(_)));
        note(&seen, judged(written.ok().map(|answer| answer.map(|o| json!(o))), None));
        if let (true, Ok(mut seen)) = (acknowledged, seen.lock()) {
            seen.written[index] = round;
        }
        if pause(&stop).await {
            return;
        }
    }
}

/// Sends objects as dry runs: good ones, which are filled in, or bad ones, which are refused with their own reason.
async fn tries(api: Api<DynamicObject>, good: bool, seen: Arc<Mutex<Seen>>, stop: CancellationToken) {
    let params = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let replicas = if good { 1 } else { 11 };
    let Ok(object) = serde_json::from_value(manifest("try", 0, replicas)) else {
        return;
    };
    loop {
        let tried = tokio::time::timeout(PATIENCE, api.create(&params, &object)).await;
        let refusal = (!good).then_some("must be 1 to 10");
        note(
            &seen,
            judged(tried.ok().map(|answer| answer.map(|o| json!(o))), refusal),
        );
        if pause(&stop).await {
            return;
        }
    }
}

/// What an answer, or none, says of admission. `refusal` is part of what should have been said against a bad object.
fn judged(answer: Option<kube::Result<Value>>, refusal: Option<&str>) -> Outcome {
    match (answer, refusal) {
        (Some(Ok(object)), None) if object["spec"]["ollama"]["drainSeconds"] == 30 => Outcome::Good,
        (Some(Ok(_)), _) => Outcome::Unfilled,
        (Some(Err(kube::Error::Api(status))), _) if status.message.contains(BLAME) => Outcome::Failed(status.message),
        (Some(Err(kube::Error::Api(status))), Some(refusal)) if status.message.contains(refusal) => Outcome::Good,
        _ => Outcome::Unasked,
    }
}

fn note(seen: &Mutex<Seen>, outcome: Outcome) {
    let Ok(mut seen) = seen.lock() else { return };
    match outcome {
        Outcome::Unasked => seen.tally.unasked += 1,
        Outcome::Good => seen.tally.answered += 1,
        Outcome::Unfilled => {
            seen.tally.answered += 1;
            seen.tally.unfilled += 1;
        }
        Outcome::Failed(why) => {
            let first = *seen.first.get_or_insert_with(Instant::now);
            seen.tally.answered += 1;
            seen.tally.failing = first.elapsed();
            seen.tally.failed.push(why);
        }
    }
}

/// True when it is over.
async fn pause(stop: &CancellationToken) -> bool {
    tokio::select! {
        () = stop.cancelled() => true,
        () = tokio::time::sleep(PACE) => false,
    }
}
