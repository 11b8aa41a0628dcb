//! An older operator: the chart and the program of a pinned commit of this repository, built once and kept in the cache.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::dirs;
use crate::images::needs::run;
use crate::images::{self, Image};
use crate::packages::{self, Need};

/// The commit: the last one before the older kinds, cert-manager and autoscaling came. It has the definitions, the rights
/// and the labels of that time.
pub const COMMIT: &str = "2739a7a5c7f93cd6d8daea025b9be8544e7711eb";
/// How long its build takes on two cores.
const SECONDS: u32 = 150;

/// What is kept of the older operator.
pub struct Predecessor {
    folder: PathBuf,
}

impl Predecessor {
    /// The older operator, built first if this machine does not have it yet.
    ///
    /// # Errors
    /// When this clone does not have the commit, or it does not build; the text says what to do.
    pub fn built() -> Result<Self> {
        let cache = dirs::cache_home()?.join("operators");
        let predecessor = Self {
            folder: cache.join(&COMMIT[..12]),
        };
        if predecessor.folder.exists() {
            return Ok(predecessor);
        }
        fs::create_dir_all(&cache).with_context(|| format!("cannot create {}", cache.display()))?;
        let lock = File::create(cache.join(format!("{}.lock", &COMMIT[..12])))?;
        lock.lock()?;
        if !predecessor.folder.exists() {
            predecessor.build(&cache.join(format!("{}.partial", &COMMIT[..12])))?;
        }
        Ok(predecessor)
    }

    /// Its chart.
    #[must_use]
    pub fn chart(&self) -> PathBuf {
        self.folder.join("charts/llm-operator")
    }

    /// Its image.
    ///
    /// # Errors
    /// When the machine cannot build images.
    pub fn image(&self) -> Result<Image> {
        packages::require(Need::Images)?;
        let name = format!("localhost/llm-operator:{}", &COMMIT[..12]);
        images::operator_image(
            &name,
            &self.folder.join("llm-operator"),
            &self.folder.join("Dockerfile"),
        )
    }

    /// In a folder that is renamed at the end, so that a build which was interrupted never looks finished.
    fn build(&self, partial: &Path) -> Result<()> {
        eprintln!(
            "building the operator of commit {}, which upgrades begin at (about {SECONDS} s)",
            &COMMIT[..12]
        );
        if partial.exists() {
            fs::remove_dir_all(partial)?;
        }
        fs::create_dir_all(partial)?;
        extract(partial)?;
        let target = partial.join("target");
        let program = compile(partial, &target)?;
        fs::rename(program, partial.join("llm-operator"))?;
        fs::remove_dir_all(target)?;
        fs::rename(partial, &self.folder).context("cannot keep the older operator")
    }
}

/// Writes the files of the commit there.
fn extract(to: &Path) -> Result<()> {
    let clone = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        // Root may build in somebody else's clone; nothing of its configuration is run here.
        git.args(["-c", "safe.directory=*", "-C"]).arg(&clone).args(arguments);
        git
    };
    let object = format!("{COMMIT}^{{commit}}");
    let has_it = || run(&mut git(&["cat-file", "-e", &object])).is_ok();
    if !has_it() {
        // A clone that was made with --depth.
        let fetched = run(&mut git(&["fetch", "--quiet", "--depth", "1", "origin", COMMIT]));
        fetched.with_context(|| {
            format!("upgrades are tested from commit {COMMIT}, which this clone lacks: git fetch --unshallow")
        })?;
    }
    let archive = to.join("source.tar");
    run(git(&["archive", "--format=tar", "--output"]).arg(&archive).arg(COMMIT))?;
    tar::Archive::new(File::open(&archive)?).unpack(to)?;
    fs::remove_file(archive).context("cannot remove what git has written")
}

/// Without optimisation and in a target folder of its own, since cargo would put its program in the place of the present one.
fn compile(source: &Path, target: &Path) -> Result<PathBuf> {
    let triple = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build
        .args([
            "build",
            "--quiet",
            "--locked",
            "--package",
            "llm-operator",
            "--bin",
            "llm-operator",
        ])
        .args(["--target", &triple, "--config", "profile.dev.debug=false"])
        .args(["--config", "profile.dev.package.'*'.opt-level=0"])
        .current_dir(source)
        .env("CARGO_TARGET_DIR", target)
        .env("RUSTFLAGS", "-C target-feature=+crt-static");
    run(&mut build).with_context(|| format!("the operator of commit {COMMIT} does not build"))?;
    Ok(target.join(triple).join("debug/llm-operator"))
}
