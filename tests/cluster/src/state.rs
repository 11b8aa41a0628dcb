//! The folder of one cluster: what lies where, who is running, and the lock over it.

mod lock;
mod process;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use lock::Lock;
pub use process::Process;

use crate::dirs;

/// Unix socket paths end at 107 bytes; the longest below the folder is the kubelet's
/// `kubelet/pod-resources/kubelet.sock` with a temporary suffix.
const LONGEST_DIR: usize = 60;

/// What runs in a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A control plane and one real node with kubelet and containerd; needs root.
    Node,
    /// A control plane and nodes that KWOK plays.
    Kwok,
}

/// What was decided when the cluster was started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Spec {
    /// What runs in it.
    pub kind: Kind,
    /// The API server's port on 127.0.0.1, the same inside and outside.
    pub port: u16,
    /// The cluster goes down by itself when no process holds the `users` file any more, after this many seconds.
    pub linger: Option<u64>,
    /// The name of its cgroup, below the root of every hierarchy.
    pub cgroup: String,
    /// The program that plays the keeper, the namespace's first process and the entrance.
    pub program: PathBuf,
}

/// One cluster's folder.
#[derive(Clone, Debug)]
pub struct State {
    name: String,
    dir: PathBuf,
}

impl State {
    /// The folder of the cluster called `name`, which need not exist.
    ///
    /// # Errors
    /// When the name is not a short DNS label or the folder cannot hold a node.
    pub fn of(name: &str) -> Result<Self> {
        let letters = name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        ensure!(
            letters && (1..=20).contains(&name.len()) && !name.starts_with('-'),
            "{name:?} is not a name for a cluster: use up to 20 lower-case letters, digits and dashes"
        );
        Ok(Self {
            name: name.to_owned(),
            dir: dirs::state_home()?.join(name),
        })
    }

    /// Every cluster that has a folder.
    ///
    /// # Errors
    /// When the folder of clusters cannot be read.
    pub fn all() -> Result<Vec<Self>> {
        let home = dirs::state_home()?;
        let Ok(entries) = fs::read_dir(&home) else {
            return Ok(Vec::new());
        };
        let names = entries.filter_map(|e| e.ok()?.file_name().into_string().ok());
        let mut found: Vec<Self> = names
            .filter_map(|name| Self::of(&name).ok())
            .filter(|s| s.dir.is_dir())
            .collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// The cluster's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder itself.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A path below the folder.
    #[must_use]
    pub fn path(&self, below: &str) -> PathBuf {
        self.dir.join(below)
    }

    /// The log of a component.
    #[must_use]
    pub fn log(&self, component: &str) -> PathBuf {
        self.dir.join("log").join(format!("{component}.log"))
    }

    /// The kubeconfig of the cluster's administrator.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.path("admin.kubeconfig")
    }

    /// Whether a path of this length can hold a node's sockets, and lies where the node does not cover it.
    ///
    /// # Errors
    /// When it is too long, or lies where the node mounts something of its own.
    pub fn check_location(&self) -> Result<()> {
        let dir = self.dir.display();
        ensure!(
            self.dir.as_os_str().len() <= LONGEST_DIR,
            "{dir} is longer than {LONGEST_DIR} characters, too long for the unix sockets in it; set XDG_STATE_HOME to a shorter folder"
        );
        let covered = ["/var/lib", "/var/log", "/run", "/proc"]
            .iter()
            .find(|c| self.dir.starts_with(c));
        ensure!(
            covered.is_none(),
            "{dir} lies under {}, which a node covers with its own; set XDG_STATE_HOME to another folder",
            covered.copied().unwrap_or_default()
        );
        Ok(())
    }

    /// Writes a record as JSON, in one step.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write<T: Serialize>(&self, file: &str, record: &T) -> Result<()> {
        let partial = self.path(&format!("{file}.partial"));
        let write = || -> Result<()> {
            fs::write(&partial, serde_json::to_vec_pretty(record)?)?;
            Ok(fs::rename(&partial, self.path(file))?)
        };
        write().with_context(|| format!("cannot write {}", self.path(file).display()))
    }

    /// Reads a record; none when there is no such file.
    ///
    /// # Errors
    /// When the file cannot be read or is not what was written.
    pub fn read<T: DeserializeOwned>(&self, file: &str) -> Result<Option<T>> {
        let path = self.path(file);
        match fs::read(&path) {
            Ok(text) => Ok(Some(
                serde_json::from_slice(&text).with_context(|| format!("{} is damaged", path.display()))?,
            )),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// The start-up decisions of the cluster.
    ///
    /// # Errors
    /// When there is no such cluster.
    pub fn spec(&self) -> Result<Spec> {
        let name = &self.name;
        self.read("cluster.json")?
            .with_context(|| format!("there is no cluster {name:?}; start it with `cluster --name {name} up`"))
    }

    /// The keeper, when it is running: then the cluster is up.
    #[must_use]
    pub fn keeper(&self) -> Option<Process> {
        self.running("keeper.json")
    }

    /// The first process of the cluster's namespaces, when it is running.
    #[must_use]
    pub fn init(&self) -> Option<Process> {
        self.running("init.json")
    }

    fn running(&self, file: &str) -> Option<Process> {
        self.read::<Process>(file).ok().flatten().filter(Process::alive)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_labels() {
        assert!(State::of("dev").is_ok() && State::of("test-2").is_ok());
        for bad in ["", "Dev", "-x", "a/b", "..", "a-name-that-is-too-long-for-sockets"] {
            assert!(State::of(bad).unwrap_err().to_string().contains("lower-case"), "{bad}");
        }
    }
}
