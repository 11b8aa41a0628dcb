//! What happens to users' objects and their kinds.

use super::live::LIMIT;
use super::live::objects::{Objects, name};
use super::live::operator::NAMESPACE;
use super::live::stage::Stage;
use super::live::volume;
use super::scene::{Bound, Scene, lasting};
use anyhow::{Result, ensure};
use cluster::gguf::Model;
use cluster::test::until;
use serde_json::{Value, json};
use tokio::time::sleep;

pub async fn children_are_touched() -> Result<()> {
    let scene = Scene::open().await?;
    let what = "of each stack's children one is edited, one deleted, one orphaned";
    scene
        .during("children touched", what, Bound::Never, async || {
            let objects = Objects::new(scene.client().await?, scene.namespace.name());
            for stack in ["load-0", "load-1", "load-2"] {
                let name = format!("{stack}-ollama");
                let edit =
                    json!({"spec": {"template": {"spec": {"containers": [{"name": "ollama", "image": "other:1"}]}}}});
                let edit = ["patch", "deployment", &name, "-p", &edit.to_string()];
                scene.namespace.kubectl(&edit).await?;
                objects.delete("Service", &name).await?;
                objects
                    .merge("ServiceAccount", &name, &json!({"metadata": {"ownerReferences": null}}))
                    .await?;
            }
            for stack in ["load-0", "load-1", "load-2"] {
                let name = format!("{stack}-ollama");
                until("the children are as they were", LIMIT, async || {
                    let deployment = objects.get("Deployment", &name).await?;
                    let image = &deployment["spec"]["template"]["spec"]["containers"][0]["image"];
                    ensure!(*image == cluster::images::OLLAMA, "{image}");
                    objects.get("Service", &name).await?;
                    let account = objects.get("ServiceAccount", &name).await?;
                    ensure!(account["metadata"]["ownerReferences"].is_array(), "an orphan");
                    Ok(Some(()))
                })
                .await?;
            }
            Ok(())
        })
        .await
}

pub async fn a_namespace_goes() -> Result<()> {
    let scene = Scene::open().await?;
    let doomed = scene.namespace("doomed").await?;
    let manifest = json!({"apiVersion": "llm.geeper.io/v1alpha1", "kind": "LMDeployment", "metadata": {"name": "gone"},
        "spec": {"suspend": true, "ollama": {"models": ["all-minilm"]}}});
    doomed.apply(&manifest.to_string()).await?;
    let there = async || {
        doomed
            .kubectl(&["get", "deployment/gone-ollama"])
            .await
            .map(|_| Some(()))
    };
    until("the stack stands", LIMIT, there).await?;
    let what = "a namespace deleted with everything in it";
    scene
        .during("namespace deleted", what, Bound::Never, async || {
            let delete = ["delete", "namespace", doomed.name(), "--timeout=90s"];
            scene.kubectl(&delete).await.map(drop)
        })
        .await
}

const MODELS: &str = "ollamamodels.ollama.smithforge.dev";

/// An OllamaModel gets a status.
async fn looks_after_models(scene: &Scene) -> Result<()> {
    let model = json!({"apiVersion": "ollama.smithforge.dev/v1alpha1", "kind": "OllamaModel", "metadata": {"name": "asked"},
        "spec": {"name": "all-minilm", "target": {"deploymentRef": {"name": "load-0"}}}});
    let applied = async || scene.namespace.apply(&model.to_string()).await.map(Some);
    until("the kind is served again", LIMIT, applied).await?;
    until("the operator looks after models", LIMIT, async || {
        let path = "jsonpath={.status.conditions[*].reason}";
        let said = scene
            .namespace
            .kubectl(&["get", "ollamamodel", "asked", "-o", path])
            .await?;
        Ok((!said.is_empty()).then_some(()))
    })
    .await?;
    let delete = ["delete", "ollamamodel", "asked", "--timeout=60s"];
    scene.namespace.kubectl(&delete).await.map(drop)
}

pub async fn a_kind_goes_and_comes() -> Result<()> {
    let scene = Scene::open().await?;
    let said = scene.kubectl(&["get", "crd", MODELS, "-o", "json"]).await?;
    let mut definition: Value = serde_json::from_str(&said)?;
    if let Some(fields) = definition.as_object_mut() {
        fields.remove("status");
    }
    for field in [
        "resourceVersion",
        "uid",
        "creationTimestamp",
        "managedFields",
        "generation",
    ] {
        definition["metadata"]
            .as_object_mut()
            .map(|metadata| metadata.remove(field));
    }
    let definition = definition.to_string();
    let what = "the definition of OllamaModel deleted while the operator runs, and made again";
    scene
        .during("kind deleted", what, Bound::Never, async || {
            scene.kubectl(&["delete", "crd", MODELS, "--timeout=60s"]).await?;
            sleep(lasting(5, 60)).await;
            scene.kubectl_with(&["create", "-f", "-"], &definition).await?;
            looks_after_models(&scene).await
        })
        .await?;
    scene.kubectl(&["delete", "crd", MODELS, "--timeout=60s"]).await?;
    let what = "both replicas started without the definition of OllamaModel, which comes later";
    scene
        .during("kind missing at start", what, Bound::Never, async || {
            for pod in scene.pods().await? {
                scene.kubectl(&["-n", NAMESPACE, "delete", "pod", name(&pod)]).await?;
                scene.whole().await?;
            }
            scene.kubectl_with(&["create", "-f", "-"], &definition).await?;
            looks_after_models(&scene).await
        })
        .await
}

pub async fn a_disk_is_full() -> Result<()> {
    let scene = Scene::open().await?;
    let stage = Stage::on(&scene, "full").await?;
    let large = Model::llama().seed(40).pad_mib(40);
    stage.registry.registry().add("library/large:latest", large)?;
    volume::claim(&stage, "small", Some(30)).await?;
    let persistence = json!({"enabled": true, "existingClaim": "small", "size": "1Gi"});
    let stack =
        |model: &str| json!({"ollama": {"drainSeconds": 0, "persistence": persistence, "models": [stage.item(model)]}});
    let what = "a model of 40 MiB pulled onto a claim of 30 MiB, and then one that fits";
    scene
        .during("full disk", what, Bound::Never, async || {
            stage.stack("chat", &stack("large")).await?;
            stage.told("chat", "Degraded", "True", "DiskFull").await?;
            stage.stack("chat", &stack("tiny")).await?;
            stage.ready("chat").await.map(drop)
        })
        .await
}
