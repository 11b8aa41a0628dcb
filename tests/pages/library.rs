//! Ollama's library, as far as the pages name models of it: a stand-in under its own name and its own TLS, and an
//! Ollama image that trusts it. So the names on the pages are pulled as they stand there.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use cluster::Cluster;
use cluster::gguf::Model;
use cluster::images;
use cluster::registry::{Package, Registry, Running};
use cluster::tools::{self, Tool};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

const HOST: &str = "registry.ollama.ai";

/// The running stand-in.
pub struct Library {
    /// What Ollama has to trust.
    authority: String,
    _registry: Running,
    _relays: JoinSet<Result<()>>,
}

impl Library {
    /// Serves the models of the pages to the pods of a cluster.
    pub async fn open(cluster: &Cluster) -> Result<Self> {
        let registry = Registry::default();
        // Random weights need not come to an end by themselves.
        let llama = || Package::from(Model::llama()).with("params", r#"{"num_predict": 40}"#);
        registry.add("library/llama3.2:1b", llama())?;
        registry.add("library/nomic-embed-text:latest", Model::bert())?;
        registry.add("library/qwen2.5:0.5b", llama())?; // that of the demonstration
        let registry = registry.start_local().await?;
        let (authority, tls) = certificate()?;
        let mut relays = JoinSet::new();
        relays.spawn(relay(cluster.listen(443).await?, Some(tls), registry.host()));
        // The registry names the places of its blobs by http.
        relays.spawn(relay(cluster.listen(80).await?, None, registry.host()));
        cluster.add_host(HOST)?;
        Ok(Self {
            authority,
            _registry: registry,
            _relays: relays,
        })
    }

    /// The Ollama image of the tests, trusting this library, in the node under the name that the chart has.
    pub async fn load_ollama(&self, cluster: &Cluster, name: &str) -> Result<()> {
        let folder = tempfile::tempdir()?;
        let (place, authority, name) = (folder.path().to_owned(), self.authority.clone(), name.to_owned());
        let archive = tokio::task::spawn_blocking(move || trusting(&place, &authority, &name)).await??;
        cluster.load(&archive).await.map(drop)
    }
}

/// An authority, and TLS with a certificate of it.
fn certificate() -> Result<(String, TlsAcceptor)> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key)?.pem();
    let issuer = Issuer::new(params, key);
    let leaf_key = KeyPair::generate()?;
    let leaf = CertificateParams::new([HOST.to_owned()])?.signed_by(&leaf_key, &issuer)?;
    let private = PrivateKeyDer::try_from(leaf_key.serialize_der()).map_err(anyhow::Error::msg)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], private)?;
    Ok((authority, TlsAcceptor::from(Arc::new(config))))
}

async fn relay(listener: TcpListener, tls: Option<TlsAcceptor>, to: String) -> Result<()> {
    loop {
        let (client, _) = listener.accept().await?;
        let (tls, to) = (tls.clone(), to.clone());
        tokio::spawn(async move {
            match tls {
                None => carry(client, &to).await,
                Some(tls) => carry(tls.accept(client).await?, &to).await,
            }
        });
    }
}

async fn carry(mut client: impl AsyncRead + AsyncWrite + Unpin, to: &str) -> std::io::Result<()> {
    let mut server = TcpStream::connect(to).await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

/// The image with one more authority; Go programs read every file of that folder.
fn trusting(folder: &Path, authority: &str, name: &str) -> Result<String> {
    let image = images::ollama(&tools::path(Tool::Ollama)?)?;
    let file = folder.join("authority.pem");
    std::fs::write(&file, authority)?;
    let archive = folder.join("ollama.tar");
    let (file, archive) = (utf8(&file)?, utf8(&archive)?);
    let container = buildah(folder, &["from", &format!("docker-archive:{}", utf8(&image.archive)?)])?;
    buildah(folder, &["copy", &container, file, "/etc/ssl/certs/pages.pem"])?;
    buildah(folder, &["commit", "--quiet", &container, name])?;
    buildah(
        folder,
        &["push", "--quiet", name, &format!("docker-archive:{archive}:{name}")],
    )?;
    Ok(archive.to_owned())
}

fn utf8(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is not UTF-8")
}

fn buildah(folder: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("buildah")
        .arg("--root")
        .arg(folder.join("images"))
        .arg("--runroot")
        .arg(folder.join("run"))
        .args(["--storage-driver", "vfs"])
        .args(arguments)
        .output()
        .context("cannot run buildah")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "buildah {arguments:?}: {}", said.trim());
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
