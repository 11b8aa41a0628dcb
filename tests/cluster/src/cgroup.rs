//! The cgroup that a node's pods run under, in every hierarchy of this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};

const ROOT: &str = "/sys/fs/cgroup";
/// What the kubelet sets limits with.
const CONTROLLERS: [&str; 4] = ["cpu", "cpuset", "memory", "pids"];

/// Makes the cgroup `name`.
///
/// # Errors
/// When this machine's cgroups cannot be written, or lack a controller.
pub fn create(name: &str) -> Result<()> {
    if unified() {
        delegate()?;
    }
    for root in hierarchies() {
        let dir = root.join(name);
        fs::create_dir_all(&dir).with_context(|| format!("cannot make the cgroup {}", dir.display()))?;
        // In the first version a cpuset has no CPUs and no memory until it is given some.
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if !unified() && root.join(file).exists() {
                fs::write(dir.join(file), fs::read(root.join(file))?)?;
            }
        }
    }
    Ok(())
}

/// Removes the cgroup `name` with everything below it, once the kernel has reaped its processes.
///
/// # Errors
/// When processes are still in it after 10 s.
pub fn remove(name: &str) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(10);
    for dir in hierarchies().iter().map(|root| root.join(name)) {
        while dir.exists() {
            let result = remove_tree(&dir);
            ensure!(
                Instant::now() < end,
                "cannot remove the cgroup {}: {:?}",
                dir.display(),
                result.err()
            );
            if dir.exists() {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
    Ok(())
}

/// Removes from the leaves up: the files in a cgroup go with it and cannot be removed alone.
fn remove_tree(dir: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(dir)
}

fn unified() -> bool {
    statfs(ROOT).is_ok_and(|fs| fs.filesystem_type() == CGROUP2_SUPER_MAGIC)
}

/// The root of the only hierarchy, or of each in the first version (where some names are links to others).
fn hierarchies() -> Vec<PathBuf> {
    if unified() {
        return vec![ROOT.into()];
    }
    let Ok(entries) = fs::read_dir(ROOT) else {
        return Vec::new();
    };
    let folders = entries
        .filter_map(Result::ok)
        .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()));
    folders
        .map(|e| e.path())
        .filter(|path| path.join("cgroup.procs").exists())
        .collect()
}

/// In the second version a parent decides what its children may limit.
fn delegate() -> Result<()> {
    let root = Path::new(ROOT);
    let offered = fs::read_to_string(root.join("cgroup.controllers")).context("cannot read the cgroup controllers")?;
    for controller in CONTROLLERS {
        ensure!(
            offered.split_whitespace().any(|c| c == controller),
            "the cgroup controller {controller} is not available on this machine (there are: {}), and a node needs it",
            offered.trim()
        );
        fs::write(root.join("cgroup.subtree_control"), format!("+{controller}")).with_context(|| {
            format!(
                "cannot hand the cgroup controller {controller} to the node; inside a container, start it with \
                 --privileged --cgroupns=host"
            )
        })?;
    }
    Ok(())
}
