//! Texts that mean something to a shell, to TOML, to YAML or to the kubelet arrive as the texts that they are.

use super::tenant::{Tenant, stack};
use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const ODD: [&str; 9] = [
    "$(touch /tmp/x)",
    "`id`; id && id | id > /x",
    "a\nb: c\n- d\n---\nkind: Secret",
    "'\"\\'\"",
    "]\n[server]\nendpoint = \"http://x\"",
    "{{ .Values.x }}{% raw %}",
    "\u{1b}[31m\u{202e}\u{feff}",
    "!!python/object/apply:os.system [id]",
    "*anchor &anchor <<: ~",
];

pub async fn texts_stay_texts() -> Result<()> {
    let tenant = Tenant::new("texts").await?;
    let variables: Vec<Value> = (0..)
        .zip(ODD)
        .map(|(i, text)| json!({"name": format!("ODD_{i}"), "value": text}))
        .collect();
    let plain = json!({"suspend": true, "ollama": {"models": []}, "openwebui": {"enabled": true}});
    let mut odd = plain.clone();
    let block = json!({"env": variables, "extraArgs": ODD, "podAnnotations": {"note": ODD[2]}, "service": {"annotations": {"note": ODD[4]}}});
    llm_operator::base::object::merge(&mut odd["ollama"], block.clone());
    llm_operator::base::object::merge(&mut odd["openwebui"], block);
    tenant.creates(&stack("plain", &plain)).await?;
    tenant.creates(&stack("odd", &odd)).await?;
    for component in ["ollama", "openwebui"] {
        let made = |_: &Value| true;
        let plain = tenant
            .until("is made", "Deployment", &format!("plain-{component}"), made)
            .await?;
        let odd = tenant
            .until("is made", "Deployment", &format!("odd-{component}"), made)
            .await?;
        let container = |o: &Value| o["spec"]["template"]["spec"]["containers"][0].clone();
        let (plain, odd) = (container(&plain), container(&odd));
        for field in [
            "command",
            "livenessProbe",
            "readinessProbe",
            "startupProbe",
            "lifecycle",
        ] {
            ensure!(
                plain[field] == odd[field],
                "{component}: {field} depends on a text: {}",
                odd[field]
            );
        }
        let arguments = odd["args"].as_array().context("it has no arguments")?;
        ensure!(arguments.ends_with(&ODD.map(Value::from)), "{component}: {arguments:?}");
        for variable in &variables {
            let all = odd["env"].as_array().context("it has no variables")?;
            ensure!(all.contains(variable), "{component}: {variable} is not in {all:?}");
        }
    }
    let service = tenant.get("Service", "odd-ollama").await?;
    ensure!(service["metadata"]["annotations"]["note"] == ODD[4], "{service}");
    passwords(&tenant).await
}

/// An inline password is in a Secret of ours, as it is or as an address can hold it, and nowhere else.
async fn passwords(tenant: &Tenant) -> Result<()> {
    let password = "p$(id)`id`'\"\\ %@:/?#[]&=+;ü";
    let spec = json!({
        "suspend": true, "ollama": {"models": []},
        "openwebui": {"enabled": true, "redis": {"enabled": true, "password": password}},
    });
    tenant.creates(&stack("pass", &spec)).await?;
    let has = |o: &Value| {
        let data = o["data"].as_object().into_iter().flatten();
        let mut texts = data.filter_map(|(_, v)| STANDARD.decode(v.as_str()?).ok());
        texts.any(|bytes| bytes == password.as_bytes())
    };
    tenant
        .until("holds the password", "Secret", "pass-redis-secret", has)
        .await?;
    let reads = |o: &Value| o["spec"].to_string().contains("secretKeyRef");
    tenant
        .until("reads the Secret", "Deployment", "pass-redis", reads)
        .await?;
    // Open WebUI waits for its Redis, which is suspended: so all that is there is looked at.
    for kind in ["Deployment", "StatefulSet", "ConfigMap", "Service"] {
        let all = json!(tenant.list(kind, "llm-deployment=pass").await?).to_string();
        let shown = all.contains("p$(id)") || all.contains("p%24");
        ensure!(!shown, "a {kind} shows the password: {all}");
    }
    Ok(())
}
