//! Ingress and HTTPRoute through a real controller, Traefik, to Tabby's stand-in: by host name, by TLS, by path, by
//! WebSocket.

use super::gateway;
use super::live::objects::message;
use super::live::stage::Stage;
use super::live::{LIMIT, operator};
use anyhow::{Context, Result, bail, ensure};
use cluster::network::NODE_IP;
use cluster::tools::{self, Tool};
use rcgen::CertifiedKey;
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use std::process::Stdio;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::process::{Child, ChildStdin};
use tokio::task::spawn_blocking;
use tokio_rustls::TlsConnector;

const HOST: &str = "code.example.com";
const ROUTED: &str = "routed.example.com";
/// Traefik's entry points: the Gateway's listener must be on one.
const PLAIN: u16 = 9080;
const SECURE: u16 = 9443;
/// What makes the controller known to Ingresses and Gateways. The second Gateway takes routes of its own namespace only.
const CLASSES: &str = "
{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: traefik}, spec: {controller: traefik.io/ingress-controller}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: traefik}, spec: {controllerName: traefik.io/gateway-controller}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: closed, namespace: default}
spec: {gatewayClassName: traefik, listeners: [{name: http, port: 9080, protocol: HTTP, allowedRoutes: {namespaces: {from: Same}}}]}
";

pub async fn a_real_controller_lets_people_in() -> Result<()> {
    let cluster = operator::alone("exposure").await?;
    let stage = Stage::on(&cluster, "traefik").await?;
    gateway::define(&stage).await?;
    stage.cluster().kubectl_with(&["apply", "-f", "-"], CLASSES).await?;
    let _traefik = Traefik::start(&stage).await?;
    let certificate = certificate(&stage).await?;

    let models = [stage.item("tiny"), stage.item("embed")];
    let spec = |more: Value| {
        let mut tabby = json!({"enabled": true, "embeddingModel": stage.model("embed")});
        llm_operator::base::object::merge(&mut tabby, more);
        json!({"ollama": {"models": models, "drainSeconds": 0}, "tabby": tabby})
    };
    // One object of TLS, as one of the older documents prints it; an annotation that means something to the controller.
    let only_secure = json!({"traefik.ingress.kubernetes.io/router.entrypoints": "websecure"});
    let tls = json!({"hosts": [HOST], "secretName": "code-tls"});
    let ingress = json!({"host": HOST, "className": "traefik", "annotations": only_secure, "tls": tls});
    stage.stack("chat", &spec(json!({"ingress": ingress}))).await?;
    let stack = stage.ready("chat").await?;
    assert_eq!(stack["status"]["endpoints"]["tabbyPublic"], format!("https://{HOST}"));
    until(
        &stage,
        "answers by TLS",
        async || secure(&stage, &certificate, "/metrics").await,
        200,
    )
    .await?;
    assert_eq!(
        plain(&stage, HOST, "/metrics").await?,
        404,
        "the annotation keeps it to TLS"
    );
    echo(connect_secure(&stage, &certificate).await?, HOST).await?;

    // A list of TLS, and a path.
    let ingress =
        json!({"host": HOST, "className": "traefik", "annotations": only_secure, "tls": [tls], "path": "/v1"});
    stage.stack("chat", &spec(json!({"ingress": ingress}))).await?;
    until(
        &stage,
        "keeps to its path",
        async || secure(&stage, &certificate, "/metrics").await,
        404,
    )
    .await?;
    assert_eq!(
        secure(&stage, &certificate, "/v1/health").await?,
        401,
        "Tabby asks for a token"
    );

    // A Gateway of the own namespace, and one that takes no routes from here: in the controller's own words.
    let listener = json!({"name": "http", "port": PLAIN, "protocol": "HTTP"});
    let own = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "web"},
        "spec": {"gatewayClassName": "traefik", "listeners": [listener]},
    });
    stage.namespace.apply(&own.to_string()).await?;
    let to =
        |parent: Value| spec(json!({"ingress": {"enabled": false}, "gateway": {"parentRef": parent, "host": ROUTED}}));
    stage.stack("chat", &to(json!({"name": "web"}))).await?;
    stage.told("chat", "Exposed", "True", "Accepted").await?;
    until(
        &stage,
        "answers through the Gateway",
        async || plain(&stage, ROUTED, "/metrics").await,
        200,
    )
    .await?;
    echo(
        stage.cluster().dial(format!("{NODE_IP}:{PLAIN}").parse()?).await?,
        ROUTED,
    )
    .await?;
    stage.gone("Ingress", "chat-tabby-ingress").await?;

    stage
        .stack("chat", &to(json!({"name": "closed", "namespace": "default"})))
        .await?;
    let stack = stage.told("chat", "Exposed", "False", "RouteRefused").await?;
    let said = message(&stack, "Exposed");
    ensure!(
        said.contains("Gateway default/closed") && said.contains("NotAllowedByListeners"),
        "{said}"
    );
    until(
        &stage,
        "is closed",
        async || plain(&stage, ROUTED, "/metrics").await,
        404,
    )
    .await
}

/// Traefik in the cluster's network, with an administrator's rights. It ends when its standard input does.
struct Traefik(
    #[allow(dead_code, reason = "held open")] ChildStdin,
    #[allow(dead_code, reason = "kept")] Child,
);

impl Traefik {
    async fn start(stage: &Stage) -> Result<Self> {
        let program = spawn_blocking(|| tools::path(Tool::Traefik)).await??;
        let mut command = stage.cluster().entrance()?;
        command
            .args(["sh", "-c", r#""$@" & cat >/dev/null; kill $!"#, "traefik"])
            .arg(program);
        command.args([
            &format!("--entrypoints.web.address=:{PLAIN}"),
            &format!("--entrypoints.websecure.address=:{SECURE}"),
            "--entrypoints.websecure.http.tls=true",
            "--providers.kubernetesingress=true",
            "--providers.kubernetesgateway=true",
            "--global.checknewversion=false",
            "--global.sendanonymoususage=false",
        ]);
        let log = std::fs::File::create(stage.cluster().state().path("traefik.log"))?;
        command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
        let mut child = command.kill_on_drop(false).spawn()?;
        Ok(Self(child.stdin.take().context("no stdin")?, child))
    }
}

/// A certificate for the host, in the Secret that the manifest names.
async fn certificate(stage: &Stage) -> Result<CertificateDer<'static>> {
    let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(vec![HOST.to_string()])?;
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "code-tls"}, "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": cert.pem(), "tls.key": signing_key.serialize_pem()},
    });
    stage.namespace.apply(&secret.to_string()).await?;
    Ok(cert.der().clone())
}

/// Waits until the answer has that status.
async fn until(stage: &Stage, what: &str, ask: impl AsyncFn() -> Result<u16>, status: u16) -> Result<()> {
    let is = async || Ok((ask().await? == status).then_some(()));
    stage.namespace.until(&format!("Traefik {what}"), LIMIT, is).await
}

async fn plain(stage: &Stage, host: &str, path: &str) -> Result<u16> {
    let mut stream = stage.cluster().dial(format!("{NODE_IP}:{PLAIN}").parse()?).await?;
    get(&mut stream, host, path, "").await
}

async fn secure(stage: &Stage, certificate: &CertificateDer<'static>, path: &str) -> Result<u16> {
    get(&mut connect_secure(stage, certificate).await?, HOST, path, "").await
}

/// A connection by TLS that trusts nothing but the certificate of the Secret.
async fn connect_secure(
    stage: &Stage,
    certificate: &CertificateDer<'static>,
) -> Result<impl AsyncRead + AsyncWrite + Unpin + use<>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = stage.cluster().dial(format!("{NODE_IP}:{SECURE}").parse()?).await?;
    Ok(TlsConnector::from(Arc::new(config))
        .connect(ServerName::try_from(HOST)?, stream)
        .await?)
}

/// Opens a WebSocket and has a message sent back.
async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin, host: &str) -> Result<()> {
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let status = get(&mut stream, host, "/subscriptions", upgrade).await?;
    ensure!(status == 101, "status {status} in place of 101, Switching Protocols");
    // A frame of text, masked with zeros.
    let frame = [&[0x81, 0x84, 0, 0, 0, 0], &b"ping"[..]].concat();
    stream.write_all(&frame).await?;
    let mut back = vec![0; frame.len()];
    tokio::time::timeout(LIMIT, stream.read_exact(&mut back)).await??;
    ensure!(back == frame, "{back:?}");
    Ok(())
}

/// Sends a request and reads the answer up to the end of its headers; its status.
async fn get(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), host: &str, path: &str, more: &str) -> Result<u16> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = vec![];
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tokio::time::timeout(LIMIT, stream.read_u8()).await??);
    }
    let head = String::from_utf8(head)?;
    let status = head.split_whitespace().nth(1).and_then(|word| word.parse().ok());
    match status {
        Some(status) => Ok(status),
        None => bail!("no answer in HTTP: {head}"),
    }
}
