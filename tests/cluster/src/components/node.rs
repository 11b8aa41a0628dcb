//! containerd, the kubelet, kube-proxy, the DNS server and the volume provisioner of the real node.

mod files;
mod runtime;

use std::fs;

use anyhow::{Context, Result};

use super::{Component, Tools};
use crate::images;
use crate::network;
use crate::packages;
use crate::state::{Spec, State};
use crate::tools::Tool;

pub use files::{add_host, base_objects};

/// Name of the containerd component.
pub const CONTAINERD: &str = "containerd";
/// Name of the kubelet component.
pub const KUBELET: &str = "kubelet";
/// Name of the kube-proxy component.
pub const KUBE_PROXY: &str = "kube-proxy";
/// Name of the `CoreDNS` component.
pub const COREDNS: &str = "coredns";
/// Name of the volume provisioner component.
pub const LOCAL_PATH: &str = "local-path-provisioner";

pub(super) fn containerd(state: &State) -> Result<Component> {
    let program = packages::program(CONTAINERD).context("containerd is gone since it was looked for")?;
    fs::create_dir_all(state.path("cni"))?;
    fs::create_dir_all(state.path("containerd"))?;
    fs::write(state.path("containerd.toml"), runtime::containerd(state, &program)?)?;
    fs::write(state.path("cni/10-bridge.conflist"), runtime::cni())?;
    Ok(Component::new(CONTAINERD, program)
        .file("config", &state.path("containerd.toml"))
        .flag("log-level", "info"))
}

pub(super) fn components(state: &State, spec: &Spec, tools: &Tools) -> Result<Vec<Component>> {
    fs::create_dir_all(state.path("local-path"))?;
    fs::write(state.path("resolv.conf"), "")?;
    fs::write(
        state.path("hosts"),
        format!("{} {}.test\n", network::NODE_IP, network::NODE),
    )?;
    fs::write(state.path("kubelet.yaml"), files::kubelet(state, &spec.cgroup))?;
    fs::write(state.path("kube-proxy.yaml"), files::kube_proxy(state))?;
    fs::write(state.path("Corefile"), files::corefile(state))?;
    fs::write(state.path("local-path.json"), files::local_path(state))?;
    fs::write(state.path("local-path-helper.yaml"), files::local_path_helper())?;
    let kubelet = Component::new(KUBELET, tools.path(Tool::Kubelet))
        .file("config", &state.path("kubelet.yaml"))
        .file("kubeconfig", &state.path("kubelet.kubeconfig"))
        .file("root-dir", &state.path("kubelet"))
        .file("cert-dir", &state.path("kubelet-pki"))
        .flag("hostname-override", network::NODE)
        .flag("node-ip", network::NODE_IP);
    let kube_proxy =
        Component::new(KUBE_PROXY, tools.path(Tool::KubeProxy)).file("config", &state.path("kube-proxy.yaml"));
    let coredns = Component::new(COREDNS, tools.path(Tool::Coredns))
        .arg("-conf")
        .arg(state.path("Corefile").to_string_lossy());
    Ok(vec![kubelet, kube_proxy, coredns, local_path(state, tools)])
}

fn local_path(state: &State, tools: &Tools) -> Component {
    Component::new(LOCAL_PATH, tools.path(Tool::LocalPathProvisioner))
        .arg("start")
        .file("config", &state.path("local-path.json"))
        .file("kubeconfig", &state.path("local-path-provisioner.kubeconfig"))
        .flag("namespace", files::STORAGE_NAMESPACE)
        .flag("helper-image", images::BUSYBOX)
        .file("helper-pod-file", &state.path("local-path-helper.yaml"))
        .flag("configmap-name", files::STORAGE_CONFIG)
        .flag("service-account-name", files::STORAGE_ACCOUNT)
}
