//! Image archives of one layer, as `docker save` writes them: readable as an OCI layout (containerd) and as a docker
//! archive (docker, podman, kind).

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use anyhow::Context;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType};

use super::layer::{Layer, Sealed, header};

/// Writes the archive of an image to `out`, under all its names. `config` is how a container of it runs: Entrypoint, Cmd, Env, User,
/// `WorkingDir`, `ExposedPorts`. `fill` adds the files. The same input gives the same bytes.
pub(super) fn write(
    names: &[&str],
    config: &Value,
    out: &Path,
    fill: impl FnOnce(&mut Layer) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let scratch = tempfile::NamedTempFile::new_in(out.parent().unwrap_or(Path::new(".")))?;
    let mut layer = Layer::create(scratch.path())?;
    fill(&mut layer)?;
    let layer = layer.seal()?;
    let mut archive = Builder::new(BufWriter::new(File::create(out)?));
    let name = names.join(" and ");
    describe(&mut archive, names, config, &layer).with_context(|| format!("writing the archive of {name}"))?;
    let mut entry = header(EntryType::Regular, 0o644);
    entry.set_size(layer.size);
    archive.append_data(&mut entry, blob(&layer.sha256), File::open(scratch.path())?)?;
    archive
        .into_inner()?
        .flush()
        .with_context(|| format!("writing the archive of {name}"))
}

fn describe(archive: &mut Builder<impl Write>, names: &[&str], config: &Value, layer: &Sealed) -> anyhow::Result<()> {
    let config = json!({
        "architecture": architecture(), "os": "linux", "config": config,
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", layer.sha256)]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "llm-operator test images"}],
    });
    let (config_sha256, config_size) = put(archive, None, &config)?;
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", &config_sha256, config_size),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer.sha256, layer.size)],
    });
    let (manifest_sha256, manifest_size) = put(archive, None, &manifest)?;
    let entries: Vec<Value> = names
        .iter()
        .map(|name| {
            let kind = "application/vnd.oci.image.manifest.v1+json";
            let mut entry = descriptor(kind, &manifest_sha256, manifest_size);
            entry["annotations"] = json!({"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name});
            entry
        })
        .collect();
    let index = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries,
    });
    let docker = json!([{"Config": blob(&config_sha256), "RepoTags": names, "Layers": [blob(&layer.sha256)]}]);
    put(archive, Some("index.json"), &index)?;
    put(archive, Some("manifest.json"), &docker)?;
    put(archive, Some("oci-layout"), &json!({"imageLayoutVersion": "1.0.0"}))?;
    Ok(())
}

/// Adds a JSON file, as a blob unless it has a path of its own; returns its hash and size.
fn put(archive: &mut Builder<impl Write>, path: Option<&str>, value: &Value) -> anyhow::Result<(String, u64)> {
    let bytes = serde_json::to_vec(value)?;
    let sha256 = format!("{:x}", Sha256::digest(&bytes));
    let mut entry = header(EntryType::Regular, 0o644);
    entry.set_size(bytes.len() as u64);
    archive.append_data(
        &mut entry,
        path.map_or_else(|| blob(&sha256), str::to_owned),
        bytes.as_slice(),
    )?;
    Ok((sha256, bytes.len() as u64))
}

fn descriptor(media_type: &str, sha256: &str, size: u64) -> Value {
    json!({"mediaType": media_type, "digest": format!("sha256:{sha256}"), "size": size})
}

fn blob(sha256: &str) -> String {
    format!("blobs/sha256/{sha256}")
}

/// The name that images use for the machine's architecture.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs, io::Read};

    use super::*;

    fn archive(out: &Path) -> Vec<u8> {
        let config = json!({"Entrypoint": ["/hello"]});
        write(&["localhost/hello:1"], &config, out, |layer| {
            layer.folder("tmp", 0o1777)?;
            layer.file("hello", 0o755, b"#!/bin/sh\n")?;
            layer.symlink("bin", "usr/bin")
        })
        .unwrap();
        fs::read(out).unwrap()
    }

    fn entries(tar: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut tar = tar::Archive::new(tar);
        let read = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (entry.path().unwrap().to_string_lossy().into_owned(), bytes)
        };
        tar.entries().unwrap().map(read).collect()
    }

    #[test]
    fn the_same_content_has_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(
            archive(&folder.path().join("a.tar")),
            archive(&folder.path().join("b.tar"))
        );
    }

    #[test]
    fn every_digest_is_that_of_its_blob_and_both_indexes_lead_to_the_layer() {
        let folder = tempfile::tempdir().unwrap();
        let entries = entries(&archive(&folder.path().join("a.tar")));
        for (path, bytes) in &entries {
            if let Some(sha256) = path.strip_prefix("blobs/sha256/") {
                assert_eq!(format!("{:x}", Sha256::digest(bytes)), sha256);
            }
        }
        let parsed = |path: &str| serde_json::from_slice::<Value>(&entries[path]).unwrap();
        let follow = |digest: &Value| digest.as_str().unwrap().replace("sha256:", "blobs/sha256/");
        let manifest = parsed(&follow(&parsed("index.json")["manifests"][0]["digest"]));
        let layer = follow(&manifest["layers"][0]["digest"]);
        assert_eq!(parsed("manifest.json")[0]["Layers"][0], layer);
        assert_eq!(parsed("manifest.json")[0]["RepoTags"][0], "localhost/hello:1");
        assert!(entries.contains_key(&layer));
    }

    #[test]
    fn files_belong_to_root_and_have_no_date() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("plain"), b"x").unwrap();
        fs::create_dir(folder.path().join("skipped")).unwrap();
        fs::write(folder.path().join("skipped/inner"), b"x").unwrap();
        let out = tempfile::NamedTempFile::new().unwrap();
        let mut layer = Layer::create(out.path()).unwrap();
        layer.tree(folder.path(), &|path| path != "skipped").unwrap();
        layer.seal().unwrap();
        let mut tar = tar::Archive::new(File::open(out.path()).unwrap());
        let header = |entry: std::io::Result<tar::Entry<'_, File>>| {
            let header = entry.unwrap().header().clone();
            (
                header.path().unwrap().into_owned(),
                header.uid().unwrap(),
                header.mtime().unwrap(),
            )
        };
        assert_eq!(
            tar.entries().unwrap().map(header).collect::<Vec<_>>(),
            [("plain".into(), 0, 0)]
        );
    }
}
