//! The operator's image, looked at as an archive.

use super::live::operator;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;

/// Bytes.
const LARGEST: u64 = 20 << 20;

pub async fn the_image_is_one_program_without_a_shell() -> Result<()> {
    let image = operator::image().await?;
    let parts = entries(File::open(&image.archive)?)?;
    let manifest: Value = serde_json::from_slice(parts.get("manifest.json").context("no manifest.json")?)?;
    let part = |name: &Value| {
        parts
            .get(name.as_str().unwrap_or_default())
            .context("a part that is missing")
    };
    let config: Value = serde_json::from_slice(part(&manifest[0]["Config"])?)?;
    assert_eq!(config["config"]["User"], "65532:65532", "not root");
    assert_eq!(config["config"]["Entrypoint"], serde_json::json!(["/llm-operator"]));
    let mut files = BTreeMap::new();
    for layer in manifest[0]["Layers"].as_array().into_iter().flatten() {
        files.extend(
            entries(&part(layer)?[..])?
                .into_iter()
                .map(|(name, bytes)| (name, bytes.len() as u64)),
        );
    }
    let programs: Vec<&String> = files
        .iter()
        .filter(|(_, size)| **size > 0)
        .map(|(name, _)| name)
        .collect();
    assert_eq!(programs, ["llm-operator"], "no shell, no library, nothing else");
    let size: u64 = files.values().sum();
    println!("the image has {size} bytes");
    // The tests' own program is built fast and not small; `LLM_OPERATOR_BINARY` names the one that is shipped.
    if std::env::var_os(operator::BINARY).is_some() {
        ensure!(
            size < LARGEST,
            "the image has {size} bytes; at most {LARGEST} are allowed"
        );
    }
    Ok(())
}

fn entries(tar: impl Read) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut all = BTreeMap::new();
    for entry in tar::Archive::new(tar).entries()? {
        let mut entry = entry?;
        let name = entry.path()?.to_string_lossy().trim_start_matches("./").to_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        if !name.ends_with('/') {
            all.insert(name, bytes);
        }
    }
    Ok(all)
}

/// A wrong clock and certificates that live for minutes exist only in the program of the tests.
pub async fn the_image_has_no_clock_of_the_tests() -> Result<()> {
    let ours = operator::binary().await?;
    let with_clock = ours.with_file_name("llm-operator-test-clock");
    let mentions = |path: &std::path::Path| -> Result<bool> {
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let flags = ["test-clock-shift", "test-authority-seconds"];
        Ok(flags.iter().any(|f| bytes.windows(f.len()).any(|w| w == f.as_bytes())))
    };
    ensure!(mentions(&with_clock)?, "this test looks for the wrong words");
    ensure!(!mentions(&ours)?, "the release can be given a wrong clock");
    Ok(())
}
