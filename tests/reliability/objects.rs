//! What happens to users' objects and their kinds.

use super::live::LIMIT;
use super::live::objects::Objects;
use super::scene::{Bound, Scene};
use anyhow::{Result, ensure};
use cluster::test::until;
use serde_json::json;

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
