//! Whether admission works in a cluster: a server-side dry run of a good object and of a bad one.

use crate::kind::lmdeployment::LMDeployment;
use anyhow::Context;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::json;
use std::process::ExitCode;

/// Arguments of `selfcheck`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The namespace in which the objects are tried; nothing is stored.
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    namespace: String,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(check(&args.namespace))?;
    println!("admission works: a good object is admitted and filled, a bad one is refused with its cause");
    Ok(ExitCode::SUCCESS)
}

async fn check(namespace: &str) -> anyhow::Result<()> {
    let client = Client::try_default().await.context("no way to the API server")?;
    let api: Api<LMDeployment> = Api::namespaced(client, namespace);
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let object = |replicas: Option<i32>| {
        let spec = json!({"ollama": {"models": ["llama3.2:1b"], "replicas": replicas}});
        let mut object = json!({
            "apiVersion": "llm.geeper.io/v1alpha1", "kind": "LMDeployment",
            "metadata": {"generateName": "selfcheck-"}, "spec": spec,
        });
        if replicas.is_none()
            && let Some(ollama) = object["spec"]["ollama"].as_object_mut()
        {
            ollama.remove("replicas");
        }
        serde_json::from_value::<LMDeployment>(object)
    };
    let good = api
        .create(&dry, &object(None)?)
        .await
        .context("a good object was not admitted")?;
    let filled = good.spec.ollama.and_then(|o| o.replicas);
    anyhow::ensure!(
        filled == Some(1),
        "a good object was admitted, but not filled: spec.ollama.replicas is {filled:?}"
    );
    match api.create(&dry, &object(Some(11))?).await {
        Ok(_) => anyhow::bail!("an object with eleven replicas was admitted"),
        Err(kube::Error::Api(status)) if status.code == 422 && status.message.contains("spec.ollama.replicas") => {
            Ok(())
        }
        Err(error) => Err(error).context("an object with eleven replicas was refused for another cause"),
    }
}
