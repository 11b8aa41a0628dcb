//! Connections into the port, over TLS on the loopback.

use axum::Router;
use axum::routing::post;
use llm_operator::server::{Limits, Port};
use llm_operator::webhook::tls;
use prometheus_client::metrics::counter::Counter;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

/// Long enough for a slow machine; nothing waits for it when all is well.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
struct Fixed(Arc<CertifiedKey>);

impl ResolvesServerCert for Fixed {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

struct Served {
    address: SocketAddr,
    root: CertificateDer<'static>,
    failed_handshakes: Counter,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

async fn serve(limits: Limits) -> Served {
    let made = rcgen::generate_simple_self_signed(["webhook.test".to_string()]).unwrap();
    let provider = rustls::crypto::ring::default_provider();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let certified = CertifiedKey::from_der(vec![made.cert.der().clone()], key, &provider).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (failed_handshakes, stop) = (Counter::default(), CancellationToken::new());
    let port = Port {
        listener,
        tls: Some(tls::config(Arc::new(Fixed(Arc::new(certified)))).unwrap()),
        router: Router::new().route("/validate", post(|body: String| async move { body })),
        limits,
        failed_handshakes: failed_handshakes.clone(),
    };
    let task = tokio::spawn(port.serve(stop.clone()));
    Served {
        address,
        root: made.cert.der().clone(),
        failed_handshakes,
        stop,
        task,
    }
}

impl Served {
    async fn dial(&self, versions: &[&'static SupportedProtocolVersion]) -> io::Result<Client> {
        dial(self.address, self.root.clone(), versions).await
    }
}

async fn dial(
    address: SocketAddr,
    root: CertificateDer<'static>,
    versions: &[&'static SupportedProtocolVersion],
) -> io::Result<Client> {
    let mut roots = RootCertStore::empty();
    roots.add(root).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("webhook.test").unwrap();
    Ok(Client {
        stream: TlsConnector::from(Arc::new(config)).connect(name, stream).await?,
    })
}

struct Client {
    stream: TlsStream<TcpStream>,
}

struct Answer {
    status: u16,
    body: String,
    closes: bool,
}

impl Client {
    async fn post(&mut self, body: &str) -> io::Result<Answer> {
        self.start(body.len()).await?;
        self.stream.write_all(body.as_bytes()).await?;
        self.answer().await
    }

    async fn start(&mut self, length: usize) -> io::Result<()> {
        let head = format!("POST /validate HTTP/1.1\r\nhost: webhook.test\r\ncontent-length: {length}\r\n\r\n");
        self.stream.write_all(head.as_bytes()).await
    }

    async fn answer(&mut self) -> io::Result<Answer> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await?);
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let field = |name: &str| {
            head.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        let mut body = vec![0; field("content-length").unwrap().parse().unwrap()];
        self.stream.read_exact(&mut body).await?;
        Ok(Answer {
            status: head[9..12].parse().unwrap(),
            body: String::from_utf8(body).unwrap(),
            closes: field("connection") == Some("close"),
        })
    }

    /// Waits until the other side has closed the connection.
    async fn closed(&mut self) {
        // A close without TLS's own goodbye is an error to rustls; either way nothing more comes.
        let end = timeout(PATIENCE, self.stream.read_u8())
            .await
            .expect("the connection stays open");
        assert!(end.is_err());
    }
}

fn quick() -> Limits {
    Limits {
        handshake: Duration::from_millis(300),
        idle: Duration::from_millis(300),
        drain: Duration::from_millis(300),
        ..Limits::default()
    }
}

#[tokio::test]
async fn both_versions_of_tls_are_spoken_and_connections_are_kept() {
    let served = serve(Limits::default()).await;
    for version in [&TLS12, &TLS13] {
        let mut client = served.dial(&[version]).await.unwrap();
        assert_eq!(client.stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        for body in ["one", "two", "three"] {
            let answer = client.post(body).await.unwrap();
            assert_eq!((answer.status, answer.body.as_str(), answer.closes), (200, body, false));
        }
    }
    assert_eq!(served.failed_handshakes.get(), 0);
}

#[tokio::test]
async fn a_client_that_speaks_something_else_is_turned_away_and_counted() {
    let served = serve(Limits::default()).await;
    let mut stranger = TcpStream::connect(served.address).await.unwrap();
    stranger.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    // What comes is at most an alert, and then the end.
    let _ = timeout(PATIENCE, stranger.read_to_end(&mut rest))
        .await
        .expect("the connection stays open");
    assert!(rest.len() < 16, "{rest:?}");
    assert_eq!(served.failed_handshakes.get(), 1);
    let mut client = served.dial(&[&TLS13]).await.unwrap();
    assert_eq!(client.post("still here").await.unwrap().body, "still here");
}

#[tokio::test]
async fn silent_clients_are_closed_before_and_after_the_handshake() {
    let served = serve(quick()).await;
    let start = Instant::now();
    let mut silent = TcpStream::connect(served.address).await.unwrap();
    assert_eq!(timeout(PATIENCE, silent.read(&mut [0; 1])).await.unwrap().unwrap(), 0);
    assert!(start.elapsed() >= quick().handshake);
    assert_eq!(served.failed_handshakes.get(), 1);

    served.dial(&[&TLS13]).await.unwrap().closed().await;
    let mut idle = served.dial(&[&TLS13]).await.unwrap();
    idle.post("then silent").await.unwrap();
    idle.closed().await;
    let mut half = served.dial(&[&TLS13]).await.unwrap();
    half.stream.write_all(b"POST /validate HTTP/1.1\r\nho").await.unwrap();
    half.closed().await;
}

#[tokio::test]
async fn more_connections_than_allowed_wait_for_room() {
    let served = serve(Limits {
        connections: 2,
        ..Limits::default()
    })
    .await;
    let first = served.dial(&[&TLS13]).await.unwrap();
    let mut second = served.dial(&[&TLS13]).await.unwrap();
    let (address, root) = (served.address, served.root.clone());
    let third = tokio::spawn(async move { dial(address, root, &[&TLS13]).await.unwrap().post("third").await });
    assert_eq!(second.post("second").await.unwrap().status, 200);
    assert!(!third.is_finished());
    drop(first);
    let answer = timeout(PATIENCE, third).await.unwrap().unwrap().unwrap();
    assert_eq!(answer.body, "third");
}

/// Asks on one connection until told to go elsewhere. How many were answered.
async fn worker(address: SocketAddr, root: CertificateDer<'static>) -> io::Result<usize> {
    let mut client = dial(address, root, &[&TLS13]).await?;
    for count in 1.. {
        let answer = client.post("review").await?;
        assert_eq!((answer.status, answer.body.as_str()), (200, "review"));
        if answer.closes {
            client.closed().await;
            return Ok(count);
        }
        sleep(Duration::from_millis(1)).await;
    }
    unreachable!("counting does not end")
}

#[tokio::test]
async fn a_stop_under_load_loses_no_request() {
    let served = serve(Limits {
        drain: Duration::from_secs(1),
        ..Limits::default()
    })
    .await;
    let start = || tokio::spawn(worker(served.address, served.root.clone()));
    let mut workers: Vec<_> = (0..8).map(|_| start()).collect();
    let mut slow = served.dial(&[&TLS13]).await.unwrap();
    assert_eq!(slow.post("warm").await.unwrap().status, 200);
    served.stop.cancel();
    // Clients that have not heard of it yet still come, and are served once.
    for _ in 0..8 {
        workers.push(start());
    }
    for worker in workers {
        assert!(timeout(PATIENCE, worker).await.unwrap().unwrap().unwrap() >= 1);
    }
    // A request that began before the end is answered after it.
    slow.start(4).await.unwrap();
    slow.stream.write_all(b"sl").await.unwrap();
    while TcpStream::connect(served.address).await.is_ok() {
        sleep(Duration::from_millis(20)).await;
    }
    slow.stream.write_all(b"ow").await.unwrap();
    assert_eq!(slow.answer().await.unwrap().body, "slow");
    timeout(PATIENCE, served.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_hold_up_the_end() {
    let served = serve(Limits {
        grace: Duration::from_millis(300),
        ..quick()
    })
    .await;
    let mut client = served.dial(&[&TLS13]).await.unwrap();
    client.start(100).await.unwrap();
    served.stop.cancel();
    timeout(PATIENCE, served.task).await.unwrap().unwrap();
}
