//! Settings of the whole machine that the kubelet changes, kept to be put back.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::dirs;
use crate::state::State;

const FILE: &str = "sysctl.json";
const CHANGED_BY_KUBELET: [&str; 6] = [
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
];

type Values = BTreeMap<String, String>;

/// Records the settings as they were before the first of this user's nodes.
///
/// # Errors
/// When the cluster's folder cannot be written.
pub fn save(state: &State) -> Result<()> {
    let _lock = lock()?;
    let values = match others(state)?.into_iter().next() {
        Some(values) => values,
        None => current()?,
    };
    state.write(FILE, &values)
}

/// Puts the settings back, unless another node still runs: the last one does.
///
/// # Errors
/// When a setting cannot be written.
pub fn restore(state: &State) -> Result<()> {
    let _lock = lock()?;
    let Some(values) = state.read::<Values>(FILE)? else {
        return Ok(());
    };
    if others(state)?.is_empty() {
        for (name, value) in values {
            let path = file(&name);
            let now = fs::read_to_string(&path).unwrap_or_default();
            if now.trim() != value {
                fs::write(&path, &value).with_context(|| format!("cannot set {} back to {value}", path.display()))?;
            }
        }
    }
    Ok(fs::remove_file(state.path(FILE))?)
}

/// What other clusters have recorded.
fn others(state: &State) -> Result<Vec<Values>> {
    let others = State::all()?.into_iter().filter(|other| other.name() != state.name());
    Ok(others.filter_map(|other| other.read(FILE).ok().flatten()).collect())
}

fn lock() -> Result<File> {
    let home = File::open(dirs::state_home()?)?;
    home.lock()?;
    Ok(home)
}

fn current() -> Result<Values> {
    let read = |name: &str| fs::read_to_string(file(name)).with_context(|| format!("cannot read the setting {name}"));
    CHANGED_BY_KUBELET
        .iter()
        .map(|name| Ok(((*name).to_owned(), read(name)?.trim().to_owned())))
        .collect()
}

fn file(name: &str) -> PathBuf {
    PathBuf::from("/proc/sys").join(name)
}
