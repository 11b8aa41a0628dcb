//! The fault proxy passes requests on unharmed, and harms exactly those it is told to. The server behind it is the
//! model registry, once directly and once behind a second proxy, for TLS on both sides.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests, too")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use cluster::{
    faults::{Answer, Body, Effect, Leaf, Proxy, Rule, Upstream},
    gguf::Model,
    registry::{Registry, Running},
};
use http_body_util::{BodyExt, Empty};
use hyper::{Request, Response};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::time::timeout;

const MANIFEST: &str = "/v2/library/tiny/manifests/latest";

/// An authority and a leaf for 127.0.0.1.
fn leaf() -> Leaf {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let certificate = certificate.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
    Leaf {
        ca_pem,
        certificate_pem: certificate.pem(),
        key_pem: key.serialize_pem(),
    }
}

/// The registry, a proxy in front of it, and a client of the proxy.
struct Line {
    registry: Running,
    proxy: Proxy,
    client: Upstream,
}

impl Line {
    async fn start() -> Self {
        let registry = Registry::default();
        registry.add("library/tiny", Model::llama()).unwrap();
        let registry = registry.start_local().await.unwrap();
        let leaf = leaf();
        let upstream = Upstream::http(&format!("http://{}", registry.host())).unwrap();
        let proxy = Proxy::start(upstream, &leaf).await.unwrap();
        let client = Upstream::https(&proxy.url(), &leaf.ca_pem).unwrap();
        Self {
            registry,
            proxy,
            client,
        }
    }

    async fn get(&self, path: &str) -> anyhow::Result<Response<Body>> {
        let request = Request::get(path)
            .header("authorization", "Bearer mine")
            .body(Empty::<Bytes>::new())?;
        self.client.send(request).await
    }

    /// The path of the model's blob, half a megabyte.
    async fn blob(&self) -> String {
        let manifest = self
            .get(MANIFEST)
            .await
            .unwrap()
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes();
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        format!(
            "/v2/library/tiny/blobs/{}",
            manifest["layers"][0]["digest"].as_str().unwrap()
        )
    }
}

/// How many bytes arrive, and whether the body came to its end.
async fn received(response: Response<Body>) -> (usize, bool) {
    let (mut body, mut bytes) = (response.into_body(), 0);
    loop {
        match body.frame().await {
            None => return (bytes, true),
            Some(Err(_)) => return (bytes, false),
            Some(Ok(frame)) => bytes += frame.data_ref().map_or(0, Bytes::len),
        }
    }
}

#[tokio::test]
async fn requests_pass_with_the_callers_token_and_are_counted() {
    let line = Line::start().await;
    let response = line.get(&format!("{MANIFEST}?watch=true")).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.headers().contains_key("docker-content-digest"), "{response:?}");
    assert!(received(response).await.1);
    let behind = line.registry.wire().requests();
    assert_eq!(behind[0].headers["authorization"], "Bearer mine");
    assert_eq!(behind[0].headers["host"], line.registry.host());
    assert_eq!(behind[0].path, format!("{MANIFEST}?watch=true"));
    assert_eq!(line.proxy.wire().count("GET", "watch=true"), 1);
    assert_eq!(line.proxy.wire().requests()[0].status, Some(200));
}

#[tokio::test]
async fn two_proxies_in_a_row_speak_tls_to_each_other() {
    let line = Line::start().await;
    let (first, ca_pem) = (
        leaf(),
        serde_json::from_str::<serde_json::Value>(&line.proxy.kubeconfig("t", "default")),
    );
    let inner = ca_pem.unwrap()["clusters"][0]["cluster"]["certificate-authority-data"]
        .as_str()
        .unwrap()
        .to_owned();
    let inner = String::from_utf8(base64::Engine::decode(&base64::prelude::BASE64_STANDARD, inner).unwrap()).unwrap();
    let outer = Proxy::start(Upstream::https(&line.proxy.url(), &inner).unwrap(), &first)
        .await
        .unwrap();
    let client = Upstream::https(&outer.url(), &first.ca_pem).unwrap();
    let request = || Request::get(MANIFEST).body(Empty::<Bytes>::new()).unwrap();
    assert_eq!(client.send(request()).await.unwrap().status(), 200);

    let stranger = Upstream::https(&outer.url(), &inner).unwrap();
    assert!(
        stranger.send(request()).await.is_err(),
        "a client that does not trust the authority was served"
    );
}

#[tokio::test]
async fn the_next_matching_requests_get_the_status_and_then_no_more() {
    let line = Line::start().await;
    let conflict = Answer::api_status(409, "Conflict", "the object has been modified");
    line.proxy.wire().inject(Rule::on("PATCH", "", conflict));
    let busy = Answer::api_status(429, "TooManyRequests", "slow down").header("retry-after", "1");
    line.proxy.wire().inject(Rule::on("GET", "/manifests/", busy).times(2));
    for _ in 0..2 {
        let response = line.get(MANIFEST).await.unwrap();
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "1");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let status: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&status["kind"], &status["code"]), (&"Status".into(), &429.into()));
    }
    assert_eq!(line.get(MANIFEST).await.unwrap().status(), 200);
    assert_eq!(
        line.registry.wire().count("GET", ""),
        1,
        "refused requests go no further"
    );
}

#[tokio::test]
async fn answers_come_late_short_or_never() {
    let line = Line::start().await;
    let blob = line.blob().await;
    let wire = line.proxy.wire();

    wire.inject(Rule::any("/blobs/", Effect::Delay { millis: 300 }).times(1));
    let begun = Instant::now();
    let (whole, complete) = received(line.get(&blob).await.unwrap()).await;
    assert!(
        complete && begun.elapsed() >= Duration::from_millis(300),
        "{:?}",
        begun.elapsed()
    );

    wire.inject(Rule::any("/blobs/", Effect::Truncate { after: 12_345 }).times(1));
    assert_eq!(received(line.get(&blob).await.unwrap()).await, (12_345, false));

    wire.inject(Rule::any("/blobs/", Effect::Drop).times(1));
    assert!(line.get(&blob).await.is_err());

    wire.inject(Rule::any("/blobs/", Effect::Hang).times(1));
    assert!(
        timeout(Duration::from_millis(200), line.get(&blob)).await.is_err(),
        "a hanging request was answered"
    );

    assert_eq!(received(line.get(&blob).await.unwrap()).await, (whole, true));
}

#[tokio::test]
async fn a_stalled_stream_stays_open_until_it_is_cut() {
    let line = Line::start().await;
    let blob = line.blob().await;
    line.proxy
        .wire()
        .inject(Rule::any("/blobs/", Effect::Stall { after: 1000 }).times(1));
    let mut body = line.get(&blob).await.unwrap().into_body();
    let mut bytes = 0;
    while bytes < 1000 {
        bytes += body.frame().await.unwrap().unwrap().data_ref().map_or(0, Bytes::len);
    }
    assert!(
        timeout(Duration::from_millis(200), body.frame()).await.is_err(),
        "more than 1000 bytes came"
    );
    line.proxy.wire().cut();
    let end = timeout(Duration::from_secs(10), body.frame())
        .await
        .expect("the cut ends the stream");
    assert!(
        end.is_some_and(|frame| frame.is_err()),
        "a cut stream ended like a whole one"
    );
}

#[tokio::test]
async fn a_client_that_leaves_a_stream_frees_the_server_behind() {
    let line = Line::start().await;
    let blob = line.blob().await;
    line.registry.wire().limit(64 << 10);
    let mut body = line.get(&blob).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    let sent = || line.registry.wire().requests().iter().map(|record| record.sent).max();
    let mut last = (sent(), Instant::now());
    // At 64 KiB/s the blob takes 8 s; the stream behind stops long before.
    while last.1.elapsed() < Duration::from_secs(1) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if sent() != last.0 {
            last = (sent(), Instant::now());
        }
    }
    assert!(last.0 < Some(256 << 10), "{last:?} bytes went to nobody");
}

#[tokio::test]
async fn a_dead_server_is_named_in_the_answer() {
    let leaf = leaf();
    let proxy = Proxy::start(Upstream::http("http://127.0.0.1:1").unwrap(), &leaf)
        .await
        .unwrap();
    let client = Upstream::https(&proxy.url(), &leaf.ca_pem).unwrap();
    let response = client
        .send(Request::get("/").body(Empty::<Bytes>::new()).unwrap())
        .await
        .unwrap();
    assert_eq!(response.status(), 502);
    let text = response.into_body().collect().await.unwrap().to_bytes();
    assert!(
        String::from_utf8_lossy(&text).contains("connecting to 127.0.0.1:1"),
        "{text:?}"
    );
}
