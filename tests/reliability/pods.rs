//! What happens to the operator's pods.

use super::live::LIMIT;
use super::live::inside;
use super::live::objects::name;
use super::live::operator::NAMESPACE;
use super::scene::{Bound, DEPLOYMENT, SELECTOR, Scene, lasting};
use anyhow::{Result, ensure};
use cluster::test::until;
use serde_json::{Value, json};
use tokio::time::sleep;

/// A burst of stacks without pods, so that whoever leads is in the middle of something.
async fn burst(scene: &Scene, prefix: &str) -> Result<()> {
    let stack = |index: usize| {
        json!({"apiVersion": "llm.geeper.io/v1alpha1", "kind": "LMDeployment",
            "metadata": {"name": format!("{prefix}-{index}")}, "spec": {"suspend": true, "ollama": {"models": []}}})
    };
    let items: Vec<Value> = (0..12).map(stack).collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    scene.namespace.apply(&list.to_string()).await.map(drop)
}

pub async fn the_leader_is_killed() -> Result<()> {
    let scene = Scene::open().await?;
    let what = "SIGKILL to the leader in the middle of 12 new stacks";
    scene
        .during("leader killed", what, Bound::Told, async || {
            let leader = scene.leader().await?;
            burst(&scene, "killed").await?;
            scene.signal(&leader, "KILL").await
        })
        .await?;
    for index in 0..12 {
        let name = format!("killed-{index}-ollama");
        scene.namespace.kubectl(&["get", "deployment,service", &name]).await?;
    }
    Ok(())
}

pub async fn the_leader_has_no_memory_left() -> Result<()> {
    let scene = Scene::open().await?;
    let what = "the memory of the leader's container used up: the kernel ends it, in the middle of 12 new stacks";
    scene
        .during("leader out of memory", what, Bound::Told, async || {
            let leader = scene.leader().await?;
            burst(&scene, "starved").await?;
            inside::exhaust(&scene, &leader).await?;
            until("the kubelet says why it ended", LIMIT, async || {
                let pod = scene.system.get("Pod", name(&leader)).await?;
                let status = &pod["status"]["containerStatuses"][0];
                let ended = [&status["state"], &status["lastState"]].map(|s| &s["terminated"]["reason"]);
                ensure!(ended.iter().any(|reason| **reason == "OOMKilled"), "{status}");
                Ok(Some(()))
            })
            .await
        })
        .await
}

pub async fn the_leader_freezes() -> Result<()> {
    let scene = Scene::open().await?;
    let what = "SIGSTOP to the leader, SIGCONT at the end";
    scene
        .during("leader frozen", what, Bound::Told, async || {
            let leader = scene.leader().await?;
            let renewed = scene.lease().await?["renewTime"].clone();
            scene.signal(&leader, "STOP").await?;
            sleep(lasting(20, 60)).await;
            scene.signal(&leader, "CONT").await?;
            until("it has ended, or leads on", LIMIT, async || {
                let pod = scene.system.get("Pod", name(&leader)).await?;
                let [before, now] = [&leader, &pod].map(|p| &p["status"]["containerStatuses"][0]);
                let ended = now["state"]["running"].is_null() || now["restartCount"] != before["restartCount"];
                let lease = scene.lease().await?;
                let holder = lease["holderIdentity"].as_str().unwrap_or_default();
                let leads = holder.starts_with(name(&leader)) && lease["renewTime"] != renewed;
                ensure!(ended || leads, "{now}");
                Ok(Some(()))
            })
            .await
        })
        .await
}

pub async fn the_leader_is_cut_off() -> Result<()> {
    let scene = Scene::open().await?;
    let what = "everything that the leader sends to the API server is dropped";
    scene
        .during("partition", what, Bound::Never, async || {
            let leader = scene.leader().await?;
            inside::cut(&scene, &leader, 443, true).await?;
            sleep(lasting(25, 120)).await;
            inside::cut(&scene, &leader, 443, false).await
        })
        .await
}

pub async fn pods_are_deleted_one_by_one() -> Result<()> {
    let scene = Scene::open().await?;
    let what = "each pod deleted, the next one when the Deployment is whole again";
    scene
        .during("pods deleted", what, Bound::Never, async || {
            for pod in scene.pods().await? {
                scene.kubectl(&["-n", NAMESPACE, "delete", "pod", name(&pod)]).await?;
                scene.whole().await?;
            }
            Ok(())
        })
        .await
}

pub async fn all_pods_go_at_once() -> Result<()> {
    let scene = Scene::open().await?;
    let what = "all pods deleted at once, without grace";
    scene
        .during("every pod gone", what, Bound::For(20), async || {
            let delete = [
                "-n",
                NAMESPACE,
                "delete",
                "pod",
                "--grace-period=0",
                "--force",
                "-l",
                SELECTOR,
            ];
            scene.kubectl(&delete).await.map(drop)
        })
        .await
}

pub async fn the_release_rolls() -> Result<()> {
    let scene = Scene::open().await?;
    let what = "kubectl rollout restart";
    scene
        .during("rollout", what, Bound::Never, async || {
            scene
                .kubectl(&["-n", NAMESPACE, "rollout", "restart", DEPLOYMENT])
                .await?;
            let status = ["-n", NAMESPACE, "rollout", "status", DEPLOYMENT, "--timeout=120s"];
            scene.kubectl(&status).await.map(drop)
        })
        .await
}

pub async fn a_node_is_drained() -> Result<()> {
    let scene = Scene::open().await?;
    let what = "kubectl drain of the only node, whose budget keeps one pod, and uncordon at the end";
    scene
        .during("node drained", what, Bound::Never, async || {
            let selector = format!("--pod-selector={SELECTOR}");
            let timeout = format!("--timeout={}s", lasting(10, 30).as_secs());
            let drain = [
                "drain",
                cluster::network::NODE,
                "--ignore-daemonsets",
                "--delete-emptydir-data",
                &selector,
                &timeout,
            ];
            // The second pod cannot go before the first has found another node, so the drain does not come to its end.
            let drained = scene.kubectl(&drain).await;
            scene.kubectl(&["uncordon", cluster::network::NODE]).await?;
            ensure!(drained.is_err(), "both pods were evicted from the only node");
            Ok(())
        })
        .await
}
