//! A control plane with KWOK nodes: pods that are played, and a control plane that is broken on purpose.

mod web;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;

use anyhow::{Context, Result};
use cluster::components::{APISERVER, ETCD, KWOK};
use cluster::control::Condition;
use cluster::test::{Namespace, Suite, until};
use cluster::{Cluster, Kind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use web::{LIMIT, WEB, web_is_ready};

fn main() -> ExitCode {
    Suite::new()
        .test(
            "pods_become_ready_and_misbehave_on_cue",
            Kind::Kwok,
            pods_become_ready_and_misbehave_on_cue,
        )
        .test(
            "a_test_answers_for_a_played_pod",
            Kind::Kwok,
            a_test_answers_for_a_played_pod,
        )
        .test("claims_are_bound", Kind::Kwok, claims_are_bound)
        .test("requests_are_counted", Kind::Kwok, requests_are_counted)
        .test(
            "components_stop_freeze_and_come_back",
            Kind::Kwok,
            components_stop_freeze_and_come_back,
        )
        .one_by_one()
        .run()
}

/// Every test has a cluster of its own: one of them breaks it.
async fn cluster() -> Result<Cluster> {
    Cluster::separate("test-kwok", Kind::Kwok, 2).await
}

async fn pods_become_ready_and_misbehave_on_cue() -> Result<()> {
    let namespace = cluster().await?.namespace("on-cue").await?;
    namespace.apply(WEB).await?;
    web_is_ready(&namespace, 2).await?;
    let pods = namespace
        .kubectl(&["get", "pods", "-o", "jsonpath={.items[*].metadata.name}"])
        .await?;
    let first = pods.split(' ').next().context("no pods")?;
    for (annotation, jsonpath, expected) in [
        ("kwok.test/ready", "{.status.containerStatuses[0].ready}", "false"),
        (
            "kwok.test/crash",
            "{.status.containerStatuses[0].state.waiting.reason}",
            "CrashLoopBackOff",
        ),
    ] {
        let value = if annotation.ends_with("ready") { "false" } else { "true" };
        namespace
            .kubectl(&["annotate", "pod", first, &format!("{annotation}={value}")])
            .await?;
        pod_says(&namespace, first, jsonpath, expected).await?;
        namespace
            .kubectl(&["annotate", "pod", first, &format!("{annotation}-")])
            .await?;
        pod_says(
            &namespace,
            first,
            "{.status.conditions[?(@.type=='Ready')].status}",
            "True",
        )
        .await?;
    }
    Ok(())
}

async fn pod_says(namespace: &Namespace, pod: &str, jsonpath: &str, expected: &str) -> Result<()> {
    namespace
        .until(&format!("{jsonpath} is {expected}"), LIMIT, async || {
            let path = format!("jsonpath={jsonpath}");
            Ok((namespace.kubectl(&["get", "pod", pod, "-o", &path]).await? == expected).then_some(()))
        })
        .await
}

/// The API server reaches a played pod at its own address, as it reaches a webhook.
async fn a_test_answers_for_a_played_pod() -> Result<()> {
    let cluster = cluster().await?;
    let namespace = cluster.namespace("answers").await?;
    namespace.apply(WEB).await?;
    web_is_ready(&namespace, 2).await?;
    let addresses = namespace
        .kubectl(&["get", "pods", "-o", "jsonpath={.items[*].status.podIP}"])
        .await?;
    let addresses: BTreeSet<&str> = addresses.split(' ').collect();
    assert_eq!(addresses.len(), 2, "each pod has its own: {addresses:?}");
    for address in addresses {
        let listener = cluster
            .listen_on(SocketAddr::new(address.parse::<IpAddr>()?, 8080))
            .await?;
        tokio::spawn(async move {
            while let Ok((mut caller, _)) = listener.accept().await {
                let mut request = [0; 1024];
                if caller.read(&mut request).await.is_ok() {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\nconnection: close\r\n\r\none\ntwo\nend.";
                    drop(caller.write_all(answer).await);
                }
            }
        });
    }
    let name = namespace.name();
    let proxy = format!("/api/v1/namespaces/{name}/services/web:80/proxy/");
    assert_eq!(cluster.kubectl(&["get", "--raw", &proxy]).await?, "one\ntwo\nend.");
    let mut reply = cluster.http("GET", &format!("http://web.{name}.svc/"), None).await?;
    let mut lines = Vec::new();
    while let Some(line) = reply.line().await? {
        lines.push(line);
    }
    assert_eq!(lines, ["one", "two", "end."]);
    Ok(())
}

async fn claims_are_bound() -> Result<()> {
    let namespace = cluster().await?.namespace("claims").await?;
    let claim = "
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteMany], resources: {requests: {storage: 7Gi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: user}
spec:
  restartPolicy: Never
  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: user
    image: 'x:1'
    securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
    volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
";
    namespace.apply(claim).await?;
    pod_says(&namespace, "user", "{.status.phase}", "Succeeded").await?;
    let bound = namespace.kubectl(&[
        "get",
        "pvc",
        "data",
        "-o",
        "jsonpath={.status.phase} {.status.capacity.storage}",
    ]);
    assert_eq!(bound.await?, "Bound 7Gi");
    Ok(())
}

async fn requests_are_counted() -> Result<()> {
    let cluster = cluster().await?;
    let namespace = cluster.namespace("audit").await?;
    let mark = cluster.audit().mark()?;
    namespace.kubectl(&["create", "configmap", "one"]).await?;
    namespace.kubectl(&["get", "configmap", "one"]).await?;
    let requests = cluster.audit().since(mark)?;
    let ours: Vec<_> = requests
        .iter()
        .filter(|r| r.namespace == namespace.name() && r.resource == "configmaps")
        .collect();
    let ours: Vec<_> = ours
        .iter()
        .filter(|r| r.user_agent.starts_with("kubectl/"))
        .map(|r| (r.verb.as_str(), r.code))
        .collect();
    assert_eq!(ours, [("create", 201), ("get", 200)]);
    Ok(())
}

async fn components_stop_freeze_and_come_back() -> Result<()> {
    let cluster = cluster().await?;
    let namespace = cluster.namespace("faults").await?;
    let version = ["get", "--raw", "/version", "--request-timeout=2s"];
    cluster.pause(APISERVER).await?;
    assert!(
        cluster.kubectl(&version).await.is_err(),
        "a frozen API server answers nothing"
    );
    cluster.resume(APISERVER).await?;
    until("an answer after the freeze", LIMIT, async || {
        cluster.kubectl(&version).await.map(Some)
    })
    .await?;

    for component in [ETCD, APISERVER, KWOK] {
        cluster.kill(component).await?;
        let status = cluster.components().await?.into_iter().find(|s| s.name == component);
        assert_eq!(status.map(|s| s.condition), Some(Condition::Stopped));
        // Its leases can only be looked at with a running API server.
        cluster.start(component).await?;
        until("readiness", LIMIT, async || {
            cluster.kubectl(&["get", "--raw", "/readyz"]).await.map(Some)
        })
        .await?;
    }
    namespace.apply(WEB).await?;
    web_is_ready(&namespace, 2).await?;
    let error = cluster
        .stop("no-such")
        .await
        .err()
        .context("no such component")?
        .to_string();
    assert!(
        error.contains("no component \"no-such\"; it has etcd, kube-apiserver"),
        "{error}"
    );
    Ok(())
}
