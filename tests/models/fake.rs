//! A server that answers as Ollama does, or as no Ollama should.

use super::live::stage::Stage;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// How a stand-in answers where real Ollama would not: the body of `/api/tags`, and what follows a pull.
#[derive(Clone, Default)]
pub struct Ways {
    /// In place of the list of models.
    pub tags: Option<&'static str>,
    /// The stream of a pull, in place of one that ends well.
    pub pull: Option<&'static str>,
    /// Forgets what was pulled before it is asked again.
    pub forgetful: bool,
}

/// A server that answers as Ollama does, or as it is told, behind a Service with a pod of the same name. The pod is one
/// that nobody runs: its address is that of the test.
pub struct Fake {
    /// Where it listens.
    pub address: String,
    asked: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    pub async fn start(stage: &Stage, name: &str, ways: Ways) -> Result<Self> {
        let listener = stage.cluster().listen(0).await?;
        let address = listener.local_addr()?;
        let asked = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn(serve(listener, ways, Arc::clone(&asked)));
        let labels = json!({"fake": name});
        let container = json!({
            "name": "fake", "image": "localhost/fake:1", "ports": [{"name": "http", "containerPort": address.port()}],
            "securityContext": {
                "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": true, "runAsUser": 1,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
        });
        let objects = [
            json!({
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
                "spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
            }),
            json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels},
                "spec": {"schedulerName": "nobody", "containers": [container]},
            }),
        ];
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        stage.namespace.apply(&list.to_string()).await?;
        let started = json!({"startedAt": "2026-01-01T00:00:00Z"});
        let container = json!({
            "name": "fake", "image": "", "imageID": "", "ready": true, "started": true, "restartCount": 0,
            "state": {"running": started},
        });
        let status = json!({"status": {"phase": "Running", "podIP": address.ip(), "podIPs": [{"ip": address.ip()}], "containerStatuses": [container]}});
        let patch = ["patch", "pod", name, "--subresource=status", "--type=merge", "--patch"];
        stage
            .namespace
            .kubectl(&[&patch[..], &[&status.to_string()]].concat())
            .await?;
        Ok(Self {
            address: address.to_string(),
            asked,
            task,
        })
    }

    /// How many requests came.
    pub fn asked(&self) -> usize {
        self.asked.load(Relaxed)
    }
}

async fn serve(listener: TcpListener, ways: Ways, asked: Arc<AtomicUsize>) {
    let held = Arc::new(Mutex::new(BTreeSet::new()));
    while let Ok((stream, _)) = listener.accept().await {
        asked.fetch_add(1, Relaxed);
        // A connection that breaks is the client's affair.
        tokio::spawn(answer(stream, ways.clone(), Arc::clone(&held)));
    }
}

/// One request, one answer.
async fn answer(mut stream: TcpStream, ways: Ways, held: Arc<Mutex<BTreeSet<String>>>) -> Result<()> {
    let (path, body) = request(&mut stream).await?;
    // The operator always sends the whole name.
    let named = |body: &Value| body["model"].as_str().unwrap_or_default().to_string();
    let text = match path.as_str() {
        "/api/tags" => {
            let mut held = held.lock().expect("no panic holds it");
            let models: Vec<Value> = held
                .iter()
                .map(|n| json!({"name": n, "digest": "ab", "size": 1}))
                .collect();
            if ways.forgetful {
                held.clear();
            }
            ways.tags
                .map_or_else(|| json!({"models": models}).to_string(), str::to_string)
        }
        "/api/pull" => ways.pull.map_or_else(
            || {
                held.lock().expect("no panic holds it").insert(named(&body));
                "{\"status\":\"pulling manifest\"}\n{\"status\":\"success\"}\n".into()
            },
            str::to_string,
        ),
        "/api/delete" => {
            held.lock().expect("no panic holds it").remove(&named(&body));
            String::new()
        }
        other => format!("nobody asks for {other}"),
    };
    let start = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        text.len()
    );
    stream.write_all(format!("{start}{text}").as_bytes()).await?;
    Ok(stream.shutdown().await?)
}

async fn request(stream: &mut TcpStream) -> Result<(String, Value)> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line).await?;
    let path = line.split_whitespace().nth(1).context("no request")?.to_string();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).await?;
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).await?;
    Ok((path, serde_json::from_slice(&body).unwrap_or_default()))
}
