//! Brings container images into the node.

use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context, Result, bail, ensure};
use tokio::process::Command;

use crate::packages;
use crate::state::{Kind, State};

/// Loads a Docker or OCI archive, or an image of that name from buildah's storage. Returns the names under
/// which pods can use it.
///
/// # Errors
/// When the cluster has no real node, there is no such image, or the archive names none.
pub async fn load(state: &State, image: &str) -> Result<Vec<String>> {
    ensure!(
        state.spec()?.kind == Kind::Node,
        "cluster {:?} has no real node to load images into; KWOK's pods need none",
        state.name()
    );
    if Path::new(image).is_file() {
        return import(state, Path::new(image)).await;
    }
    let archive = Exported::from_buildah(state, image).await?;
    import(state, &archive.0).await
}

/// Imports an archive into containerd.
pub(crate) async fn import(state: &State, archive: &Path) -> Result<Vec<String>> {
    let ctr = packages::program("ctr").context("ctr is gone since it was looked for; it comes with containerd")?;
    let output = Command::new(ctr)
        .arg("--address")
        .arg(state.path("containerd.sock"))
        .args(["--namespace", "k8s.io", "images", "import"])
        .arg(archive)
        .output()
        .await?;
    let said = text(&output);
    ensure!(
        output.status.success(),
        "containerd does not take {}: {said}",
        archive.display()
    );
    // "unpacking NAME (sha256:...)...done", or with newer versions "NAME   saved".
    let names: Vec<String> = said.lines().filter_map(imported_name).map(str::to_owned).collect();
    ensure!(
        !names.is_empty(),
        "{} names no image: tag it when it is built ({said})",
        archive.display()
    );
    Ok(names)
}

fn imported_name(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    match words.next()? {
        "unpacking" => words.next(),
        name => (words.next() == Some("saved")).then_some(name),
    }
}

fn text(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&both).trim().to_owned()
}

/// An archive that is removed when it has been imported.
struct Exported(PathBuf);

impl Exported {
    async fn from_buildah(state: &State, image: &str) -> Result<Self> {
        let Some(buildah) = packages::program("buildah") else {
            bail!("{image} is not a file, and there is no buildah to take an image of that name from")
        };
        let archive = Self(state.path(&format!("export-{}.tar", std::process::id())));
        let to = format!("oci-archive:{}:{image}", archive.0.display());
        let output = Command::new(buildah).args(["push", "-q", image, &to]).output().await?;
        ensure!(
            output.status.success(),
            "{image} is neither a file nor an image in buildah's storage: {}",
            text(&output)
        );
        Ok(archive)
    }
}

impl Drop for Exported {
    fn drop(&mut self) {
        if self.0.exists()
            && let Err(error) = std::fs::remove_file(&self.0)
        {
            eprintln!("cannot remove {}: {error}", self.0.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::imported_name;

    #[test]
    fn the_names_of_imported_images_are_read_from_both_forms_of_ctr() {
        assert_eq!(
            imported_name("unpacking localhost/a:1 (sha256:12)...done"),
            Some("localhost/a:1")
        );
        assert_eq!(imported_name("localhost/a:1  saved"), Some("localhost/a:1"));
        assert_eq!(
            imported_name("application/vnd.oci.image.manifest.v1+json sha256:12"),
            None
        );
    }
}
