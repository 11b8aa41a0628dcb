//! What a cluster leaves on the machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use cluster::state::State;

/// All that a cluster could leave on the machine, a line each: its processes and cgroups, and every mount, link,
/// packet filter rule and entry of the folders that node programs write to.
pub fn traces(name: &str) -> Result<BTreeSet<String>> {
    let mut traces = processes(&State::of(name)?);
    traces.extend(cgroups(Path::new("/sys/fs/cgroup"), name));
    traces.extend(
        fs::read_to_string("/proc/self/mountinfo")?
            .lines()
            .map(|line| format!("mount {line}")),
    );
    if let Ok(rules) = Command::new("nft").args(["list", "ruleset"]).output() {
        let rules = String::from_utf8_lossy(&rules.stdout).into_owned();
        traces.extend(rules.lines().map(|line| format!("rule {line}")));
    }
    let folders = [
        "/sys/class/net",
        "/run",
        "/var/lib",
        "/var/log",
        "/opt",
        "/etc",
        "/usr/libexec",
    ];
    traces.extend(folders.iter().flat_map(|folder| names(folder)));
    Ok(traces)
}

/// What two looks at the machine do not have in common.
pub fn differences<'a>(before: &'a BTreeSet<String>, after: &'a BTreeSet<String>) -> Vec<&'a String> {
    before.symmetric_difference(after).collect()
}

/// What a node recorded of the machine's settings and has not put back.
pub fn changed_settings(recorded: &BTreeMap<String, String>) -> Vec<String> {
    let now = |name: &str| {
        fs::read_to_string(format!("/proc/sys/{name}"))
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    recorded
        .iter()
        .filter(|(name, value)| now(name) != **value)
        .map(|(name, _)| name.clone())
        .collect()
}

fn names(dir: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).map(|entries| entries.filter_map(Result::ok).collect::<Vec<_>>());
    entries
        .unwrap_or_default()
        .iter()
        .map(|e| e.path().display().to_string())
        .collect()
}

fn cgroups(dir: &Path, name: &str) -> BTreeSet<String> {
    let wanted = format!("llm-operator-{name}-");
    let hierarchies = names(&dir.display().to_string());
    let all = hierarchies
        .iter()
        .flat_map(|hierarchy| names(hierarchy))
        .chain(hierarchies.iter().cloned());
    all.filter(|path| path.contains(&wanted)).collect()
}

/// Those that name the cluster's folder or run in its cgroup. Zombies have neither.
pub fn processes(state: &State) -> BTreeSet<String> {
    let dir = state.dir().display().to_string();
    let keeper = format!("--name\0{}\0__", state.name());
    let cgroup = format!("llm-operator-{}-", state.name());
    let read = |pid: &str, file: &str| fs::read_to_string(format!("{pid}/{file}")).unwrap_or_default();
    let belongs = |pid: &String| {
        let line = read(pid, "cmdline");
        line.contains(&dir) || line.contains(&keeper) || (!line.is_empty() && read(pid, "cgroup").contains(&cgroup))
    };
    names("/proc").into_iter().filter(belongs).collect()
}
