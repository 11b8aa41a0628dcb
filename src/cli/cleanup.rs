//! Takes our finalizers off every object, for when no operator runs any more that would do it.

use crate::cli::output::{self, Form, Output};
use crate::controller::FINALIZERS;
use crate::kind;
use anyhow::Context;
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, Client, ResourceExt};
use serde::Serialize;
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
    #[command(flatten)]
    output: Output,
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

/// An object, and what became of its finalizers.
#[derive(Serialize)]
struct Entry {
    kind: String,
    namespace: String,
    name: String,
    finalizers: Vec<String>,
    /// What was done: `nothing`, `released`, or `gone meanwhile`.
    done: &'static str,
}

async fn clean(args: &Args) -> anyhow::Result<ExitCode> {
    let client = Client::try_default().await.context("no way to the API server")?;
    let mut held = vec![];
    for form in kind::all() {
        held.extend(held_of(&client, &form, &args.namespaces).await?);
    }
    let mut entries = vec![];
    for (resource, object) in &held {
        let mut entry = Entry {
            kind: resource.kind.clone(),
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            finalizers: ours(object).into_iter().map(str::to_owned).collect(),
            done: "nothing",
        };
        if args.yes {
            let released = release(&client, resource, object).await;
            let title = format!("{} {}/{}", entry.kind, entry.namespace, entry.name);
            let released = released.with_context(|| format!("cannot release {title}"))?;
            entry.done = if released { "released" } else { "gone meanwhile" };
        }
        if args.output.form == Form::Table {
            speak(&entry);
        }
        entries.push(entry);
    }
    if args.output.form == Form::Table {
        println!("{}", summary(&entries, args.yes));
    } else {
        output::print(&output::document(&entries, args.output.form)?)?;
    }
    Ok(if args.yes || entries.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// At once, since the next one may fail.
fn speak(entry: &Entry) {
    let title = format!("{} {}/{}", entry.kind, entry.namespace, entry.name);
    if entry.done == "nothing" {
        println!("{title}: {}", entry.finalizers.join(", "));
    } else {
        println!("{title}: {}", entry.done);
    }
}

fn summary(entries: &[Entry], yes: bool) -> String {
    if entries.is_empty() {
        return "no object has a finalizer of the operator; nothing to do".into();
    }
    if yes {
        let released = entries.iter().filter(|entry| entry.done == "released").count();
        return format!("finalizers taken off {released} objects; models stay on their servers");
    }
    format!(
        "{} objects have finalizers of the operator; nothing was changed. Where no operator runs any more, --yes takes them \
         off; where one does, delete the objects, and it lets them go by itself",
        entries.len()
    )
}

/// The objects of a kind that have a finalizer of ours.
async fn held_of(
    client: &Client,
    form: &kind::Form,
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
