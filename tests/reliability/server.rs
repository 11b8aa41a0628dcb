//! What happens to the API server, and to what the operator may do there.

use super::live::detour::Detour;
use super::live::inside;
use super::live::operator::{NAMESPACE, USER};
use super::scene::{Bound, Scene, lasting};
use anyhow::{Result, ensure};
use cluster::components::{APISERVER, ETCD};
use cluster::faults::{Effect, Rule};
use cluster::test::until;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::time::sleep;

async fn answers(scene: &Scene) -> Result<()> {
    until("the API server is ready", super::live::LIMIT, async || {
        scene.kubectl(&["get", "--raw", "/readyz"]).await.map(|_| Some(()))
    })
    .await
}

pub async fn the_api_server_restarts() -> Result<()> {
    let scene = Scene::open().await?;
    scene
        .during(
            "API server restarted",
            "SIGKILL, and started again",
            Bound::Never,
            async || {
                scene.kill(APISERVER).await?;
                scene.start(APISERVER).await?;
                answers(&scene).await
            },
        )
        .await
}

pub async fn etcd_restarts() -> Result<()> {
    let scene = Scene::open().await?;
    scene
        .during(
            "etcd restarted",
            "SIGKILL, and started again",
            Bound::Never,
            async || {
                scene.kill(ETCD).await?;
                scene.start(ETCD).await?;
                answers(&scene).await
            },
        )
        .await
}

/// A new API server knows nothing from before its start, so whoever was away meanwhile cannot go on where it was.
pub async fn watches_expire() -> Result<()> {
    let scene = Scene::open().await?;
    let what =
        "both replicas cut off, 50 objects written, the API server restarted: their watches are answered with 410";
    scene
        .during("watches expired", what, Bound::Never, async || {
            let pods = scene.pods().await?;
            for pod in &pods {
                inside::cut(&scene, pod, 443, true).await?;
            }
            for index in 0..50 {
                let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "noise"},
                    "data": {"round": index.to_string()}});
                scene.namespace.apply(&map.to_string()).await?;
            }
            scene.kill(APISERVER).await?;
            scene.start(APISERVER).await?;
            answers(&scene).await?;
            for pod in &pods {
                inside::cut(&scene, pod, 443, false).await?;
            }
            Ok(())
        })
        .await
}

/// The API server's own way to say 429: a priority level that admits nothing.
pub async fn a_storm_of_429() -> Result<()> {
    let scene = Scene::open().await?;
    let what = "a priority level that answers every request of the operator with 429";
    let level = json!({"apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "PriorityLevelConfiguration",
        "metadata": {"name": "storm"}, "spec": {"type": "Limited", "limited": {
            "nominalConcurrencyShares": 0, "lendablePercent": 0, "borrowingLimitPercent": 0,
            "limitResponse": {"type": "Reject"}}}});
    let subject = json!({"kind": "User", "user": {"name": USER}});
    let all =
        json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"], "namespaces": ["*"], "clusterScope": true}]);
    let schema = json!({"apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "FlowSchema",
        "metadata": {"name": "storm"}, "spec": {"matchingPrecedence": 2, "priorityLevelConfiguration": {"name": "storm"},
            "distinguisherMethod": {"type": "ByUser"},
            "rules": [{"subjects": [subject], "resourceRules": all}]}});
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [level, schema]}).to_string();
    scene
        .during("storm of 429", what, Bound::Never, async || {
            let mark = scene.audit().mark()?;
            scene.kubectl_with(&["apply", "-f", "-"], &list).await?;
            sleep(lasting(15, 60)).await;
            scene.kubectl_with(&["delete", "-f", "-"], &list).await?;
            let refused = scene.audit().since(mark)?;
            let refused = refused.iter().filter(|r| r.user == USER && r.code == 429).count();
            println!("429 was answered {refused} times");
            anyhow::ensure!(refused > 0, "nobody was answered 429");
            Ok(())
        })
        .await
}

/// Someone who writes everything that the operator is about to write.
pub async fn a_storm_of_409() -> Result<()> {
    let scene = Scene::open().await?;
    let what = "someone changes the Lease and every child of the load's stacks as fast as kubectl can";
    scene
        .during("storm of 409", what, Bound::Never, async || {
            let mark = scene.audit().mark()?;
            let end = Instant::now() + lasting(10, 60);
            let mut round = 0;
            while Instant::now() < end {
                round += 1;
                let noise = format!("noise={round}");
                let lease = [
                    "-n",
                    NAMESPACE,
                    "annotate",
                    "--overwrite",
                    "lease/llm-operator-leader",
                    &noise,
                ];
                scene.kubectl(&lease).await?;
                let children = [
                    "annotate",
                    "--overwrite",
                    "deployments,services,configmaps",
                    "--all",
                    &noise,
                ];
                scene.namespace.kubectl(&children).await?;
            }
            let conflicts = scene.audit().since(mark)?;
            let conflicts = conflicts.iter().filter(|r| r.user == USER && r.code == 409).count();
            println!("409 was answered {conflicts} times in {round} rounds");
            Ok(())
        })
        .await
}

pub async fn the_api_server_is_slow() -> Result<()> {
    let scene = Scene::open().await?;
    let detour = Detour::start(&scene).await?;
    let variables = json!([
        {"name": "KUBERNETES_SERVICE_HOST", "value": detour.address.ip().to_string()},
        {"name": "KUBERNETES_SERVICE_PORT", "value": detour.address.port().to_string()},
    ]);
    scene.install_with(&json!({"extraEnv": variables})).await?;
    scene.whole().await?;
    let what = "every call of both replicas is answered 2 s late";
    scene
        .during("API server slow", what, Bound::Never, async || {
            detour.wire().inject(Rule::any("", Effect::Delay { millis: 2000 }));
            sleep(lasting(20, 120)).await;
            let calls = detour.wire().requests().len();
            ensure!(calls > 5, "{calls} calls went this way");
            detour.wire().replace(vec![]);
            Ok(())
        })
        .await?;
    scene.install().await
}

pub async fn the_api_server_stands_still() -> Result<()> {
    let scene = Scene::open().await?;
    let what = "the API server stands still for 2 s of every 2.3";
    scene
        .during("API server stands still", what, Bound::Never, async || {
            let end = Instant::now() + lasting(15, 60);
            while Instant::now() < end {
                scene.pause(APISERVER).await?;
                sleep(Duration::from_secs(2)).await;
                scene.resume(APISERVER).await?;
                sleep(Duration::from_millis(300)).await;
            }
            Ok(())
        })
        .await
}

pub async fn rights_are_taken_away() -> Result<()> {
    let scene = Scene::open().await?;
    let bindings = [
        ("clusterrolebinding", "llm-operator-system-llm-operator"),
        ("rolebinding", "llm-operator"),
    ];
    scene
        .during(
            "rights taken away",
            "both bindings deleted, and made again",
            Bound::For(10),
            async || {
                let mut kept = vec![];
                for (kind, name) in bindings {
                    let said = scene
                        .kubectl(&["-n", NAMESPACE, "get", kind, name, "-o", "json"])
                        .await?;
                    let mut binding: Value = serde_json::from_str(&said)?;
                    for field in ["resourceVersion", "uid", "creationTimestamp", "managedFields"] {
                        binding["metadata"]
                            .as_object_mut()
                            .map(|metadata| metadata.remove(field));
                    }
                    kept.push(binding);
                    scene.kubectl(&["-n", NAMESPACE, "delete", kind, name]).await?;
                }
                sleep(lasting(10, 60)).await;
                for binding in kept {
                    scene.kubectl_with(&["create", "-f", "-"], &binding.to_string()).await?;
                }
                Ok(())
            },
        )
        .await
}
