//! Real Ollama pulls from the registry: whole, resumed, refused, corrupted, slow; and a test can steer it from outside.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests, too")]

mod server;

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use cluster::{
    faults::{Answer, Effect, Record, Rule},
    gguf::Model,
    registry::{self, Options, Order, Package, Registry, Remote, Running},
};
use serde_json::{Value, json};
use server::{Ollama, until};
use tokio::time::timeout;

/// A registry with one model, that model's name for Ollama, and the digest of its manifest.
async fn serving(package: impl Into<Package>) -> (Running, String, String) {
    let registry = Registry::default();
    let digest = registry.add("library/tiny", package).unwrap();
    let running = registry.start_local().await.unwrap();
    let name = format!("{}/library/tiny:latest", running.host());
    (running, name, digest)
}

fn success() -> Value {
    json!({"status": "success"})
}

/// Requests for parts of blobs, with the first byte that each asks for.
fn parts(requests: &[Record]) -> Vec<u64> {
    let range = |record: &Record| {
        record
            .headers
            .get("range")?
            .strip_prefix("bytes=")?
            .split('-')
            .next()?
            .parse()
            .ok()
    };
    requests.iter().filter_map(range).collect()
}

#[tokio::test]
async fn a_pulled_model_has_the_registrys_digest_and_its_layers() {
    let ollama = Ollama::start().await;
    let package = Package::from(Model::llama())
        .with("template", "{{ .Prompt }}{{ .Suffix }}")
        .with("license", "free");
    let (running, name, digest) = serving(package).await;
    assert_eq!(ollama.pull(&name).await.end().await, success());
    let tag = ollama.tag(&name).await.expect("the model is listed");
    assert_eq!(format!("sha256:{}", tag["digest"].as_str().unwrap()), digest);
    assert_eq!(tag["details"]["parameter_size"], "124K");
    assert_eq!(tag["details"]["quantization_level"], "F32");
    let (_, shown) = ollama.post("/api/show", &json!({"model": name})).await;
    assert_eq!(shown["license"], "free");
    assert_eq!(shown["capabilities"], json!(["completion", "insert"]));
    assert_eq!(running.wire().count("GET", "/manifests/latest"), 1);
    assert_eq!(
        parts(&running.wire().requests()),
        [0, 0, 0, 0],
        "one part for each of the four blobs"
    );
}

#[tokio::test]
async fn a_tag_that_moved_brings_the_new_model() {
    let ollama = Ollama::start().await;
    let (running, name, old) = serving(Model::llama()).await;
    assert_eq!(ollama.pull(&name).await.end().await, success());
    let new = running.registry().add("library/tiny", Model::llama().seed(2)).unwrap();
    assert_ne!(old, new);
    assert_eq!(ollama.pull(&name).await.end().await, success());
    let tag = ollama.tag(&name).await.expect("the model is listed");
    assert_eq!(format!("sha256:{}", tag["digest"].as_str().unwrap()), new);
}

#[tokio::test]
async fn a_truncated_part_goes_on_where_it_ended() {
    let ollama = Ollama::start().await;
    let (running, name, _) = serving(Model::llama()).await;
    // The first GET of a blob is answered in full and thrown away; the second one is the part.
    let [first, truncated] = [Effect::Delay { millis: 0 }, Effect::Truncate { after: 100_000 }];
    running.wire().inject(Rule::on("GET", "/blobs/", first).times(1));
    running.wire().inject(Rule::on("GET", "/blobs/", truncated).times(1));
    assert_eq!(ollama.pull(&name).await.end().await, success());
    let requests = running.wire().requests();
    assert_eq!(parts(&requests)[..2], [0, 100_000]);
    let cut = requests
        .iter()
        .find(|record| record.fault.as_deref() == Some("truncate"))
        .expect("a truncated answer");
    assert_eq!((cut.status, cut.sent), (Some(206), 100_000));
}

#[tokio::test]
async fn a_pull_given_up_is_resumed_by_the_next_one() {
    let ollama = Ollama::start().await;
    let (running, name, _) = serving(Model::llama().pad_mib(8)).await;
    running.wire().limit(2 << 20);
    let mut pull = ollama.pull(&name).await;
    while let Some(line) = pull.line().await.unwrap() {
        if line["completed"].as_u64().is_some_and(|bytes| bytes > 2 << 20) {
            break;
        }
    }
    drop(pull);
    // Ollama stops within the second; a pull before that would join the old download.
    let mut last = (0, Instant::now());
    until("the download stands still", || {
        let sent = running.wire().requests().iter().map(|record| record.sent).sum::<u64>();
        if sent != last.0 {
            last = (sent, Instant::now());
        }
        (last.1.elapsed() > Duration::from_millis(500)).then_some(())
    })
    .await;
    assert_eq!(ollama.tag(&name).await, None, "half a model is not listed");
    running.wire().limit(0);
    running.wire().forget();
    assert_eq!(ollama.pull(&name).await.end().await, success());
    let first = parts(&running.wire().requests())[0];
    assert!(first >= 2 << 20, "the second pull began at byte {first}");
    assert!(ollama.tag(&name).await.is_some());
}

#[tokio::test]
async fn the_rate_holds_over_the_whole_pull() {
    let ollama = Ollama::start().await;
    let (running, name, _) = serving(Model::llama().pad_mib(4)).await;
    running.wire().limit(2 << 20);
    let begun = Instant::now();
    assert_eq!(ollama.pull(&name).await.end().await, success());
    assert!(
        begun.elapsed() > Duration::from_secs(2),
        "4 MiB at 2 MiB/s took {:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn refusals_reach_the_caller_in_ollamas_words() {
    let ollama = Ollama::start().await;
    let (running, name, _) = serving(Model::llama()).await;
    let error = |line: Value| line["error"].as_str().unwrap_or_default().to_owned();

    let absent = name.replace("tiny", "absent");
    assert_eq!(
        error(ollama.pull(&absent).await.end().await),
        "pull model manifest: file does not exist"
    );

    running
        .wire()
        .inject(Rule::on("GET", "/manifests/", Answer::new(429, "slow down")).times(1));
    assert_eq!(
        error(ollama.pull(&name).await.end().await),
        "pull model manifest: 429: slow down"
    );

    // Not just once: a client tries again by itself when a connection that it used before turns out closed.
    running.wire().inject(Rule::on("GET", "/manifests/", Effect::Drop));
    let dropped = error(ollama.pull(&name).await.end().await);
    assert!(dropped.contains("EOF"), "{dropped}");
    running.wire().replace(Vec::new());

    let [whole, wrong] = [Effect::Delay { millis: 0 }, Effect::Corrupt { at: 5000 }];
    running.wire().inject(Rule::on("GET", "/blobs/", whole).times(1));
    running.wire().inject(Rule::on("GET", "/blobs/", wrong).times(1));
    let corrupt = error(ollama.pull(&name).await.end().await);
    assert!(corrupt.contains("digest mismatch"), "{corrupt}");
    assert_eq!(ollama.pull(&name).await.end().await, success(), "the next pull repairs");

    running.registry().remove("library/tiny").unwrap();
    assert_eq!(
        error(ollama.pull(&name).await.end().await),
        "pull model manifest: file does not exist"
    );
}

#[tokio::test]
async fn a_hanging_registry_says_nothing_until_it_is_cut() {
    let ollama = Ollama::start().await;
    let (running, name, _) = serving(Model::llama()).await;
    running
        .wire()
        .inject(Rule::on("GET", "/manifests/", Effect::Hang).times(1));
    let mut pull = ollama.pull(&name).await;
    assert_eq!(pull.line().await.unwrap(), Some(json!({"status": "pulling manifest"})));
    assert!(
        timeout(Duration::from_millis(300), pull.line()).await.is_err(),
        "a line came from a hanging registry"
    );
    running.wire().cut();
    let end = timeout(Duration::from_secs(20), pull.end())
        .await
        .expect("the cut ends the pull");
    assert!(
        end["error"].as_str().is_some_and(|error| error.contains("EOF")),
        "{end}"
    );
}

#[tokio::test]
async fn it_is_steered_from_outside() {
    let free = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let listen = free.local_addr().unwrap();
    drop(free);
    let options = Options {
        listen,
        models: vec![("library/a:1".to_owned(), Model::llama())],
        rate: 0,
    };
    let server = tokio::spawn(registry::serve(options));
    until("the registry listens", || std::net::TcpStream::connect(listen).ok()).await;
    let remote = Remote::new(listen).unwrap();

    let package = Package::from(Model::bert()).with("license", "free");
    let rule = Rule::on("GET", "/manifests/", Answer::new(500, "boom"));
    let add = BTreeMap::from([("library/b:2".to_owned(), package)]);
    let digests = remote
        .order(&Order {
            add,
            faults: Some(vec![rule]),
            ..Order::default()
        })
        .await
        .unwrap();
    assert!(digests["library/b:2"].starts_with("sha256:"), "{digests:?}");

    let refused = remote
        .order(&Order {
            remove: vec!["library/c:3".to_owned()],
            ..Order::default()
        })
        .await;
    let refused = format!("{:#}", refused.unwrap_err());
    assert!(refused.contains("library/c:3"), "{refused}");

    let ollama = Ollama::start().await;
    let name = format!("{listen}/library/b:2");
    assert_eq!(
        ollama.pull(&name).await.end().await["error"],
        "pull model manifest: 500: boom"
    );
    let requests = remote.requests().await.unwrap();
    assert_eq!(requests.len(), 1, "control is not in the log: {requests:?}");
    assert_eq!(
        (requests[0].status, requests[0].fault.as_deref()),
        (Some(500), Some("status"))
    );
    remote.forget().await.unwrap();
    remote
        .order(&Order {
            faults: Some(Vec::new()),
            ..Order::default()
        })
        .await
        .unwrap();
    assert_eq!(ollama.pull(&name).await.end().await, success());
    assert!(remote.requests().await.unwrap().len() > 1);
    server.abort();
}
