//! The rights of a release in the forms that the shared one does not have: other keepers of the certificate, and some
//! namespaces only.

use super::CLUSTER;
use super::live::operator::{self, NAMESPACE};
use super::live::rights::are_those_in_use;
use super::live::stage::Stage;
use super::manager::CertManager;
use super::modes::{THEIRS, give};
use anyhow::Result;
use serde_json::{Value, json};

pub async fn rights_under_cert_manager_are_those_in_use() -> Result<()> {
    let alone = operator::alone(CLUSTER).await?;
    let manager = CertManager::start(&alone).await?;
    let stage = Stage::on(&alone, "manager").await?;
    check(&alone, &stage, &json!({"webhook": {"tls": {"mode": "certManager"}}})).await?;
    drop(manager);
    alone.install().await
}

pub async fn rights_in_one_namespace_are_those_in_use() -> Result<()> {
    let alone = operator::alone(CLUSTER).await?;
    give(&alone).await?;
    let stage = Stage::on(&alone, "confined").await?;
    let given = json!({"mode": "existingSecret", "existingSecret": THEIRS});
    let values = json!({"webhook": {"tls": given}, "watchNamespaces": [stage.namespace.name()]});
    check(&alone, &stage, &values).await?;
    alone.install().await?;
    alone
        .kubectl(&["-n", NAMESPACE, "delete", "secret", THEIRS])
        .await
        .map(drop)
}

/// From the first start on: pods of the form before would be refused what they no longer may.
async fn check(alone: &operator::Alone, stage: &Stage, values: &Value) -> Result<()> {
    alone.install_with(values).await?;
    alone.scale(0).await?;
    let mark = alone.audit().mark()?;
    alone.scale(2).await?;
    // What was trusted before is still in there: as after an accident, it is to be put there again.
    for kind in ["mutating", "validating"] {
        let name = format!("{kind}webhookconfiguration/llm-operator-system-llm-operator-{kind}");
        let wipe = r#"[{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]"#;
        alone.kubectl(&["patch", &name, "--type=json", "-p", wipe]).await?;
    }
    are_those_in_use(stage, mark, &["--set-json".into(), flat(values)]).await
}

/// As `--set-json` takes it: the keys of the first level with their values.
fn flat(values: &Value) -> String {
    let keys = values.as_object().into_iter().flatten();
    keys.map(|(key, value)| format!("{key}={value}"))
        .collect::<Vec<_>>()
        .join(",")
}
