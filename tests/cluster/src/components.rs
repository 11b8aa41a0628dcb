//! The programs that make up a cluster, and the arguments each is started with.

mod control_plane;
mod kwok;
mod node;

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::{Deserialize, Serialize};

pub use control_plane::{APISERVER, CONTROLLER_MANAGER, ETCD, SCHEDULER};
pub use kwok::{KWOK, NODE_LABEL, NODE_TAINT, node_object};
pub use node::{CONTAINERD, COREDNS, KUBE_PROXY, KUBELET, LOCAL_PATH, add_host, base_objects};

use crate::state::{Kind, Spec, State};
use crate::tools::{self, Tool};

/// A program of the cluster under the name by which it is stopped and started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Component {
    /// Its name, also that of its log.
    pub name: String,
    /// The file to run.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
}

impl Component {
    fn new(name: &str, program: impl Into<PathBuf>) -> Self {
        Self {
            name: name.to_owned(),
            program: program.into(),
            args: Vec::new(),
        }
    }

    fn arg(mut self, value: impl Into<String>) -> Self {
        self.args.push(value.into());
        self
    }

    fn flag(self, name: &str, value: impl AsRef<str>) -> Self {
        self.arg(format!("--{name}={}", value.as_ref()))
    }

    fn file(self, name: &str, path: &Path) -> Self {
        self.flag(name, path.to_string_lossy())
    }
}

/// Everything a cluster runs, in the two groups in which it is started.
pub struct Plan {
    /// At once.
    pub first: Vec<Component>,
    /// When the API server is ready.
    pub second: Vec<Component>,
}

/// Builds the tools that are missing, writes every configuration file, and says what to start.
///
/// # Errors
/// When a tool cannot be built or the folder cannot be written.
pub fn plan(state: &State, spec: &Spec) -> Result<Plan> {
    let built = match spec.kind {
        Kind::Node => Tools::build(&NODE_TOOLS)?,
        Kind::Kwok => Tools::build(&KWOK_TOOLS)?,
    };
    let mut first = vec![
        control_plane::etcd(state, &built.path(Tool::Etcd)),
        control_plane::apiserver(state, spec, &built.path(Tool::KubeApiserver))?,
    ];
    let mut second = vec![
        control_plane::controller_manager(state, &built.path(Tool::KubeControllerManager)),
        control_plane::scheduler(state, &built.path(Tool::KubeScheduler)),
    ];
    if spec.kind == Kind::Node {
        first.push(node::containerd(state)?);
        second.extend(node::components(state, spec, &built)?);
    }
    Ok(Plan { first, second })
}

/// The component that plays nodes.
///
/// # Errors
/// When KWOK cannot be built or the folder cannot be written.
pub fn kwok(state: &State) -> Result<Component> {
    kwok::component(state, &tools::path(Tool::Kwok)?)
}

/// What the real node needs, in the order in which a start uses it.
pub const NODE_TOOLS: [Tool; 10] = [
    Tool::Etcd,
    Tool::KubeApiserver,
    Tool::Kubectl,
    Tool::KubeControllerManager,
    Tool::KubeScheduler,
    Tool::Kubelet,
    Tool::KubeProxy,
    Tool::Coredns,
    Tool::Pause,
    Tool::LocalPathProvisioner,
];

/// What a control plane with KWOK nodes needs.
pub const KWOK_TOOLS: [Tool; 6] = [
    Tool::Etcd,
    Tool::KubeApiserver,
    Tool::Kubectl,
    Tool::KubeControllerManager,
    Tool::KubeScheduler,
    Tool::Kwok,
];

/// Tools that are built.
struct Tools(Vec<(Tool, PathBuf)>);

impl Tools {
    fn build(wanted: &[Tool]) -> Result<Self> {
        Ok(Self(wanted.iter().copied().zip(tools::paths(wanted)?).collect()))
    }

    fn path(&self, tool: Tool) -> PathBuf {
        let found = self.0.iter().find(|(t, _)| *t == tool);
        found
            .expect("only what is in the list of the cluster's kind is asked for")
            .1
            .clone()
    }
}
