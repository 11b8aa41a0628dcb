//! Finished archives, kept by what went into them, for all clones of the project.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use sha2::{Digest, Sha256};

use crate::dirs;

/// The code that writes images is part of all of them; what one is made of is its own recipe.
const RECIPES: [&str; 2] = [include_str!("archive.rs"), include_str!("layer.rs")];

/// How long an archive that is made no more is kept.
const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The archive `<stem>-<key>.tar`: the cached one if `recipe` and `ingredients` are the same, else what `make` writes to the path
/// it gets. Two processes may make the same one; the last wins, with the same content.
pub(super) fn archive(
    stem: &str,
    recipe: &str,
    ingredients: &[&[u8]],
    make: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    let folder = folder()?;
    let archive = folder.join(format!("{stem}-{}.tar", key(recipe, ingredients)));
    if archive.exists() {
        return Ok(archive);
    }
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    sweep(&folder, stem)?;
    let scratch = tempfile::Builder::new()
        .prefix(&format!("{stem}-"))
        .tempdir_in(&folder)?;
    let unfinished = scratch.path().join("image.tar");
    make(&unfinished).with_context(|| format!("making the {stem} image"))?;
    fs::rename(&unfinished, &archive).with_context(|| format!("keeping {}", archive.display()))?;
    Ok(archive)
}

fn folder() -> anyhow::Result<PathBuf> {
    Ok(dirs::cache_home()?.join("images"))
}

/// Twelve hexadecimal digits that stand for the ingredients and the recipes.
fn key(recipe: &str, ingredients: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in RECIPES
        .iter()
        .chain(&[recipe])
        .map(|recipe| recipe.as_bytes())
        .chain(ingredients.iter().copied())
    {
        hash.update(Sha256::digest(part));
    }
    format!("{:x}", hash.finalize())[..12].to_owned()
}

/// Removes archives of the same stem that are too old, and what a killed process left of one. What another process
/// removed first is as good as removed here.
fn sweep(folder: &Path, stem: &str) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let ours = name.rsplit_once('-').is_some_and(|(start, _)| start == stem);
        if ours && age(&path).is_some_and(|age| age > KEPT) {
            let _ = if path.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
        }
    }
    Ok(())
}

fn age(path: &Path) -> Option<Duration> {
    fs::metadata(path).ok()?.modified().ok()?.elapsed().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_tells_ingredients_apart_also_at_their_borders() {
        assert_eq!(key("r", &[b"a", b"b"]), key("r", &[b"a", b"b"]));
        assert_ne!(key("r", &[b"ab", b""]), key("r", &[b"a", b"b"]));
        assert_ne!(key("s", &[b"a", b"b"]), key("r", &[b"a", b"b"]));
    }

    #[test]
    fn only_what_is_old_and_of_the_same_stem_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["pause-1.tar", "pause-2.tar", "busybox-1.tar"];
        for name in names {
            fs::write(folder.path().join(name), "").unwrap();
        }
        fs::create_dir(folder.path().join("pause-unfinished")).unwrap();
        for name in ["pause-1.tar", "pause-unfinished", "busybox-1.tar"] {
            let file = fs::File::open(folder.path().join(name)).unwrap();
            file.set_modified(std::time::SystemTime::now() - 2 * KEPT).unwrap();
        }
        sweep(folder.path(), "pause").unwrap();
        let left = names.map(|name| folder.path().join(name).exists());
        assert_eq!(
            (left, folder.path().join("pause-unfinished").exists()),
            ([false, true, true], false)
        );
    }
}
