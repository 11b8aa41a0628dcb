//! The load on admission, as a process of its own inside the cluster: requests at fixed times, whether or not the ones before
//! are answered, or as many as possible.
//!
//! It reads what to do from its standard input and prints [`BEGIN`] when it begins to count, then a line of JSON.

mod direct;
mod through;

use std::io::{Write, stdin, stdout};
use std::net::SocketAddr;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdout, Command};

use crate::bench::figures::Spread;
use crate::cluster::Cluster;

/// Says that the measured time begins.
const BEGIN: &str = "begin";

/// What to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Plan {
    /// Ask the webhooks themselves.
    Direct(Direct),
    /// Create objects through the API server.
    Through(Through),
}

/// Requests to the webhooks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Direct {
    /// The server.
    pub address: SocketAddr,
    /// The name in its certificate.
    pub host: String,
    /// The authority of its certificate.
    pub ca_pem: String,
    /// The bodies by path; they take turns.
    pub requests: Vec<(String, String)>,
    /// At a time.
    pub connections: usize,
    /// Whether a connection is used again, or each request makes one, with a full handshake.
    pub keep_alive: bool,
    /// Requests a second; none for as many as possible.
    pub rate: Option<u64>,
    /// How long, in seconds.
    pub seconds: u64,
}

/// Objects of several namespaces in turn.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Through {
    /// The administrator's.
    pub kubeconfig: String,
    /// The namespaces, each with other webhooks.
    pub namespaces: Vec<String>,
    /// What is made.
    pub object: serde_json::Value,
    /// Clients, each with a connection.
    pub clients: usize,
    /// Objects of a client in a turn.
    pub turn: usize,
    /// Turns of each namespace.
    pub turns: usize,
}

/// What was seen.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Of the latencies.
    pub spread: Spread,
    /// Answered requests.
    pub answered: u64,
    /// The time that they took together, in seconds.
    pub seconds: f64,
    /// Requests that failed, or were not sent because the time was over.
    pub failed: u64,
    /// Why the first failed.
    pub why: String,
}

/// Does what standard input says. The hidden subcommand.
///
/// # Errors
/// When there is no plan, or nothing can be asked at all.
pub fn run() -> Result<()> {
    let plan: Plan = serde_json::from_reader(stdin()).context("no plan on standard input")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let seen = match plan {
        Plan::Direct(plan) => runtime.block_on(direct::run(plan)).map(|seen| vec![seen])?,
        Plan::Through(plan) => runtime.block_on(through::run(plan))?,
    };
    say(&serde_json::to_string(&seen)?)
}

fn say(line: &str) -> Result<()> {
    let mut out = stdout();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// A load that is prepared and has begun.
pub struct Running {
    child: tokio::process::Child,
    lines: tokio::io::Lines<BufReader<ChildStdout>>,
}

/// Starts a load inside the cluster, on one core where one is given, and returns when it begins to count.
///
/// # Errors
/// When it cannot be started.
pub async fn begin(cluster: &Cluster, core: Option<usize>, plan: &Plan) -> Result<Running> {
    let mut command: Command = cluster.entrance()?;
    if let Some(core) = core {
        command.args(["taskset", "--cpu-list", &core.to_string()]);
    }
    command.arg(std::env::current_exe()?).arg("__load");
    command
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped());
    let mut child = command.spawn().context("cannot start the load")?;
    let mut input = child.stdin.take().context("no way to the load")?;
    input.write_all(&serde_json::to_vec(plan)?).await?;
    drop(input);
    let output = child.stdout.take().context("no way from the load")?;
    let mut running = Running {
        child,
        lines: BufReader::new(output).lines(),
    };
    let line = running.line().await?;
    anyhow::ensure!(line == BEGIN, "the load says {line}");
    Ok(running)
}

impl Running {
    /// What it has seen when it has ended, by namespace where it has more than one.
    ///
    /// # Errors
    /// When it fails.
    pub async fn end(mut self) -> Result<Vec<Seen>> {
        let line = self.line().await?;
        let seen = serde_json::from_str(&line).with_context(|| format!("the load says {line}"))?;
        self.child.wait().await?;
        Ok(seen)
    }

    async fn line(&mut self) -> Result<String> {
        let line = self.lines.next_line().await?;
        line.context("the load has ended without a word; its error is above")
    }
}
