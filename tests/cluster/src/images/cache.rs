//! Finished archives, kept by what went into them, for all clones of the project.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use sha2::{Digest, Sha256};

/// The code that makes images is part of what goes into them.
const RECIPES: [&str; 7] = [
    include_str!("../images.rs"),
    include_str!("archive.rs"),
    include_str!("busybox.rs"),
    include_str!("debian.rs"),
    include_str!("layer.rs"),
    include_str!("operator.rs"),
    include_str!("pause.rs"),
];

/// How long an archive that is made no more is kept.
const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The archive `<stem>-<key>.tar`: the cached one if `ingredients` are the same, else what `make` writes to the path
/// it gets. Two processes may make the same one; the last wins, with the same content.
pub(super) fn archive(
    stem: &str,
    ingredients: &[&[u8]],
    make: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    let folder = folder()?;
    let archive = folder.join(format!("{stem}-{}.tar", key(ingredients)));
    if archive.exists() {
        return Ok(archive);
    }
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    sweep(&folder, stem)?;
    let scratch = tempfile::tempdir_in(&folder)?;
    let unfinished = scratch.path().join("image.tar");
    make(&unfinished).with_context(|| format!("making the {stem} image"))?;
    fs::rename(&unfinished, &archive).with_context(|| format!("keeping {}", archive.display()))?;
    Ok(archive)
}

/// `${XDG_CACHE_HOME:-~/.cache}/llm-operator/images`.
fn folder() -> anyhow::Result<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    Ok(cache
        .context("neither XDG_CACHE_HOME nor HOME is set, so there is no place for images")?
        .join("llm-operator/images"))
}

/// Twelve hexadecimal digits that stand for the ingredients and the recipes.
fn key(ingredients: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in RECIPES
        .iter()
        .map(|recipe| recipe.as_bytes())
        .chain(ingredients.iter().copied())
    {
        hash.update(Sha256::digest(part));
    }
    format!("{:x}", hash.finalize())[..12].to_owned()
}

/// Removes archives of the same stem that are too old. One that another process removed first is as good.
fn sweep(folder: &Path, stem: &str) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let ours = entry
            .file_name()
            .to_string_lossy()
            .rsplit_once('-')
            .is_some_and(|(name, _)| name == stem);
        let age = entry
            .metadata()
            .and_then(|metadata| metadata.modified())
            .ok()
            .and_then(|date| date.elapsed().ok());
        if ours && age.is_some_and(|age| age > KEPT) {
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_tells_ingredients_apart_also_at_their_borders() {
        assert_eq!(key(&[b"a", b"b"]), key(&[b"a", b"b"]));
        assert_ne!(key(&[b"ab", b""]), key(&[b"a", b"b"]));
    }
}
