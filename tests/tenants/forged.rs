//! Marks that say what is not so: labels, owners and annotations of ours on objects of others, and the other way round.

use super::live::objects::{condition, is_observed, uid};
use super::live::operator::{self, NAMESPACE};
use super::tenant::{Tenant, model, stack};
use anyhow::{Context, Result, ensure};
use llm_operator::base::object::{DEPLOYMENT, MANAGED_BY, OPERATOR, RETAINED_FOR};
use serde_json::{Value, json};

/// What somebody hopes is taken for a credential.
const KNOWN: &str = "known-to-somebody";

pub async fn forged_marks_win_nothing() -> Result<()> {
    let tenant = Tenant::new("forged").await?;
    let victim = operator::shared().await?.namespace("forged-victim").await?;
    let theirs = stack("theirs", &json!({"suspend": true, "ollama": {"models": []}}));
    victim.apply(&theirs.to_string()).await?;
    let theirs: Value = serde_json::from_str(&victim.kubectl(&["get", "lmdeployment", "theirs", "-o", "json"]).await?)?;
    let owner = |uid: &str| json!([{"apiVersion": "llm.geeper.io/v1alpha1", "kind": "LMDeployment", "name": "theirs", "uid": uid, "controller": true}]);

    // A model that says that it is the child of a stack elsewhere is nobody's child: that stack does not count it.
    let mut child = model(
        "child",
        &json!({"name": "tiny", "target": {"deploymentRef": {"name": "theirs"}}}),
    );
    child["metadata"]["labels"] = json!({DEPLOYMENT: "theirs", MANAGED_BY: OPERATOR});
    child["metadata"]["ownerReferences"] = owner(uid(&theirs));
    tenant.creates(&child).await?;

    // What somebody with more rights than a tenant has put where a stack will have its own.
    let cases = [
        ("plain", json!({}), json!(null)),
        (
            "other-stack",
            json!({DEPLOYMENT: "somebody", MANAGED_BY: OPERATOR}),
            json!(null),
        ),
        (
            "other-owner",
            json!({DEPLOYMENT: "other-owner", MANAGED_BY: OPERATOR}),
            owner("5c4f9a3e-0000-4000-8000-000000000000"),
        ),
        (
            "other-kept",
            json!({DEPLOYMENT: "other-kept", MANAGED_BY: OPERATOR, "kept": "yes"}),
            json!(null),
        ),
    ];
    for (name, labels, owners) in &cases {
        let mut meta = json!({"labels": labels});
        if !owners.is_null() {
            // The collector of garbage removes what names an owner that does not exist, so the owner is one that does.
            let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner"}});
            tenant.namespace.apply(&map.to_string()).await?;
            let map = tenant.get("ConfigMap", "owner").await?;
            meta["ownerReferences"] =
                json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid(&map)}]);
        }
        if labels["kept"] == "yes" {
            meta["annotations"] = json!({RETAINED_FOR: "LMDeployment/somebody"});
        }
        let mut secret =
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {"WEBUI_SECRET_KEY": KNOWN}});
        secret["metadata"]["name"] = format!("{name}-openwebui-secret").into();
        let mut map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": secret["metadata"], "data": {"required": KNOWN}});
        map["metadata"]["name"] = format!("{name}-ollama-models").into();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": [secret, map]});
        tenant.namespace.apply(&list.to_string()).await?;
        let spec = json!({"suspend": true, "ollama": {"models": []}, "openwebui": {"enabled": true}});
        tenant.creates(&stack(name, &spec)).await?;
        let told = |o: &Value| {
            let said = o["status"]["conditions"].to_string();
            is_observed(o)
                && said.contains("\"Conflict\"")
                && said.contains("-openwebui-secret exists and does not belong")
        };
        tenant
            .until("tells of the conflict", "LMDeployment", name, told)
            .await?;
        let map = tenant.get("ConfigMap", &format!("{name}-ollama-models")).await?;
        ensure!(map["data"]["required"] == KNOWN, "{name}: it was written over: {map}");
    }

    // The victim lives on as if nobody had said anything.
    let now: Value = serde_json::from_str(&victim.kubectl(&["get", "lmdeployment", "theirs", "-o", "json"]).await?)?;
    ensure!(uid(&now) == uid(&theirs) && now["metadata"]["generation"] == 1, "{now}");
    ensure!(
        !now["status"].to_string().contains("tiny"),
        "a child of another namespace was counted: {now}"
    );
    let models = victim.kubectl(&["get", "ollamamodels", "-o", "name"]).await?;
    ensure!(models.trim().is_empty(), "{models}");
    Ok(())
}

pub async fn pods_cannot_pass_for_others() -> Result<()> {
    let tenant = Tenant::new("pass-for").await?;
    let labels = json!({
        "app.kubernetes.io/name": OPERATOR, "app.kubernetes.io/instance": "theirs", "app.kubernetes.io/component": "redis",
        "app.kubernetes.io/part-of": "kube-system", MANAGED_BY: "Helm", DEPLOYMENT: "theirs", "ollama-deployment": "theirs",
        "app": "redis", "mine": "yes",
    });
    let spec = json!({
        "suspend": true, "networkPolicy": {"enabled": true, "from": []},
        "ollama": {"models": ["tiny"], "podLabels": labels},
        "openwebui": {"enabled": true, "podLabels": labels, "pipelines": {"enabled": true, "podLabels": labels}},
        "tabby": {"enabled": true, "ollamaServiceName": "elsewhere", "podLabels": labels},
    });
    tenant.creates(&stack("mine", &spec)).await?;
    for component in ["ollama", "openwebui", "pipelines"] {
        let made = |_: &Value| true;
        let workload = tenant
            .until("is made", "Deployment", &format!("mine-{component}"), made)
            .await?;
        let pod = &workload["spec"]["template"]["metadata"]["labels"];
        for (key, value) in [
            ("app.kubernetes.io/name", component),
            ("app.kubernetes.io/instance", "mine"),
            ("app.kubernetes.io/component", component),
            (MANAGED_BY, OPERATOR),
            (DEPLOYMENT, "mine"),
            ("ollama-deployment", "mine"),
            ("app", component),
            ("mine", "yes"),
        ] {
            ensure!(pod[key] == value, "{component}: {key}: {pod}");
        }
    }
    // Who is let in as the operator is in the operator's namespace, whatever its labels say.
    let policy = tenant
        .until("is made", "NetworkPolicy", "mine-ollama", |_| true)
        .await?;
    let peers = policy["spec"]["ingress"][0]["from"]
        .as_array()
        .context("nobody is let in")?;
    let operators = peers
        .iter()
        .filter(|p| p["podSelector"]["matchLabels"]["app.kubernetes.io/name"] == OPERATOR);
    for peer in operators {
        let place = &peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"];
        ensure!(place == NAMESPACE, "{peer}");
    }
    let object = tenant.get("LMDeployment", "mine").await?;
    ensure!(condition(&object, "Ready").1 != "Conflict", "{object}");
    Ok(())
}
