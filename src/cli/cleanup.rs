//! Takes our finalizers off every object, before an operator is removed that would have done it.

use crate::controller::FINALIZERS;
use crate::kind;
use anyhow::Context;
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use std::process::ExitCode;

/// Arguments of `cleanup`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A namespace to look at. May be given several times. Default: all.
    #[arg(long = "namespace")]
    namespaces: Vec<String>,
}

/// Releases every object, and says how many.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    // Two providers in one binary would leave rustls without a default; the first one installed is it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(clean(args))?;
    Ok(ExitCode::SUCCESS)
}

async fn clean(args: &Args) -> anyhow::Result<()> {
    let client = Client::try_default().await.context("no way to the API server")?;
    let mut released = 0;
    for form in kind::all() {
        let resource = form.resource();
        let scopes: Vec<Api<DynamicObject>> = match &args.namespaces[..] {
            [] => vec![Api::all_with(client.clone(), &resource)],
            some => some
                .iter()
                .map(|n| Api::namespaced_with(client.clone(), n, &resource))
                .collect(),
        };
        for scope in scopes {
            let found = match scope.list(&ListParams::default()).await {
                // The kind is not installed, so there is no object of it.
                Err(kube::Error::Api(status)) if status.code == 404 => continue,
                found => found.with_context(|| format!("cannot list {}", form.plural))?,
            };
            for object in found {
                released += usize::from(release(&client, &resource, &object).await?);
            }
        }
    }
    println!("finalizers taken off {released} objects; models stay on their servers");
    Ok(())
}

async fn release(client: &Client, resource: &ApiResource, object: &DynamicObject) -> anyhow::Result<bool> {
    let left: Vec<&String> = object
        .finalizers()
        .iter()
        .filter(|f| !FINALIZERS.contains(&f.as_str()))
        .collect();
    if left.len() == object.finalizers().len() {
        return Ok(false);
    }
    let (name, namespace) = (object.name_any(), object.namespace().unwrap_or_default());
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, resource);
    // With the version that was seen, so that nobody's change is undone.
    let patch = json!({"metadata": {"resourceVersion": object.resource_version(), "finalizers": left}});
    match api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot release {} {namespace}/{name}", resource.kind)),
    }
}
