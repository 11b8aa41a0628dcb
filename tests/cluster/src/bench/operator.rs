//! The operator's program as a process inside a cluster's network, at the address of a pod that KWOK plays.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::bed::{Bed, LIMIT, NAMESPACE};
use super::process::{self, Memory};
use crate::cluster::Cluster;

/// The name that the kernel shows of the program.
const NAME: &str = "llm-operator";
/// How the image is made, whose environment the program has in a cluster.
const IMAGE: &str = include_str!("../../../../Dockerfile");
/// Between two questions whether it is ready.
const PACE: Duration = Duration::from_millis(5);

/// How to start it.
pub struct Launch<'a> {
    /// Where.
    pub bed: &'a Bed,
    /// The pod that it is, and its address.
    pub pod: &'a (String, IpAddr),
    /// The only core it may use.
    pub core: Option<usize>,
    /// Where it finds the API server, inside the cluster.
    pub server: Option<SocketAddr>,
    /// More arguments.
    pub arguments: &'a [&'a str],
}

/// A running operator. It is killed when this is dropped.
pub struct Operator {
    /// Its number outside of the cluster.
    pub pid: u32,
    /// How long it took from the start of the process to the first answer 200 of its /readyz.
    pub ready_after: Duration,
    child: Child,
    cluster: Cluster,
    address: IpAddr,
    files: TempDir,
}

impl Launch<'_> {
    /// Starts it, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not become ready; its log is in the error.
    pub async fn start(&self) -> Result<Operator> {
        let files = tempfile::tempdir()?;
        let mut command = self.command(&files).await?;
        let begin = Instant::now();
        let child = command.spawn().context("cannot start the operator")?;
        let mut operator = Operator {
            pid: 0,
            ready_after: Duration::ZERO,
            child,
            cluster: self.bed.cluster.clone(),
            address: self.pod.1,
            files,
        };
        operator.until_ready(begin).await?;
        Ok(operator)
    }

    async fn command(&self, files: &TempDir) -> Result<Command> {
        let (token, authority) = self.bed.credentials().await?;
        let server = match self.server {
            Some(address) => address.to_string(),
            None => format!("127.0.0.1:{}", self.bed.port()?),
        };
        let cluster = json!({"server": format!("https://{server}"), "certificate-authority": authority});
        let context = json!({"cluster": "bench", "user": "operator", "namespace": NAMESPACE});
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "bench",
            "clusters": [{"name": "bench", "cluster": cluster}],
            "users": [{"name": "operator", "user": {"token": token}}],
            "contexts": [{"name": "bench", "context": context}],
        });
        let file = files.path().join("kubeconfig");
        fs::write(&file, kubeconfig.to_string())?;
        let mut command = self.bed.cluster.entrance()?;
        // With the process that entered goes the operator, however the benchmark ends.
        command.args(["setpriv", "--pdeathsig", "KILL"]);
        if let Some(core) = self.core {
            command.args(["taskset", "--cpu-list", &core.to_string()]);
        }
        command.arg("env").arg(format!("KUBECONFIG={}", file.display()));
        command.args(IMAGE.lines().filter_map(|line| line.strip_prefix("ENV ")));
        command.arg(&self.bed.program);
        command.args(["run", "--namespace", NAMESPACE, "--pod-name", &self.pod.0]);
        for (port, number) in [("webhook", 10250), ("health", 8081), ("metrics", 8080)] {
            let address = SocketAddr::new(self.pod.1, number);
            command.arg(format!("--{port}-address={address}"));
        }
        command.args(self.arguments).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(fs::File::create(files.path().join("log"))?);
        Ok(command)
    }
}

impl Operator {
    /// What /metrics says.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn metrics(&self) -> Result<String> {
        let (status, text) = self.ask(8080, "/metrics").await?;
        ensure!(status == 200, "/metrics: {status}: {text}");
        Ok(text)
    }

    /// Processor time it has used, in seconds.
    ///
    /// # Errors
    /// When it has ended.
    pub fn cpu(&self) -> Result<f64> {
        Ok(process::cpu(self.pid).with_context(|| self.log())?.as_secs_f64())
    }

    /// Resident memory.
    ///
    /// # Errors
    /// When it has ended.
    pub fn memory(&self) -> Result<Memory> {
        process::memory(self.pid).with_context(|| self.log())
    }

    /// The end of what it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        let text = fs::read_to_string(self.files.path().join("log")).unwrap_or_else(|error| error.to_string());
        crate::text::last_lines(&text, 30)
    }

    /// Sends SIGTERM or SIGKILL, and returns without waiting for the end.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(self.pid.cast_signed()), signal)?)
    }

    /// Ends it and waits until it has ended.
    ///
    /// # Errors
    /// When it has ended before.
    pub async fn stop(mut self) -> Result<()> {
        self.signal(Signal::SIGTERM)?;
        self.child.wait().await?;
        Ok(())
    }

    /// Waits until it has ended after a signal.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub async fn ended(mut self) -> Result<()> {
        self.child.wait().await?;
        Ok(())
    }

    async fn until_ready(&mut self, begin: Instant) -> Result<()> {
        while begin.elapsed() < LIMIT {
            if let Some(status) = self.child.try_wait()? {
                anyhow::bail!("the operator ended with {status}:\n{}", self.log());
            }
            if matches!(self.ask(8081, "/readyz").await, Ok((200, _))) {
                self.ready_after = begin.elapsed();
                let id = self.child.id().context("the operator has ended")?;
                self.pid = process::child(id).context("the operator has ended")?;
                let program = process::program(self.pid).unwrap_or_default();
                ensure!(program == NAME, "process {} is {program}", self.pid);
                return Ok(());
            }
            tokio::time::sleep(PACE).await;
        }
        anyhow::bail!("the operator is not ready within {LIMIT:?}:\n{}", self.log())
    }

    async fn ask(&self, port: u16, path: &str) -> Result<(u16, String)> {
        let stream = self.cluster.dial(SocketAddr::new(self.address, port)).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request = hyper::Request::get(path)
            .header("host", "operator")
            .body(Empty::<Bytes>::new())?;
        let answer = sender.send_request(request).await?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }
}
