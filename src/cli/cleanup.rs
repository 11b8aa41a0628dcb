//! Takes our finalizers off every object, for when no operator runs any more that would do it.

use crate::controller::FINALIZERS;
use crate::kind::{self, Form};
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
    /// Do it; without this, the objects are listed and left as they are, with exit status 1 where there are any.
    #[arg(long)]
    yes: bool,
}

/// Releases every object, and names each; without consent it only names them.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    // Two providers in one binary would leave rustls without a default; the first one installed is it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(clean(args))
}

async fn clean(args: &Args) -> anyhow::Result<ExitCode> {
    let client = Client::try_default().await.context("no way to the API server")?;
    let mut held = vec![];
    for form in kind::all() {
        held.extend(held_of(&client, &form, &args.namespaces).await?);
    }
    if held.is_empty() {
        println!("no object has a finalizer of the operator; nothing to do");
        return Ok(ExitCode::SUCCESS);
    }
    let mut released = 0;
    for (resource, object) in &held {
        let title = format!(
            "{} {}/{}",
            resource.kind,
            object.namespace().unwrap_or_default(),
            object.name_any()
        );
        if !args.yes {
            println!("{title}: {}", ours(object).join(", "));
        } else if release(&client, resource, object)
            .await
            .with_context(|| format!("cannot release {title}"))?
        {
            released += 1;
            println!("{title}: released");
        } else {
            println!("{title}: gone meanwhile");
        }
    }
    if args.yes {
        println!("finalizers taken off {released} objects; models stay on their servers");
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "{} objects have finalizers of the operator; nothing was changed. Where no operator runs any more, --yes takes them \
         off; where one does, delete the objects, and it lets them go by itself",
        held.len()
    );
    Ok(ExitCode::FAILURE)
}

/// The objects of a kind that have a finalizer of ours.
async fn held_of(
    client: &Client,
    form: &Form,
    namespaces: &[String],
) -> anyhow::Result<Vec<(ApiResource, DynamicObject)>> {
    let resource = form.resource();
    let scopes: Vec<Api<DynamicObject>> = match namespaces {
        [] => vec![Api::all_with(client.clone(), &resource)],
        some => some
            .iter()
            .map(|n| Api::namespaced_with(client.clone(), n, &resource))
            .collect(),
    };
    let mut held = vec![];
    for scope in scopes {
        let found = match scope.list(&ListParams::default()).await {
            // The kind is not installed, so there is no object of it.
            Err(kube::Error::Api(status)) if status.code == 404 => continue,
            found => found.with_context(|| format!("cannot list {}", form.plural))?,
        };
        let objects = found.into_iter().filter(|object| !ours(object).is_empty());
        held.extend(objects.map(|object| (resource.clone(), object)));
    }
    Ok(held)
}

/// Those of its finalizers that are the operator's, of this one or of an older one.
fn ours(object: &DynamicObject) -> Vec<&str> {
    let all = object.finalizers().iter().map(String::as_str);
    all.filter(|f| FINALIZERS.contains(f)).collect()
}

/// True when it was still there.
async fn release(client: &Client, resource: &ApiResource, object: &DynamicObject) -> kube::Result<bool> {
    let all = object.finalizers().iter();
    let left: Vec<&String> = all.filter(|f| !FINALIZERS.contains(&f.as_str())).collect();
    let (name, namespace) = (object.name_any(), object.namespace().unwrap_or_default());
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, resource);
    // With the version that was seen, so that nobody's change is undone.
    let patch = json!({"metadata": {"resourceVersion": object.resource_version(), "finalizers": left}});
    match api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        Err(error) => Err(error),
    }
}
