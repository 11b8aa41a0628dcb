//! A model registry that Ollama pulls from: a stand-in for the registries outside, which tests neither reach nor may
//! depend on.
//!
//! It serves what real Ollama asks for when it pulls, over plain http (so pulls need `"insecure": true`), and can be
//! slow, broken or hanging on order. Nothing can be pushed to it: models are added from Rust
//! ([`Registry::add`]), on the command line ([`Options`]) or through its control endpoint ([`Order`]).

use std::{
    io::Write,
    net::{Ipv4Addr, SocketAddr},
};

use anyhow::{Context, ensure};
use clap::Args;
use hyper::{Request, Response, body::Incoming};

mod answers;
mod control;
mod package;
mod store;

pub use control::{Digests, Order, Remote};
pub use package::Package;

use crate::{
    faults::{Body, Wire, listen::Server},
    gguf::Model,
};
use store::Store;

/// The content and the wire of a registry; clones are the same registry.
#[derive(Clone, Default)]
pub struct Registry {
    store: Store,
    wire: Wire,
}

/// A registry that runs until it is dropped.
pub struct Running {
    registry: Registry,
    server: Server,
}

/// The arguments of `cluster registry`.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Where to listen; it must be the address that Ollama knows it by, or be forwarded from there
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
    /// A model to serve, as in library/tiny:latest=llama,seed=2,pad-mib=40 (architectures: llama, bert); repeatable
    #[arg(long = "model", value_name = "NAME=MODEL", value_parser = named_model)]
    pub models: Vec<(String, Model)>,
    /// Bytes per second of all connections together; 0 is full speed
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    pub rate: u64,
}

fn named_model(text: &str) -> anyhow::Result<(String, Model)> {
    let (name, model) = text
        .split_once('=')
        .with_context(|| format!("{text:?} is not of the form NAME=MODEL"))?;
    Ok((name.to_owned(), model.parse()?))
}

/// Serves as the options say, for ever; one line on standard output says that it has begun.
///
/// # Errors
/// If a model's name is wrong, the address cannot be listened on, or connections can no longer be accepted.
pub async fn serve(options: Options) -> anyhow::Result<()> {
    let registry = Registry::default();
    for (name, model) in options.models {
        registry.add(&name, model)?;
    }
    registry.wire().limit(options.rate);
    let running = registry.start(options.listen).await?;
    let mut out = std::io::stdout();
    writeln!(out, "model registry on {}", running.host())
        .and_then(|()| out.flush())
        .context("standard output")?;
    running.server.ended().await
}

impl Registry {
    /// Puts a model under a name such as `library/tiny:latest`, in place of what had it before. Returns the digest
    /// of its manifest, `sha256:` and 64 digits; Ollama's `/api/tags` shows the digits. A padded model takes a while.
    ///
    /// # Errors
    /// If the name does not have the form `NAMESPACE/MODEL:TAG`.
    pub fn add(&self, name: &str, package: impl Into<Package>) -> anyhow::Result<String> {
        Ok(self.store.add(name.parse()?, package.into().build()))
    }

    /// Takes a name away, so that pulls of it end in "file does not exist".
    ///
    /// # Errors
    /// If nothing has that name.
    pub fn remove(&self, name: &str) -> anyhow::Result<()> {
        ensure!(self.store.remove(&name.parse()?), "the registry has no model {name:?}");
        Ok(())
    }

    /// Faults, speed and the log of requests.
    #[must_use]
    pub fn wire(&self) -> &Wire {
        &self.wire
    }

    /// Starts to listen.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub async fn start(self, address: SocketAddr) -> anyhow::Result<Running> {
        let registry = self.clone();
        let server = Server::start(address, None, move |request| registry.clone().handle(request)).await?;
        Ok(Running { registry: self, server })
    }

    /// Starts to listen on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// If there is none.
    pub async fn start_local(self) -> anyhow::Result<Running> {
        self.start((Ipv4Addr::LOCALHOST, 0).into()).await
    }

    /// Control is neither recorded nor slowed nor broken.
    async fn handle(self, request: Request<Incoming>) -> anyhow::Result<Response<Body>> {
        if request.uri().path().starts_with("/_") {
            return Ok(self.control(request).await);
        }
        self.wire
            .pass(request, |request| async move { answers::answer(&self.store, &request) })
            .await
    }
}

impl Running {
    /// `ADDRESS:PORT`, the part of a model's name before `library/…`.
    #[must_use]
    pub fn host(&self) -> String {
        self.server.address.to_string()
    }

    /// The registry, to change models, faults and speed.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Faults, speed and the log of requests.
    #[must_use]
    pub fn wire(&self) -> &Wire {
        self.registry.wire()
    }
}
