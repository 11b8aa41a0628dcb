//! Images of Python programs: Debian's Python, packages of PyPI as their list pins them, compiled beforehand.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command},
};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::{
    Image, archive, cache,
    debian::{self, User},
    layer::Layer,
    needs,
};

/// The suite whose Python the packages are for.
const SUITE: &str = "bookworm";
const PACKAGES: &str = "base-files,ca-certificates,coreutils,curl,dash,findutils,grep,libc-bin,libc6,libgcc-s1,\
                        libpython3.11-stdlib,libstdc++6,media-types,python3-minimal,python3.11,sed,tzdata";
/// Where the packages of PyPI are in the image.
pub(super) const SITE: &str = "app/site";
const RECIPE: &str = include_str!("python.rs");

/// A Python program as an image.
pub(super) struct Program {
    pub(super) stem: &'static str,
    /// The first is its own; the others are the same image to a node, and other versions to who reads tags.
    pub(super) names: &'static [&'static str],
    pub(super) user: User,
    /// Lines of a requirements file, each with its version.
    pub(super) requirements: &'static str,
    pub(super) config: Value,
    /// Folders of the packages that it does without.
    pub(super) unneeded: &'static [&'static str],
    /// Files of its own: path, mode, text.
    pub(super) files: Vec<(&'static str, u32, &'static str)>,
    /// Its folders.
    pub(super) folders: Vec<&'static str>,
}

impl Program {
    pub(super) fn image(&self) -> anyhow::Result<Image> {
        let (names, config) = (self.names.join(" "), self.config.to_string());
        let mut parts = vec![
            names.as_bytes(),
            debian::RECIPE.as_bytes(),
            self.requirements.as_bytes(),
        ];
        parts.push(config.as_bytes());
        parts.extend(self.unneeded.iter().map(|path| path.as_bytes()));
        parts.extend(self.files.iter().map(|(_, _, text)| text.as_bytes()));
        let archive = cache::archive(self.stem, RECIPE, &parts, |out| {
            let scratch = tempfile::tempdir_in(out.parent().unwrap_or(Path::new(".")))?;
            self.prepare(scratch.path())?;
            archive::write(self.names, &self.config, out, |layer| self.fill(layer, scratch.path()))
        })?;
        Ok(Image {
            name: self.names[0].to_owned(),
            archive,
        })
    }

    fn prepare(&self, root: &Path) -> anyhow::Result<()> {
        debian::unpack(SUITE, PACKAGES, root)?;
        let site = root.join(SITE);
        fs::create_dir_all(&site)?;
        let list = root.join("requirements.txt");
        fs::write(&list, self.requirements)?;
        install(&list, &site)?;
        fs::remove_file(&list)?;
        for path in self.unneeded {
            let path = site.join(path);
            if path.exists() {
                fs::remove_dir_all(&path).with_context(|| format!("removing {}", path.display()))?;
            }
        }
        compile(root)
    }

    fn fill(&self, layer: &mut Layer, root: &Path) -> anyhow::Result<()> {
        // Maps of scripts are for who debugs them.
        let wanted = |path: &str| {
            if path.starts_with("app") {
                Path::new(path).extension().is_none_or(|kind| kind != "map")
            } else {
                debian::needed(path)
            }
        };
        layer.tree(root, &wanted)?;
        debian::complete(layer, root, &self.user)?;
        layer.symlink("bin/bash", "dash")?;
        for folder in &self.folders {
            layer.folder(folder, 0o755)?;
        }
        for (path, mode, text) in &self.files {
            layer.file(path, *mode, text.as_bytes())?;
        }
        Ok(())
    }
}

/// With the machine's pip, for the image's Python: no compiler, nothing that is not on the list.
fn install(list: &Path, site: &Path) -> anyhow::Result<()> {
    let python = needs::program("python3", "python3-pip")?;
    let machine = std::env::consts::ARCH;
    let mut command = Command::new(python);
    command
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-compile",
            "--no-deps",
            "--only-binary=:all:",
        ])
        .args([
            "--disable-pip-version-check",
            "--root-user-action=ignore",
            "--implementation=cp",
            "--python-version=3.11",
        ])
        .args(["--abi=cp311", "--abi=abi3", "--abi=none"]);
    for age in [
        "manylinux_2_28",
        "manylinux_2_27",
        "manylinux_2_24",
        "manylinux2014",
        "manylinux_2_17",
        "manylinux_2_12",
        "manylinux2010",
        "manylinux_2_5",
        "manylinux1",
    ] {
        command.arg(format!("--platform={age}_{machine}"));
    }
    command.arg("--target").arg(site).arg("--requirement").arg(list);
    needs::run(&mut command)
        .context("installing packages of PyPI with pip (apt-get install -y --no-install-recommends python3-pip)")
        .map(drop)
}

/// By the image's own Python, in halves at a time. The files' dates are gone in a layer, so bytecode must not be judged
/// by them.
fn compile(root: &Path) -> anyhow::Result<()> {
    let mut folders = entries(&root.join(SITE))?;
    folders.push(root.join("usr/lib/python3.11"));
    let inside: Vec<PathBuf> = folders
        .iter()
        .filter_map(|path| Some(Path::new("/").join(path.strip_prefix(root).ok()?)))
        .collect();
    let (even, odd): (Vec<_>, Vec<_>) = inside.into_iter().enumerate().partition(|(i, _)| i % 2 == 0);
    let halves = [even, odd].map(|half| start(root, half.into_iter().map(|(_, path)| path)));
    for half in halves {
        // Some packages carry files of a newer Python; they stay as they are.
        let ended = half?.wait().context("waiting for Python to compile the packages")?;
        ensure!(
            ended.code().is_some_and(|code| code < 2),
            "compiling the packages failed: {ended}"
        );
    }
    Ok(())
}

fn start(root: &Path, folders: impl Iterator<Item = PathBuf>) -> anyhow::Result<Child> {
    let chroot = needs::program("chroot", "coreutils")?;
    Command::new(chroot)
        .arg(root)
        .args([
            "/usr/bin/python3.11",
            "-m",
            "compileall",
            "-qq",
            "--invalidation-mode",
            "unchecked-hash",
        ])
        .args(folders)
        .env("PATH", debian::PATH)
        .spawn()
        .context("starting the image's Python in a chroot")
}

fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
