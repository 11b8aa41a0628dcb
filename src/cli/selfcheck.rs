//! Whether admission works in a cluster: a server-side dry run of a good object and of a bad one, of each kind of stack.

use crate::base::object::STACKS;
use crate::kind::{self, Form};
use anyhow::Context;
use kube::api::PostParams;
use kube::core::DynamicObject;
use kube::{Api, Client};
use serde_json::json;
use std::process::ExitCode;

/// Arguments of `selfcheck`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The namespace in which the objects are tried; nothing is stored.
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    namespace: String,
    /// Try the older names of LMDeployment as well.
    #[arg(long)]
    legacy_names: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(check_all(args))?;
    println!("admission works: a good object is admitted and filled, a bad one is refused with its cause");
    Ok(ExitCode::SUCCESS)
}

async fn check_all(args: &Args) -> anyhow::Result<()> {
    let client = Client::try_default().await.context("no way to the API server")?;
    for form in kind::all() {
        let is_stack = form.kind == STACKS[0] || args.legacy_names && STACKS.contains(&form.kind);
        if is_stack {
            check(&client, &args.namespace, form).await?;
        }
    }
    Ok(())
}

async fn check(client: &Client, namespace: &str, form: Form) -> anyhow::Result<()> {
    let (kind, resource) = (form.kind, form.resource());
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let object = |replicas: Option<i32>| {
        let mut ollama = json!({"models": ["llama3.2:1b"]});
        if let Some(replicas) = replicas {
            ollama["replicas"] = replicas.into();
        }
        serde_json::from_value(json!({
            "apiVersion": resource.api_version, "kind": kind,
            "metadata": {"generateName": "selfcheck-"}, "spec": {"ollama": ollama},
        }))
    };
    let good = api
        .create(&dry, &object(None)?)
        .await
        .with_context(|| format!("a good {kind} was not admitted"))?;
    let filled = &good.data["spec"]["ollama"]["replicas"];
    anyhow::ensure!(
        *filled == 1,
        "a good {kind} was admitted, but not filled: spec.ollama.replicas is {filled}"
    );
    match api.create(&dry, &object(Some(11))?).await {
        Ok(_) => anyhow::bail!("a {kind} with eleven replicas was admitted"),
        Err(kube::Error::Api(status)) if status.code == 422 && status.message.contains("spec.ollama.replicas") => {
            Ok(())
        }
        Err(error) => {
            Err(error).with_context(|| format!("a {kind} with eleven replicas was refused for another cause"))
        }
    }
}
