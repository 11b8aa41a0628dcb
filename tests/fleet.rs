//! The fleet at a real Ollama process and a registry stand-in, on loopback: no cluster, no root. What the controller does
//! at each pass is done here in a loop.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that panics says why

use cluster::gguf::Model;
use cluster::registry::{Registry, Running};
use cluster::test::until;
use cluster::tools::{self, Tool};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use llm_operator::base::endpoint::ServerUrl;
use llm_operator::base::model::ModelName;
use llm_operator::base::seen::{ModelState, Replica};
use llm_operator::base::settings::Models;
use llm_operator::component::common::PullPolicy;
use llm_operator::kind::ollamamodel::plan::{Parting, Wish, plan, removal};
use llm_operator::kind::ollamamodel::target::Place;
use llm_operator::ollama::client;
use llm_operator::ollama::fleet::{Address, Fleet};
use llm_operator::ollama::metrics::Metrics;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::mpsc;

const LIMIT: Duration = Duration::from_secs(120);
/// Bytes of padding of the model that is interrupted.
const SIZE: u64 = 16 << 20;

/// A server that can be killed and started again at the same address with the same files.
struct Ollama {
    home: TempDir,
    port: u16,
    process: Child,
    starts: i64,
    /// Where it is reached, when not directly.
    front: Option<u16>,
}

impl Drop for Ollama {
    fn drop(&mut self) {
        // One that has ended by itself cannot be killed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Ollama {
    fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let process = serve(&home, port);
        Self {
            home,
            port,
            process,
            starts: 0,
            front: None,
        }
    }

    fn kill_and_start(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.process = serve(&self.home, self.port);
        self.starts += 1;
    }

    fn address(&self) -> Address {
        let url = format!("http://127.0.0.1:{}", self.front.unwrap_or(self.port));
        Address {
            id: url.clone(),
            pod: "server".into(),
            volume: url.clone(),
            url: Some(url),
            start: self.starts,
            started: true,
        }
    }
}

fn serve(home: &TempDir, port: u16) -> Child {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL"])
        .arg(tools::path(Tool::Ollama).unwrap());
    command.arg("serve").env_clear().env("HOME", home.path());
    command.env("OLLAMA_HOST", format!("127.0.0.1:{port}"));
    command.env("OLLAMA_NO_CLOUD", "1").env("OLLAMA_NOPRUNE", "1");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// A fleet of one server, and what is wished for on it.
struct Stage {
    ollama: Ollama,
    registry: Running,
    fleet: Arc<Fleet>,
    place: Place,
    wish: Wish,
}

impl Stage {
    async fn new() -> Self {
        Self::asking_every(1).await
    }

    async fn asking_every(verify_seconds: u64) -> Self {
        let registry = Registry::default();
        registry
            .add(
                "library/large:latest",
                Model::llama().pad_mib(usize::try_from(SIZE >> 20).unwrap()),
            )
            .unwrap();
        let registry = registry.start_local().await.unwrap();
        let ollama = Ollama::start();
        let bounds = Models {
            verify_seconds,
            ..Models::default()
        };
        let (news, mut heard) = mpsc::unbounded_channel();
        // The loop below looks often enough without being told.
        tokio::spawn(async move { while heard.recv().await.is_some() {} });
        let name = format!("{}/library/large", registry.host());
        Self {
            fleet: Fleet::new(client::http().unwrap(), bounds, news, Metrics::default()),
            place: Place::Url(ServerUrl::parse(&format!("http://127.0.0.1:{}", ollama.port)).unwrap()),
            wish: Wish {
                name: ModelName::parse(&name).unwrap(),
                policy: PullPolicy::IfNotPresent,
                digest: None,
                derived: None,
                refresh: None,
                keep_alive: None,
                token: "one/1".into(),
            },
            registry,
            ollama,
        }
    }

    /// One pass of the controller.
    fn pass(&self) -> Replica {
        let servers = self.fleet.servers(&self.place, &[self.ollama.address()], &self.wish);
        let mut plan = plan(&self.wish, &servers, &BTreeSet::new());
        for action in &plan.actions {
            self.fleet.act(action, &self.wish, true);
        }
        plan.replicas.remove(0)
    }

    /// One pass of the controller for an object that is going; what is left to do.
    fn end(&self) -> Vec<Parting> {
        let servers = self.fleet.servers(&self.place, &[self.ollama.address()], &self.wish);
        let left = removal(&servers, false);
        left.partings.iter().for_each(|p| self.fleet.part(p, &self.wish.name));
        let waits = left.silent.iter().map(|pod| Parting::Delete(pod.clone()));
        left.partings.iter().cloned().chain(waits).collect()
    }

    async fn until(&self, what: &str, is: impl Fn(&Replica) -> bool) -> Replica {
        let check = async || Ok(Some(self.pass()).filter(&is));
        until(what, LIMIT, check).await.unwrap()
    }

    async fn half_way(&self) {
        self.registry.wire().limit(2 << 20);
        let half = |r: &Replica| r.progress.is_some_and(|(done, all)| all > 0 && done > all / 4);
        self.until("a part has arrived", half).await;
    }

    fn sent(&self) -> u64 {
        let requests = self.registry.wire().requests();
        let parts = requests.iter().filter(|r| r.headers.contains_key("range"));
        parts.map(|r| r.sent).sum()
    }
}

#[tokio::test]
async fn a_pull_goes_on_after_its_server_was_killed() {
    let mut stage = Stage::new().await;
    stage.half_way().await;
    stage.ollama.kill_and_start();
    stage.registry.wire().limit(0);
    let ready = stage
        .until("the model is there", |r| r.state == ModelState::Ready)
        .await;
    let sent = stage.sent();
    println!("Ollama process killed with SIGKILL: model of {SIZE} bytes, {sent} bytes fetched");
    assert!(ready.digest.is_some() && ready.pulled);
    assert!(sent <= 2 * (SIZE + (1 << 20)), "at most the open part again: {sent}");
}

#[tokio::test]
async fn a_model_is_brought_again_and_goes_with_its_object() {
    let stage = Stage::new().await;
    stage
        .until("the model is there", |r| r.state == ModelState::Ready)
        .await;
    assert_eq!(
        stage.registry.wire().count("GET", "/manifests/"),
        1,
        "one pull is enough"
    );
    let gone = async || Ok(stage.end().is_empty().then_some(()));
    until("the model is gone", LIMIT, gone).await.unwrap();
    // The object is made again in the middle of nothing.
    stage.half_way().await;
    until("its pull has ended", LIMIT, gone).await.unwrap();
    let sent = stage.sent();
    stage.registry.wire().limit(0);
    let quiet = async || Ok(stage.end().is_empty().then_some(()));
    until("nothing is left", LIMIT, quiet).await.unwrap();
    assert!(stage.sent() < sent + SIZE / 2, "the pull went on");
}

/// A way to a server on which its list of models is empty for the first questions after a pull, as right after another
/// process has written to the same files.
async fn forgetful(upstream: u16, questions: usize) -> u16 {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let left = Arc::new(AtomicUsize::new(questions));
    let pulled = Arc::new(AtomicBool::new(false));
    let http = client::http().unwrap();
    let service = axum::Router::new().fallback(move |request: axum::extract::Request| {
        let (left, pulled, http) = (Arc::clone(&left), Arc::clone(&pulled), http.clone());
        async move {
            let path = request.uri().path().to_string();
            let forgets = |n: usize| n.checked_sub(1);
            if path == "/api/tags" && pulled.load(Relaxed) && left.fetch_update(Relaxed, Relaxed, forgets).is_ok() {
                return axum::response::Response::new(r#"{"models": []}"#.into());
            }
            pulled.fetch_or(path == "/api/pull", Relaxed);
            let method = request.method().clone();
            let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
            let url = format!("http://127.0.0.1:{upstream}{path}");
            let answer = http.request(method, url).body(body).send().await.unwrap();
            let status = answer.status();
            let body = axum::body::Body::from_stream(answer.bytes_stream());
            axum::response::Response::builder().status(status).body(body).unwrap()
        }
    });
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            let connection = http1::Builder::new().serve_connection(TokioIo::new(socket), service);
            tokio::spawn(connection);
        }
    });
    port
}

#[tokio::test]
async fn a_model_that_is_not_listed_after_its_pull_is_not_waited_for_in_silence() {
    // Nobody asks again by the clock within this test.
    let mut stage = Stage::asking_every(3600).await;
    stage.ollama.front = Some(forgetful(stage.ollama.port, 1).await);
    let told = stage.until("somebody is told", |r| r.failure.is_some()).await;
    let message = told.failure.unwrap().message;
    assert!(message.contains("does not list the model"), "{message}");
    stage
        .until("the model is there", |r| r.state == ModelState::Ready)
        .await;
}
