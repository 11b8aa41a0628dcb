//! The real node: pods, Services, names, volumes, images, charts, all through the library that tests use.

mod web;

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use cluster::test::Suite;
use cluster::{Cluster, Helm, Kind, packages};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use web::{LIMIT, WEB, web_is_ready};

fn main() -> ExitCode {
    Suite::new()
        .test(
            "a_deployment_answers_through_its_service",
            Kind::Node,
            a_deployment_answers_through_its_service,
        )
        .test(
            "a_stand_in_of_the_test_is_reached_by_name",
            Kind::Node,
            a_stand_in_of_the_test_is_reached_by_name,
        )
        .test("a_claim_keeps_its_data", Kind::Node, a_claim_keeps_its_data)
        .test(
            "refusals_are_what_kubectl_prints",
            Kind::Node,
            refusals_are_what_kubectl_prints,
        )
        .test("both_helms_install_a_chart", Kind::Node, both_helms_install_a_chart)
        .test("an_image_from_buildah_runs", Kind::Node, an_image_from_buildah_runs)
        .test(
            "kwok_nodes_stand_beside_the_real_one",
            Kind::Node,
            kwok_nodes_stand_beside_the_real_one,
        )
        .run()
}

async fn a_deployment_answers_through_its_service() -> Result<()> {
    let namespace = Cluster::shared().await?.namespace("web").await?;
    namespace.apply(WEB).await?;
    web_is_ready(&namespace, 2).await?;
    let url = format!("http://web.{}.svc/", namespace.name());
    namespace
        .until("an answer from each replica", LIMIT, async || {
            let mut seen = std::collections::BTreeSet::new();
            for _ in 0..20 {
                let mut reply = namespace.cluster().http("GET", &url, None).await?;
                ensure!(reply.status == 200, "status {}", reply.status);
                seen.insert(reply.line().await?);
            }
            Ok((seen.len() == 2).then_some(()))
        })
        .await?;
    let inside = ["exec", "deploy/web", "--", "wget", "-qO-", "http://web/"];
    let answer = namespace.kubectl(&inside).await?;
    assert!(answer.starts_with("web-"), "through the cluster's DNS: {answer}");
    assert!(namespace.kubectl(&["logs", "deploy/web"]).await.is_ok());
    Ok(())
}

async fn a_stand_in_of_the_test_is_reached_by_name() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let namespace = cluster.namespace("stand-in").await?;
    let listener = cluster.listen(0).await?;
    let port = listener.local_addr()?.port();
    cluster.add_host("stand-in.test")?;
    tokio::spawn(async move {
        while let Ok((mut caller, _)) = listener.accept().await {
            let mut request = [0; 1024];
            if caller.read(&mut request).await.is_ok() {
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nhello\n";
                drop(caller.write_all(answer).await);
            }
        }
    });
    namespace.apply(WEB).await?;
    web_is_ready(&namespace, 2).await?;
    let url = format!("http://stand-in.test:{port}/");
    let answer = namespace
        .until("the stand-in's answer", LIMIT, async || {
            Ok(Some(
                namespace
                    .kubectl(&["exec", "deploy/web", "--", "wget", "-qO-", &url])
                    .await?,
            ))
        })
        .await?;
    assert_eq!(answer, "hello\n");
    Ok(())
}

const CLAIM: &str = "
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
";

fn job(name: &str, script: &str) -> String {
    let security = json!({"runAsNonRoot": true, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}});
    let container = json!({"name": "job", "image": "localhost/busybox:1", "command": ["sh", "-c", script],
        "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}]});
    let volumes = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]);
    let pod = json!({"restartPolicy": "Never", "securityContext": security, "containers": [container],
        "volumes": volumes});
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}}})
    .to_string()
}

async fn a_claim_keeps_its_data() -> Result<()> {
    let namespace = Cluster::shared().await?.namespace("claim").await?;
    namespace.apply(CLAIM).await?;
    for (name, script) in [("write", "echo kept > /data/file"), ("read", "cat /data/file")] {
        namespace.apply(&job(name, script)).await?;
        let of_job = format!("job/{name}");
        namespace
            .until("the job's end", LIMIT, async || {
                let done = namespace
                    .kubectl(&["get", &of_job, "-o", "jsonpath={.status.succeeded}"])
                    .await?;
                Ok((done == "1").then_some(()))
            })
            .await?;
    }
    assert_eq!(namespace.kubectl(&["logs", "job/read"]).await?, "kept\n");
    Ok(())
}

async fn refusals_are_what_kubectl_prints() -> Result<()> {
    let namespace = Cluster::shared().await?.namespace("refusals").await?;
    let root = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: 'x:1'}]}\n";
    let message = namespace.refuses(root).await?;
    assert!(
        message.contains("violates PodSecurity \"restricted:latest\""),
        "{message}"
    );
    let wrong = namespace
        .refuses("apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {prots: []}\n")
        .await?;
    assert!(wrong.contains("unknown field \"spec.prots\""), "{wrong}");
    let accepted = namespace
        .accepts("apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: 1}]}")
        .await?;
    assert_eq!(
        accepted.object["spec"]["sessionAffinity"], "None",
        "filled in by the API server"
    );
    assert_eq!(accepted.warnings, Vec::<String>::new());
    assert!(
        namespace.kubectl(&["get", "service", "s"]).await.is_err(),
        "nothing is stored"
    );
    assert!(namespace.accepts(root).await.is_err() && namespace.refuses(CLAIM).await.is_err());
    Ok(())
}

async fn both_helms_install_a_chart() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chart");
    for (version, name) in [(Helm::V3, "three"), (Helm::V4, "four")] {
        let namespace = cluster.namespace(name).await?;
        let values = json!({"greeting": name});
        cluster
            .install(version, name, namespace.name(), &chart, &values)
            .await?;
        let greeting = ["get", "configmap", name, "-o", "jsonpath={.data.greeting}"];
        assert_eq!(namespace.kubectl(&greeting).await?, name);
        let refused = cluster
            .install(version, "Bad_Name", namespace.name(), &chart, &values)
            .await;
        let error = refused.err().context("Helm took a bad name")?;
        assert!(error.to_string().contains("Bad_Name"), "{error:#}");
    }
    Ok(())
}

async fn an_image_from_buildah_runs() -> Result<()> {
    packages::require(packages::Need::Images)?;
    let cluster = Cluster::shared().await?;
    let namespace = cluster.namespace("buildah").await?;
    let script = "set -e; c=$(buildah from scratch); buildah add -q $c \"$0\" /bin/busybox; \
        buildah config --entrypoint '[\"/bin/busybox\",\"echo\",\"built here\"]' $c; \
        buildah commit -q $c localhost/cluster-test:1; buildah rm $c";
    let busybox = packages::program("busybox").unwrap_or_default();
    let built = Command::new("sh").args(["-c", script]).arg(busybox).output()?;
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    assert_eq!(
        cluster.load("localhost/cluster-test:1").await?,
        ["localhost/cluster-test:1"]
    );
    Command::new("buildah")
        .args(["rmi", "localhost/cluster-test:1"])
        .output()?;
    let error = cluster
        .load("localhost/no-such-image:1")
        .await
        .err()
        .context("no such image")?
        .to_string();
    assert!(error.contains("neither a file nor an image"), "{error}");
    let overrides = json!({"spec": {"securityContext": {"runAsNonRoot": true, "runAsUser": 10001,
        "seccompProfile": {"type": "RuntimeDefault"}}, "containers": [{"name": "built",
        "image": "localhost/cluster-test:1", "securityContext": {"allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]}}}]}})
    .to_string();
    let run = [
        "run",
        "built",
        "--image=localhost/cluster-test:1",
        "--restart=Never",
        "--overrides",
        &overrides,
    ];
    namespace.kubectl(&run).await?;
    namespace
        .until("the log of the built image", LIMIT, async || {
            Ok((namespace.kubectl(&["logs", "built"]).await? == "built here\n").then_some(()))
        })
        .await
}

async fn kwok_nodes_stand_beside_the_real_one() -> Result<()> {
    let cluster = Cluster::shared().await?;
    cluster.add_kwok_nodes(2).await?;
    let namespace = cluster.namespace("beside").await?;
    namespace.apply(WEB).await?;
    let played = json!({"spec": {"template": {"spec": {"nodeSelector": {"kwok.test/node": "true"},
        "tolerations": [{"key": "kwok.test/node", "operator": "Exists"}]}}}})
    .to_string();
    web_is_ready(&namespace, 2).await?;
    let nodes = ["get", "pods", "-o", "jsonpath={.items[*].spec.nodeName}"];
    assert_eq!(
        namespace.kubectl(&nodes).await?,
        "node1 node1",
        "the taint keeps ordinary pods away"
    );
    namespace
        .kubectl(&["patch", "deployment", "web", "-p", &played])
        .await?;
    namespace
        .until("only played pods", LIMIT, async || {
            let nodes = namespace.kubectl(&nodes).await?;
            let played = nodes.split(' ').filter(|node| node.starts_with("kwok-")).count();
            Ok((played == 2 && !nodes.contains("node1")).then_some(()))
        })
        .await?;
    web_is_ready(&namespace, 2).await
}
