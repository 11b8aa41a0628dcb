//! Admission reviews to the webhooks themselves, over TLS.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::{BEGIN, Direct, Seen, say};
use crate::bench::figures::{Spread, count};

/// Requests of each connection before anything is counted.
const WARM: u64 = 5;
/// Requests that were due are sent until this many times the planned time is over.
const PATIENCE: u64 = 2;

/// What the connections share.
struct Load {
    plan: Direct,
    tls: TlsConnector,
    name: ServerName<'static>,
    /// One for each request that is due.
    due: Semaphore,
    next: AtomicU64,
    total: u64,
}

/// What one connection has seen.
#[derive(Default)]
struct Part {
    milliseconds: Vec<f64>,
    failed: u64,
    why: String,
}

type Sender = SendRequest<Full<Bytes>>;

pub(super) async fn run(plan: Direct) -> Result<Seen> {
    let load = Arc::new(Load::new(plan)?);
    let mut senders = vec![];
    for _ in 0..load.plan.connections {
        senders.push(load.warm().await.context("warming up")?);
    }
    say(BEGIN)?;
    let start = Instant::now();
    pace(&load, start);
    let mut workers = JoinSet::new();
    for sender in senders {
        workers.spawn(Arc::clone(&load).work(sender, start));
    }
    let parts = workers.join_all().await;
    Ok(seen(&load, parts, start.elapsed()))
}

fn seen(load: &Load, parts: Vec<Part>, time: Duration) -> Seen {
    let mut all = vec![];
    let (mut failed, mut why) = (0, String::new());
    for part in parts {
        all.extend(part.milliseconds);
        failed += part.failed;
        if why.is_empty() {
            why = part.why;
        }
    }
    let answered = all.len() as u64;
    if why.is_empty() && load.total > answered {
        why = "those that were due could not be sent in time".into();
    }
    Seen {
        spread: Spread::of(all).unwrap_or_default(),
        answered,
        seconds: time.as_secs_f64(),
        // What was due and could not be sent in time failed as well.
        failed: failed.max(load.total.saturating_sub(answered)),
        why,
    }
}

/// A thread of its own sleeps from one request to the next, since timers of the runtime are good for whole milliseconds.
fn pace(load: &Arc<Load>, start: Instant) {
    let load = Arc::clone(load);
    let Some(rate) = load.plan.rate else { return };
    std::thread::spawn(move || {
        for index in 0..load.total {
            std::thread::sleep(due(start, index, rate).saturating_duration_since(Instant::now()));
            load.due.add_permits(1);
        }
        // So that every connection learns that nothing is left.
        load.due.add_permits(load.plan.connections);
    });
}

/// When a request is due.
fn due(start: Instant, index: u64, rate: u64) -> Instant {
    start + Duration::from_secs_f64(count(index) / count(rate))
}

impl Load {
    fn new(plan: Direct) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(plan.ca_pem.as_bytes()) {
            roots.add(certificate?)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut tls = builder.with_root_certificates(roots).with_no_client_auth();
        tls.resumption = rustls::client::Resumption::disabled();
        let total = plan.rate.unwrap_or(0) * plan.seconds;
        Ok(Self {
            name: ServerName::try_from(plan.host.clone())?,
            tls: TlsConnector::from(Arc::new(tls)),
            due: Semaphore::new(0),
            next: AtomicU64::new(0),
            total,
            plan,
        })
    }

    async fn connect(&self) -> Result<Sender> {
        let stream = TcpStream::connect(self.plan.address).await?;
        stream.set_nodelay(true)?;
        let stream = self.tls.connect(self.name.clone(), stream).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn warm(&self) -> Result<Option<Sender>> {
        let mut sender = self.connect().await?;
        for index in 0..WARM {
            self.ask(&mut sender, index).await?;
        }
        Ok(self.plan.keep_alive.then_some(sender))
    }

    async fn ask(&self, sender: &mut Sender, index: u64) -> Result<()> {
        let turn = usize::try_from(index)? % self.plan.requests.len();
        let (path, body) = &self.plan.requests[turn];
        let request = Request::post(format!("{path}?timeout=10s"))
            .header("host", &self.plan.host)
            .header("content-type", "application/json");
        sender.ready().await?;
        let answer = sender.send_request(request.body(Full::from(body.clone()))?).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        let admitted = body.windows(14).any(|part| part == b"\"allowed\":true");
        ensure!(
            status == 200 && admitted,
            "{status}: {}",
            String::from_utf8_lossy(&body)
        );
        Ok(())
    }

    /// When the next request was due, once it is.
    async fn due(&self, start: Instant) -> Option<(u64, Instant)> {
        let times = if self.plan.rate.is_some() { PATIENCE } else { 1 };
        if start.elapsed() > Duration::from_secs(self.plan.seconds * times) {
            return None;
        }
        let Some(rate) = self.plan.rate else {
            return Some((self.next.fetch_add(1, Ordering::Relaxed), Instant::now()));
        };
        self.due.acquire().await.ok()?.forget();
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        (index < self.total).then(|| (index, due(start, index, rate)))
    }

    async fn work(self: Arc<Self>, mut sender: Option<Sender>, start: Instant) -> Part {
        let mut part = Part::default();
        while let Some((index, due)) = self.due(start).await {
            let done = async {
                let mut used = match sender.take() {
                    Some(sender) => sender,
                    None => self.connect().await?,
                };
                self.ask(&mut used, index).await?;
                anyhow::Ok(used)
            };
            match done.await {
                Ok(used) => {
                    part.milliseconds.push(due.elapsed().as_secs_f64() * 1000.0);
                    sender = self.plan.keep_alive.then_some(used);
                }
                Err(error) => {
                    part.failed += 1;
                    part.why = format!("{error:#}");
                }
            }
        }
        part
    }
}
