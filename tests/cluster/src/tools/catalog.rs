//! Which tools there are, where their source comes from and how it is built.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

/// A program that clusters and tests run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)] // the names are those of the programs
pub enum Tool {
    Etcd,
    KubeApiserver,
    Kubectl,
    KubeControllerManager,
    KubeScheduler,
    Kubelet,
    KubeProxy,
    Coredns,
    Pause,
    LocalPathProvisioner,
    Helm3,
    Kwok,
    Ollama,
    Helm4,
    Kubeconform,
    HelmUnittest,
    Etcdctl,
    Tabby,
    CertManager,
    Versitygw,
    Traefik,
    Promtool,
}

/// How a tool is made.
pub(super) struct Recipe {
    /// File name of the binary.
    pub binary: &'static str,
    /// Folder under `tools/` with the go.mod.
    module: &'static str,
    /// Package to build.
    pub package: &'static str,
    /// The Go module whose version counts as the tool's; none for programs of our own.
    pub origin: Option<&'static str>,
    /// How long a build takes on two cores with a cold build cache, but after the tools above it.
    pub seconds: u64,
    /// What the linker sets, in place of nothing.
    ldflags: &'static str,
    /// What is left out of the build.
    tags: &'static str,
}

impl Recipe {
    const fn new(binary: &'static str, module: &'static str, package: &'static str, seconds: u64) -> Self {
        Self {
            binary,
            module,
            package,
            origin: None,
            seconds,
            ldflags: "-ldflags=-s -w",
            tags: "",
        }
    }

    const fn from(self, origin: &'static str) -> Self {
        Self {
            origin: Some(origin),
            ..self
        }
    }

    /// The flags of `go build`.
    pub fn build_flags(&self) -> Vec<&'static str> {
        // Stamping a version control state would make the binary depend on the clone it is built in.
        let mut flags = vec!["-trimpath", "-buildvcs=false", self.ldflags];
        flags.extend(Some(self.tags).filter(|tags| !tags.is_empty()));
        flags
    }
}

/// A folder with a go.mod.
pub(super) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tools").join(name)
}

impl Tool {
    /// All tools, in the order in which they are best built: what a cluster starts with comes first.
    pub const ALL: &[Tool] = &[
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
        Tool::Helm3,
        Tool::Kwok,
        Tool::Ollama,
        Tool::Helm4,
        Tool::Kubeconform,
        Tool::HelmUnittest,
        Tool::Etcdctl,
        Tool::Tabby,
        Tool::CertManager,
        Tool::Versitygw,
        Tool::Traefik,
        Tool::Promtool,
    ];

    /// The name on the command line and in the cache.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Tool::Helm3 => "helm3",
            Tool::Helm4 => "helm4",
            other => other.recipe().binary,
        }
    }

    /// The folder with the tool's go.mod.
    pub(super) fn module(self) -> PathBuf {
        folder(self.recipe().module)
    }

    pub(super) fn recipe(self) -> Recipe {
        // Without it the servers say v0.0.0-master, which Helm takes for no version. A test holds it to go.mod.
        let kubernetes = |name, package, seconds| Recipe {
            ldflags: "-ldflags=-s -w -X k8s.io/component-base/version.gitMajor=1 \
                      -X k8s.io/component-base/version.gitMinor=37 -X k8s.io/component-base/version.gitVersion=v1.37.0",
            ..Recipe::new(name, "kubernetes", package, seconds).from("k8s.io/kubernetes")
        };
        match self {
            Tool::Etcd => {
                Recipe::new("etcd", "etcd", "go.etcd.io/etcd/server/v3", 60).from("go.etcd.io/etcd/server/v3")
            }
            Tool::Etcdctl => {
                Recipe::new("etcdctl", "etcd", "go.etcd.io/etcd/etcdctl/v3", 10).from("go.etcd.io/etcd/etcdctl/v3")
            }
            Tool::KubeApiserver => kubernetes("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver", 260),
            Tool::Kubectl => kubernetes("kubectl", "k8s.io/kubernetes/cmd/kubectl", 20),
            Tool::KubeControllerManager => kubernetes(
                "kube-controller-manager",
                "k8s.io/kubernetes/cmd/kube-controller-manager",
                85,
            ),
            Tool::KubeScheduler => kubernetes("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler", 10),
            Tool::Kubelet => kubernetes("kubelet", "k8s.io/kubernetes/cmd/kubelet", 25),
            Tool::KubeProxy => kubernetes("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy", 10),
            Tool::Coredns => Recipe::new("coredns", "coredns", ".", 60).from("github.com/coredns/coredns"),
            Tool::Pause => Recipe::new("pause", "pause", ".", 1),
            Tool::Tabby => Recipe::new("tabby", "tabby", ".", 5),
            Tool::Versitygw => Recipe::new(
                "versitygw",
                "versitygw",
                "github.com/versity/versitygw/cmd/versitygw",
                80,
            )
            .from("github.com/versity/versitygw"),
            Tool::Traefik => Recipe::new("traefik", "traefik", "github.com/traefik/traefik/v3/cmd/traefik", 330)
                .from("github.com/traefik/traefik/v3"),
            Tool::Promtool => Recipe {
                // Without what finds servers in a dozen clouds: rules need none of it.
                tags: "-tags=remove_all_sd",
                ..Recipe::new(
                    "promtool",
                    "promtool",
                    "github.com/prometheus/prometheus/cmd/promtool",
                    150,
                )
                .from("github.com/prometheus/prometheus")
            },
            Tool::LocalPathProvisioner => Recipe::new(
                "local-path-provisioner",
                "local-path-provisioner",
                "github.com/rancher/local-path-provisioner",
                60,
            )
            .from("github.com/rancher/local-path-provisioner"),
            Tool::Kwok => Recipe::new("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok", 60).from("sigs.k8s.io/kwok"),
            Tool::Helm3 => Recipe::new("helm", "helm3", "helm.sh/helm/v3/cmd/helm", 40).from("helm.sh/helm/v3"),
            Tool::Helm4 => Recipe::new("helm", "helm4", "helm.sh/helm/v4/cmd/helm", 90).from("helm.sh/helm/v4"),
            Tool::Kubeconform => Recipe::new(
                "kubeconform",
                "kubeconform",
                "github.com/yannh/kubeconform/cmd/kubeconform",
                10,
            )
            .from("github.com/yannh/kubeconform"),
            Tool::HelmUnittest => Recipe::new(
                "helm-unittest",
                "helm-unittest",
                "github.com/helm-unittest/helm-unittest/cmd/helm-unittest",
                30,
            )
            .from("github.com/helm-unittest/helm-unittest"),
            Tool::CertManager => {
                Recipe::new("cert-manager", "cert-manager", ".", 160).from("github.com/cert-manager/cert-manager")
            }
            Tool::Ollama => Recipe {
                // Without it /api/version says 0.0.0. A test holds it to the version in go.mod.
                ldflags: "-ldflags=-s -w -X github.com/ollama/ollama/version.Version=0.24.0",
                ..Recipe::new("ollama", "ollama", "github.com/ollama/ollama", 270).from("github.com/ollama/ollama")
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_told_the_version_they_are_built_from() {
        for (tool, origin) in [
            (Tool::Ollama, "github.com/ollama/ollama v"),
            (Tool::KubeApiserver, "k8s.io/kubernetes "),
        ] {
            let go_mod = std::fs::read_to_string(tool.module().join("go.mod")).unwrap();
            let said = tool.recipe().ldflags.rsplit_once("Version=").unwrap().1;
            assert!(go_mod.contains(&format!("{origin}{said}")), "{said}");
        }
    }
}
