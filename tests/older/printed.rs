//! Every manifest that older documents print, applied as it is printed: accepted with its warnings, and made into its objects.

use super::live::objects::{Objects, name};
use super::live::{LIMIT, operator};
use super::manifests::PRINTED;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// Where objects exist before any model does, whatever their pods wait for.
const AT_ONCE: [&str; 5] = [
    "Service",
    "Secret",
    "Ingress",
    "PersistentVolumeClaim",
    "ServiceAccount",
];

fn read(file: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/seeds").join(file);
    std::fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// What `tests/seeds/golden` says of a manifest: its warnings, itself, and the objects made of it.
fn expected(file: &str) -> Result<(Vec<String>, Vec<Value>)> {
    let text = read(&format!("golden/{file}.yaml"))?;
    let warnings = text.lines().filter_map(|line| line.strip_prefix("# warning: "));
    Ok((
        warnings.map(str::to_string).collect(),
        serde_saphyr::from_multiple(&text)?,
    ))
}

pub async fn printed_manifests_apply_as_printed() -> Result<()> {
    let alone = operator::alone("older-left").await?;
    // Two of them print a namespace of their own, and nothing that would make it.
    let made = alone.kubectl(&["create", "namespace", "ai-models"]).await;
    if let Err(error) = made {
        ensure!(format!("{error:#}").contains("already exists"), "{error:#}");
    }
    for file in PRINTED {
        applies(&alone, file)
            .await
            .with_context(|| format!("tests/seeds/{file}.yaml"))?;
    }
    Ok(())
}

async fn applies(alone: &operator::Alone, file: &str) -> Result<()> {
    let text = read(&format!("{file}.yaml"))?;
    let (warnings, documents) = expected(file)?;
    let (own, objects) = documents.split_first().context("it becomes nothing")?;
    let output = alone.kubectl_output(&["apply", "-f", "-"], &text).await?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "refused: {said}");
    let told: BTreeSet<&str> = said.lines().filter_map(|line| line.strip_prefix("Warning: ")).collect();
    assert_eq!(told, warnings.iter().map(String::as_str).collect(), "{file}");

    let namespace = own["metadata"]["namespace"].as_str().unwrap_or("default");
    let place = Objects::new(alone.client().await?, namespace);
    for object in objects {
        let kind = object["kind"].as_str().unwrap_or_default();
        if AT_ONCE.contains(&kind) {
            let check = async || place.find(kind, name(object)).await;
            let what = format!("{kind} {}", name(object));
            cluster::test::until(&what, LIMIT, check).await?;
        }
    }
    alone
        .kubectl_with(&["delete", "--wait=true", "--timeout=60s", "-f", "-"], &text)
        .await?;
    let left = format!("--selector=llm-deployment={}", name(own));
    alone.kubectl(&["-n", namespace, "delete", "pvc,secret", &left]).await?;
    Ok(())
}
