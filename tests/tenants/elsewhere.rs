//! Attempts that the schema cannot tell from good manifests: names of what is in another namespace, and servers that
//! send the operator elsewhere.

use super::live::objects::{condition, is_observed};
use super::live::operator::{self, USER};
use super::tenant::{Tenant, model, stack};
use anyhow::{Result, ensure};
use cluster::test::until;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// What nobody but its namespace may see.
const TREASURE: &str = "the-treasure-of-others";

pub async fn nothing_of_another_namespace_is_used() -> Result<()> {
    let tenant = Tenant::new("elsewhere").await?;
    let victim = operator::shared().await?.namespace("victim").await?;
    let mark = tenant.cluster().audit().mark()?;
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"},
        "stringData": {"password": TREASURE, "LANGFUSE_PUBLIC_KEY": TREASURE, "LANGFUSE_SECRET_KEY": TREASURE},
    });
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "theirs"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    });
    let chat = stack("theirs", &json!({"suspend": true, "ollama": {"models": []}}));
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [secret, claim, chat]});
    victim.apply(&list.to_string()).await?;

    let redis = json!({"enabled": true, "passwordSecretRef": {"name": "keys", "key": "password"}});
    let spec = json!({
        "suspend": true, "openwebui": {"enabled": true, "redis": redis},
        "ollama": {"models": [], "persistence": {"enabled": true, "existingClaim": "theirs"}},
    });
    tenant.creates(&stack("mine", &spec)).await?;
    let told = |o: &Value| {
        let all = o["status"]["conditions"].as_array().into_iter().flatten();
        is_observed(o) && all.into_iter().any(|c| c["reason"] == "SecretMissing")
    };
    tenant
        .until("tells of the Secret", "LMDeployment", "mine", told)
        .await?;

    // Stacks and Services of that name are looked for in the tenant's own namespace, and are not there.
    for (name, target) in [
        ("by-stack", json!({"deploymentRef": {"name": "theirs"}})),
        ("by-service", json!({"service": {"name": "theirs-ollama"}})),
    ] {
        tenant
            .creates(&model(name, &json!({"name": "tiny", "target": target})))
            .await?;
        let told = |o: &Value| condition(o, "Ready").1 == "NoServer";
        tenant.until("finds no server", "OllamaModel", name, told).await?;
    }
    for kind in [
        "Secret",
        "ConfigMap",
        "Deployment",
        "StatefulSet",
        "LMDeployment",
        "OllamaModel",
    ] {
        let all = json!(tenant.list(kind, "").await?).to_string();
        ensure!(!all.contains(TREASURE), "a {kind} holds what is not the tenant's");
    }
    let asked = tenant.cluster().audit().since(mark)?.into_iter();
    let secrets = asked.filter(|r| r.user == USER && r.resource == "secrets" && r.namespace == victim.name());
    let keys: Vec<_> = secrets.filter(|r| r.uri.contains("keys")).collect();
    ensure!(
        keys.is_empty(),
        "the operator read a Secret that no stack there names: {keys:?}"
    );
    ensure!(
        !operator::logs(tenant.cluster()).await.contains(TREASURE),
        "it is in the operator's log"
    );
    Ok(())
}

pub async fn the_operator_follows_nobody_elsewhere() -> Result<()> {
    let tenant = Tenant::new("follows").await?;
    let (hidden, asked) = server(
        &tenant,
        format!("HTTP/1.1 200 OK\r\ncontent-length: 22\r\n\r\n{TREASURE}"),
    )
    .await?;
    for (name, status) in [
        ("moved", "301 Moved Permanently"),
        ("found", "302 Found"),
        ("kept", "307 Temporary Redirect"),
    ] {
        let answer = format!(
            "HTTP/1.1 {status}\r\nlocation: http://{hidden}/secret\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        let (address, visits) = server(&tenant, answer).await?;
        // Servers at this address are on the list of the tests' release.
        let target = json!({"url": format!("http://{address}")});
        tenant
            .creates(&model(name, &json!({"name": "tiny", "target": target})))
            .await?;
        let told = |o: &Value| condition(o, "Ready").1 == "ServerUnreachable";
        let object = tenant.until("is told of the server", "OllamaModel", name, told).await?;
        ensure!(
            visits.load(Relaxed) > 0 && !object.to_string().contains(TREASURE),
            "{object}"
        );
    }
    ensure!(asked.load(Relaxed) == 0, "the operator went where it was sent");

    for (name, spec, words) in [
        (
            "outside",
            json!({"type": "ExternalName", "externalName": "kubernetes.default.svc"}),
            "ExternalName",
        ),
        ("unselected", json!({"ports": [{"port": 80}]}), "has no selector"),
    ] {
        // Made by somebody else: the tenant may not.
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec});
        tenant.namespace.apply(&service.to_string()).await?;
        tenant
            .creates(&model(
                name,
                &json!({"name": "tiny", "target": {"service": {"name": name}}}),
            ))
            .await?;
        let told =
            |o: &Value| condition(o, "Stalled") == ("True", "TargetRefused") && o["status"].to_string().contains(words);
        tenant.until("is refused", "OllamaModel", name, told).await?;
    }
    for name in ["moved", "found", "kept", "outside", "unselected"] {
        tenant.delete("OllamaModel", name).await?;
    }
    let none = async || Ok(tenant.list("OllamaModel", "").await?.is_empty().then_some(()));
    until("all are gone", super::live::LIMIT, none).await
}

/// A server at the node's address that answers everything the same; how often it was asked.
async fn server(tenant: &Tenant, answer: String) -> Result<(String, Arc<AtomicUsize>)> {
    let listener: TcpListener = tenant.cluster().listen(0).await?;
    let address = listener.local_addr()?.to_string();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Relaxed);
            // A connection that breaks is the client's affair.
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    Ok((address, asked))
}

pub async fn unknown_fields_get_nowhere() -> Result<()> {
    let tenant = Tenant::new("unknown").await?;
    let wild = json!({
        "suspend": true, "hostNetwork": true,
        "ollama": {
            "models": [], "hostNetwork": true, "hostPID": true, "hostIPC": true, "automountServiceAccountToken": true,
            "shareProcessNamespace": true, "containers": [{"name": "more", "image": "x"}],
            "service": {"externalIPs": ["10.96.0.1"], "externalName": "kubernetes.default.svc"},
            "serviceAccount": {"name": "privileged", "automount": true},
        },
    });
    let made = tenant
        .kubectl(
            &["create", "--validate=false", "-f", "-"],
            &stack("wild", &wild).to_string(),
        )
        .await?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let there = |_: &Value| true;
    let workload = tenant.until("is made", "Deployment", "wild-ollama", there).await?;
    let pod = &workload["spec"]["template"]["spec"];
    for field in ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"] {
        ensure!(pod[field].is_null(), "{field}: {pod}");
    }
    ensure!(pod["containers"].as_array().map(Vec::len) == Some(1), "{pod}");
    // An account of the namespace may be named; its token does not come into the pod.
    ensure!(
        pod["serviceAccountName"] == "privileged" && pod["automountServiceAccountToken"] == false,
        "{pod}"
    );
    let service = tenant.until("is made", "Service", "wild-ollama", there).await?;
    let spec = &service["spec"];
    ensure!(
        spec["externalIPs"].is_null() && spec["externalName"].is_null(),
        "{spec}"
    );
    // Blocks of free form are laid over the pod as they are. What a pod has not, the API server refuses, and that is told.
    let block = json!({"models": [], "podSecurityContext": {"hostNetwork": true}});
    tenant
        .creates(&stack("laid", &json!({"suspend": true, "ollama": block})))
        .await?;
    let told = |o: &Value| {
        let said = o["status"]["conditions"].to_string();
        condition(o, "Stalled") == ("True", "Refused") && said.contains("securityContext.hostNetwork")
    };
    tenant.until("is refused", "LMDeployment", "laid", told).await?;
    Ok(())
}
