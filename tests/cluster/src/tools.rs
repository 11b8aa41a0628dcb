//! The programs a cluster is made of: built from pinned Go modules, once per version and user.

mod build;
mod catalog;
mod progress;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

pub use catalog::Tool;
use progress::Progress;

use crate::dirs;

/// The path of a tool's binary, built first if this machine does not have this version yet.
///
/// # Errors
/// When a build tool is missing or the build fails; the text says what to do.
pub fn path(tool: Tool) -> Result<PathBuf> {
    Ok(paths(&[tool])?.remove(0))
}

/// The paths of several tools' binaries in the order asked for, with a line of progress on stderr for each
/// that has to be built.
///
/// # Errors
/// As [`path`].
pub fn paths(tools: &[Tool]) -> Result<Vec<PathBuf>> {
    let wanted = tools.iter().map(|&tool| Binary::of(tool)).collect::<Result<Vec<_>>>()?;
    let missing: Vec<&Binary> = wanted.iter().filter(|b| !b.path().exists()).collect();
    if !missing.is_empty() {
        build::check_go()?;
        announce(&missing);
    }
    let seconds = |binary: &&Binary| binary.tool.recipe().seconds;
    let mut progress = Progress::of(missing.len(), missing.iter().map(seconds).sum());
    for binary in &missing {
        let what = format!("{} {}", binary.tool.name(), binary.version);
        progress.during(&what, seconds(binary), |progress| binary.build(progress))?;
    }
    Ok(wanted.iter().map(Binary::path).collect())
}

/// Where Go keeps the source of a module that the go.mod of the folder `tools/<folder>` pins, downloaded if need be: for
/// files that are part of a module and not built, such as the definitions of an API.
///
/// # Errors
/// When it cannot be downloaded.
pub fn source(folder: &str, module: &str) -> Result<PathBuf> {
    build::check_go()?;
    build::module_dir(&catalog::folder(folder), module)
}

fn announce(missing: &[&Binary]) {
    let seconds: u64 = missing.iter().map(|b| b.tool.recipe().seconds).sum();
    let minutes = seconds.div_ceil(60);
    let tools = if missing.len() == 1 {
        "1 tool".into()
    } else {
        format!("{} tools", missing.len())
    };
    eprintln!("building {tools} from source, about {minutes} min on 2 cores; later starts take them from the cache");
}

/// One version of a tool and its place in the cache.
struct Binary {
    tool: Tool,
    version: String,
    /// Name, version and a hash of all that decides what the binary is.
    key: String,
    cache: PathBuf,
}

impl Binary {
    fn of(tool: Tool) -> Result<Self> {
        let (version, hash) = fingerprint(tool)?;
        let key = format!("{}-{version}-{hash}", tool.name());
        Ok(Self {
            tool,
            version,
            key,
            cache: dirs::cache_home()?.join("tools"),
        })
    }

    fn path(&self) -> PathBuf {
        self.cache.join(&self.key).join(self.tool.recipe().binary)
    }

    /// Builds under a lock into a folder of its own and renames it, so that two processes do not build the
    /// same thing and a killed build never looks finished.
    fn build(&self, progress: &Progress) -> Result<()> {
        fs::create_dir_all(&self.cache).with_context(|| format!("cannot create {}", self.cache.display()))?;
        let lock = File::create(self.cache.join(format!("{}.lock", self.key)))?;
        if lock.try_lock().is_err() {
            progress.say(&format!(
                "{}: another process is building it; waiting",
                self.tool.name()
            ));
            lock.lock()?;
        }
        if self.path().exists() {
            return Ok(());
        }
        let partial = self.cache.join(format!("{}.partial", self.key));
        if partial.exists() {
            fs::remove_dir_all(&partial)?;
        }
        fs::create_dir_all(&partial)?;
        // The lock is kept here, too: whoever waits for it must find the finished tool.
        build::build(self.tool, &partial, lock.try_clone()?)?;
        fs::rename(&partial, self.cache.join(&self.key))?;
        Ok(())
    }
}

/// The pinned version, and a hash of the module's files, the flags and the architecture.
fn fingerprint(tool: Tool) -> Result<(String, String)> {
    let module = tool.module();
    let mut hash = Sha256::new();
    for file in sources(&module)? {
        let content = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        hash.update(content.len().to_le_bytes());
        hash.update(content);
    }
    hash.update(tool.recipe().build_flags().join(" "));
    hash.update(std::env::consts::ARCH);
    let hex = hash
        .finalize()
        .iter()
        .take(6)
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    Ok((pinned_version(tool, &module)?, hex))
}

fn sources(module: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(module).with_context(|| format!("cannot read {}", module.display()))?;
    let mut files = entries.map(|e| Ok(e?.path())).collect::<Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

/// The version that go.mod requires of the module the tool comes from.
fn pinned_version(tool: Tool, module: &Path) -> Result<String> {
    let Some(origin) = tool.recipe().origin else {
        return Ok("v1".into());
    };
    let text = fs::read_to_string(module.join("go.mod"))?;
    let words = text
        .lines()
        .map(|line| line.trim_start_matches("require").split_whitespace());
    let version = words
        .into_iter()
        .find_map(|mut w| (w.next() == Some(origin)).then(|| w.next()).flatten());
    Ok(version
        .with_context(|| format!("{}/go.mod does not require {origin}", module.display()))?
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_has_a_pinned_version() {
        for &tool in Tool::ALL {
            let binary = Binary::of(tool).unwrap();
            assert!(binary.version.starts_with('v'), "{}", binary.key);
            assert!(binary.key.starts_with(tool.name()), "{}", binary.key);
        }
    }

    #[test]
    fn tools_of_one_module_do_not_share_a_folder() {
        let kubelet = Binary::of(Tool::Kubelet).unwrap();
        let kubectl = Binary::of(Tool::Kubectl).unwrap();
        assert_eq!(kubelet.version, "v1.37.0");
        assert_ne!(kubelet.path().parent(), kubectl.path().parent());
    }
}
