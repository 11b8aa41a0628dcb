//! Small container images, written without a container tool.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use crate::packages;

/// The image that holds a pod's namespaces.
pub const PAUSE: &str = "localhost/pause:1";
/// A shell and the usual small programs; for tests' own pods too.
pub const BUSYBOX: &str = "localhost/busybox:1";

/// A single-layer image in the making.
struct Image {
    layer: Builder<Vec<u8>>,
}

impl Image {
    fn new() -> Self {
        Self {
            layer: Builder::new(Vec::new()),
        }
    }

    fn entry(&mut self, kind: EntryType, path: &str, mode: u32, content: &[u8]) -> Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        Ok(self.layer.append_data(&mut header, path, content)?)
    }

    fn link(&mut self, path: &str, target: &str) -> Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        Ok(self.layer.append_link(&mut header, path, target)?)
    }

    /// Writes an OCI archive that containerd imports as `reference`.
    fn write(self, reference: &str, config: &Value, to: &Path) -> Result<()> {
        let layer = self.layer.into_inner()?;
        let architecture = if cfg!(target_arch = "aarch64") {
            "arm64"
        } else {
            "amd64"
        };
        let image = json!({"architecture": architecture, "os": "linux", "config": config,
            "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]}});
        let image = serde_json::to_vec(&image)?;
        let kind = |name: &str| format!("application/vnd.oci.image.{name}");
        let manifest = json!({"schemaVersion": 2, "mediaType": kind("manifest.v1+json"),
            "config": descriptor(&kind("config.v1+json"), &image),
            "layers": [descriptor(&kind("layer.v1.tar"), &layer)]});
        let manifest = serde_json::to_vec(&manifest)?;
        let mut entry = descriptor(&kind("manifest.v1+json"), &manifest);
        entry["annotations"] = json!({"io.containerd.image.name": reference});
        let index = json!({"schemaVersion": 2, "mediaType": kind("index.v1+json"), "manifests": [entry]});
        let mut archive = Builder::new(File::create(to)?);
        append(&mut archive, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        append(&mut archive, "index.json", &serde_json::to_vec(&index)?)?;
        for blob in [&layer, &image, &manifest] {
            append(&mut archive, &format!("blobs/{}", digest(blob).replace(':', "/")), blob)?;
        }
        Ok(archive.finish()?)
    }
}

fn append(archive: &mut Builder<File>, path: &str, content: &[u8]) -> Result<()> {
    let mut header = Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    Ok(archive.append_data(&mut header, path, content)?)
}

fn descriptor(media_type: &str, blob: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": digest(blob), "size": blob.len()})
}

fn digest(blob: &[u8]) -> String {
    Sha256::digest(blob)
        .iter()
        .fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// Writes the two images every node has into `folder` and returns their archives.
///
/// # Errors
/// When busybox is not there or not a static program.
pub fn base_images(folder: &Path, pause: &Path) -> Result<[std::path::PathBuf; 2]> {
    fs::create_dir_all(folder)?;
    let archives = [folder.join("pause.tar"), folder.join("busybox.tar")];
    let mut image = Image::new();
    image.entry(EntryType::Regular, "pause", 0o755, &fs::read(pause)?)?;
    image.write(
        PAUSE,
        &json!({"Entrypoint": ["/pause"], "User": "65535:65535"}),
        &archives[0],
    )?;
    busybox()?.write(
        BUSYBOX,
        &json!({"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]}),
        &archives[1],
    )?;
    Ok(archives)
}

fn busybox() -> Result<Image> {
    let path = packages::program("busybox").context("busybox is gone since it was looked for")?;
    ensure!(
        is_static(&path)?,
        "{} needs shared libraries; install Debian's busybox-static or another static one",
        path.display()
    );
    let list = std::process::Command::new(&path)
        .arg("--list")
        .output()
        .context("cannot run busybox")?;
    let mut image = Image::new();
    for (dir, mode) in [
        ("bin", 0o755),
        ("etc", 0o755),
        ("root", 0o700),
        ("usr", 0o755),
        ("var", 0o755),
        ("tmp", 0o1777),
    ] {
        image.entry(EntryType::Directory, &format!("{dir}/"), mode, &[])?;
    }
    image.entry(EntryType::Regular, "bin/busybox", 0o755, &fs::read(&path)?)?;
    for applet in String::from_utf8(list.stdout)?
        .lines()
        .filter(|applet| *applet != "busybox")
    {
        image.link(&format!("bin/{applet}"), "busybox")?;
    }
    let users = b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n";
    image.entry(EntryType::Regular, "etc/passwd", 0o644, users)?;
    image.entry(EntryType::Regular, "etc/group", 0o644, b"root:x:0:\nnogroup:x:65534:\n")?;
    Ok(image)
}

/// A dynamic program names its loader, which every libc calls `ld-...so`, near the start of the file.
fn is_static(program: &Path) -> Result<bool> {
    let mut start = vec![0; 4096];
    let read = File::open(program)?.read(&mut start)?;
    let names_loader = |prefix: &[u8]| start[..read].windows(prefix.len()).any(|window| window == prefix);
    Ok(!names_loader(b"/ld-linux") && !names_loader(b"/ld-musl"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_program_is_told_from_a_static_one() {
        assert!(!is_static(&packages::program("ls").unwrap()).unwrap());
    }
}
