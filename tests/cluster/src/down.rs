//! Takes a cluster down, whatever state it is in, and leaves nothing of it.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;

use crate::state::{Lock, Spec, State};
use crate::{cgroup, sysctl};

const PATIENCE: Duration = Duration::from_secs(20);

/// Takes the cluster down if there is one. Says whether there was.
///
/// # Errors
/// When something of it cannot be removed.
pub fn down(state: &State) -> Result<bool> {
    if !state.dir().exists() {
        return Ok(false);
    }
    let lock = state.lock()?;
    let there = fs::read_dir(state.dir())?.next().is_some();
    remove(state, &lock)?;
    Ok(there)
}

/// Ends every process, removes the cgroup, puts the machine's settings back and removes the folder.
///
/// # Errors
/// When something of it cannot be removed.
pub fn remove(state: &State, lock: &Lock) -> Result<()> {
    clear(state, lock)?;
    fs::remove_dir(state.dir()).with_context(|| format!("cannot remove {}", state.dir().display()))?;
    // The folder of all clusters goes with the last one.
    match state.dir().parent().map(fs::remove_dir) {
        Some(Err(error)) if error.kind() != ErrorKind::DirectoryNotEmpty => Err(error.into()),
        _ => Ok(()),
    }
}

/// The same, but leaves the empty folder, with the lock on it, for a cluster that is about to be started.
///
/// # Errors
/// When something of it cannot be removed.
pub fn clear(state: &State, _lock: &Lock) -> Result<()> {
    end_processes(state)?;
    if let Ok(spec) = state.spec() {
        let spec: Spec = spec;
        cgroup::remove(&spec.cgroup)?;
    }
    sysctl::restore(state)?;
    ensure_no_mounts(state.dir())?;
    let entries = fs::read_dir(state.dir())?.collect::<Result<Vec<_>, _>>()?;
    for entry in entries {
        let path = entry.path();
        let removed = if entry.file_type()?.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        removed.with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}

/// Ending the first process of the namespaces ends all others, and the keeper follows when it sees that.
fn end_processes(state: &State) -> Result<()> {
    if let Some(init) = state.init() {
        init.signal(Signal::SIGKILL)?;
        init.wait_gone(PATIENCE)?;
    }
    let me = std::process::id().cast_signed();
    if let Some(keeper) = state.keeper().filter(|keeper| keeper.pid != me) {
        keeper.signal(Signal::SIGKILL)?;
        keeper.wait_gone(PATIENCE)?;
    }
    Ok(())
}

/// All mounts are in the node's own namespace and gone with it. If one were left, removing files below it
/// would remove someone else's.
fn ensure_no_mounts(dir: &Path) -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let below = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .find(|point| Path::new(point).starts_with(dir));
    ensure!(
        below.is_none(),
        "{} is still a mount; umount it and try again",
        below.unwrap_or_default()
    );
    Ok(())
}
