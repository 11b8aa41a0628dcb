//! The configuration files of the real node.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::network;
use crate::packages;
use crate::state::State;

/// The image with a shell that volumes are made with; every node has it.
pub(super) const BUSYBOX: &str = "localhost/busybox:1";
const PAUSE: &str = "localhost/pause:1";
pub(super) const STORAGE_NAMESPACE: &str = "local-path-storage";
pub(super) const STORAGE_CONFIG: &str = "local-path-config";
pub(super) const STORAGE_ACCOUNT: &str = "local-path-provisioner";

pub(super) const LOCAL_PATH_HELPER: &str = "apiVersion: v1
kind: Pod
metadata: {name: helper-pod}
spec:
  priorityClassName: system-node-critical
  tolerations: [{operator: Exists}]
  containers: [{name: helper-pod, image: 'localhost/busybox:1', imagePullPolicy: IfNotPresent}]
";

/// containerd's configuration, in the form of its own generation: Debian 12 has 1.6, others have 2.
pub(super) fn containerd(state: &State, program: &Path) -> Result<String> {
    let output = Command::new(program)
        .arg("--version")
        .output()
        .context("cannot run containerd --version")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text
        .split_whitespace()
        .find(|w| w.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit()));
    let version = version.map_or("1", |v| v.trim_start_matches('v'));
    Ok(if version.starts_with("1.") {
        containerd_1(state)?
    } else {
        containerd_2(state)?
    })
}

fn common(state: &State, version: u8) -> String {
    let dir = state.dir().display();
    // CAP_SYS_RESOURCE may be missing, so nobody's OOM score is lowered.
    format!(
        "version = {version}\nroot = \"{dir}/containerd/root\"\nstate = \"/run/containerd\"\noom_score = 0\n\
         [grpc]\n  address = \"{dir}/containerd.sock\"\n[ttrpc]\n  address = \"{dir}/containerd.ttrpc\"\n"
    )
}

fn programs() -> Result<(String, String)> {
    let runc = packages::program("runc").context("runc is gone since it was looked for")?;
    let cni = packages::cni_folder().context("the CNI plugins are gone since they were looked for")?;
    Ok((runc.display().to_string(), cni.display().to_string()))
}

fn containerd_1(state: &State) -> Result<String> {
    let (runc, cni) = programs()?;
    let (dir, snapshotter) = (state.dir().display(), snapshotter(state)?);
    Ok(common(state, 2)
        + &format!(
            r#"[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  tolerate_missing_hugetlb_controller = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni}"
    conf_dir = "{dir}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      BinaryName = "{runc}"
      SystemdCgroup = false
"#
        ))
}

fn containerd_2(state: &State) -> Result<String> {
    let (runc, cni) = programs()?;
    let (dir, snapshotter) = (state.dir().display(), snapshotter(state)?);
    Ok(common(state, 3)
        + &format!(
            r#"[plugins.'io.containerd.cri.v1.images']
  snapshotter = "{snapshotter}"
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = "{PAUSE}"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  disable_apparmor = true
  tolerate_missing_hugetlb_controller = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ["{cni}"]
    conf_dir = "{dir}/cni"
    max_conf_num = 1
  [plugins.'io.containerd.cri.v1.runtime'.containerd]
    default_runtime_name = "runc"
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
        BinaryName = "{runc}"
        SystemdCgroup = false
"#
        ))
}

/// An overlay cannot lie on another overlay, such as the root of a container that this runs in.
fn snapshotter(state: &State) -> Result<&'static str> {
    let kind = nix::sys::statfs::statfs(state.dir())?.filesystem_type();
    Ok(if kind == nix::sys::statfs::OVERLAYFS_SUPER_MAGIC {
        "native"
    } else {
        "overlayfs"
    })
}

pub(super) fn cni() -> String {
    let bridge = json!({
        "type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true, "ipMasq": false,
        "ipam": {"type": "host-local", "dataDir": "/run/cni-ipam", "ranges": [[{"subnet": network::PODS}]],
            "routes": [{"dst": "0.0.0.0/0"}]},
    });
    let portmap = json!({"type": "portmap", "capabilities": {"portMappings": true}, "backend": "nftables"});
    json!({"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge, portmap]}).to_string()
}

pub(super) fn kubelet(state: &State, cgroup: &str) -> String {
    let dir = state.dir().display();
    format!(
        r#"apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://{dir}/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /{cgroup}
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
address: {ip}
authentication: {{anonymous: {{enabled: false}}, webhook: {{enabled: true}}, x509: {{clientCAFile: {dir}/pki/ca.crt}}}}
authorization: {{mode: Webhook}}
clusterDomain: cluster.local
clusterDNS: ["{ip}"]
resolvConf: {dir}/resolv.conf
podLogsDir: {dir}/podlogs
volumePluginDir: {dir}/flex
readOnlyPort: 0
healthzPort: 10248
# A test machine's disk may well be nearly full, and nothing may be evicted for it.
evictionHard: {{memory.available: "100Mi", nodefs.available: "0%", nodefs.inodesFree: "0%", imagefs.available: "0%", imagefs.inodesFree: "0%"}}
# There is no registry to get a deleted image from.
imageGCHighThresholdPercent: 100
imageMinimumGCAge: 24h
syncFrequency: 10s
nodeStatusUpdateFrequency: 5s
configMapAndSecretChangeDetectionStrategy: Watch
serializeImagePulls: false
registryPullQPS: 0
eventRecordQPS: 0
maxPods: 200
shutdownGracePeriod: 0s
"#,
        ip = network::NODE_IP
    )
}

pub(super) fn kube_proxy(state: &State) -> String {
    // The limits of connection tracking are read-only outside of the machine's first network namespace.
    format!(
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {{kubeconfig: {dir}/kube-proxy.kubeconfig}}
hostnameOverride: {node}
mode: nftables
clusterCIDR: {pods}
bindAddress: {ip}
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
oomScoreAdj: 0
conntrack: {{maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}}
",
        dir = state.dir().display(),
        node = network::NODE,
        pods = network::PODS,
        ip = network::NODE_IP
    )
}

pub(super) fn corefile(state: &State) -> String {
    format!(
        ".:53 {{
    bind {ip}
    errors
    ready 127.0.0.1:8181
    hosts {dir}/hosts {{
        ttl 1
        reload 1s
        fallthrough
    }}
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {dir}/coredns.kubeconfig {context}
        pods insecure
        ttl 1
    }}
    template ANY ANY . {{
        rcode NXDOMAIN
    }}
    cache 1
}}
",
        ip = network::NODE_IP,
        dir = state.dir().display(),
        context = state.name()
    )
}

pub(super) fn local_path(state: &State) -> String {
    let everywhere = json!({"node": "DEFAULT_PATH_FOR_NON_LISTED_NODES", "paths": [state.path("local-path")]});
    json!({"nodePathMap": [everywhere]}).to_string()
}

/// What the node's components expect in the API.
#[must_use]
pub fn base_objects() -> Vec<Value> {
    // 0777 because volumes of this kind ignore fsGroup, and pods are not root.
    let setup = "#!/bin/sh\nset -eu\nmkdir -m 0777 -p \"$VOL_DIR\"\n";
    let teardown = "#!/bin/sh\nset -eu\nrm -rf \"$VOL_DIR\"\n";
    vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": STORAGE_NAMESPACE}}),
        json!({"apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": STORAGE_ACCOUNT, "namespace": STORAGE_NAMESPACE}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": STORAGE_CONFIG, "namespace": STORAGE_NAMESPACE},
            "data": {"setup": setup, "teardown": teardown}}),
        json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
            "metadata": {"name": "local-path", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
            "provisioner": "rancher.io/local-path", "volumeBindingMode": "WaitForFirstConsumer",
            "reclaimPolicy": "Delete"}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": "llm-operator-test:kube-proxy"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:node-proxier"},
            "subjects": [{"kind": "User", "name": "system:kube-proxy", "apiGroup": "rbac.authorization.k8s.io"}]}),
    ]
}

/// Adds or replaces the line of `name` in the names that the cluster's DNS knows beside its own.
///
/// # Errors
/// When the file cannot be written.
pub fn add_host(state: &State, name: &str, address: &str) -> Result<()> {
    let path = state.path("hosts");
    let old = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut lines: Vec<&str> = old
        .lines()
        .filter(|l| l.split_whitespace().nth(1) != Some(name))
        .collect();
    let line = format!("{address} {name}");
    lines.push(&line);
    let partial = state.path("hosts.partial");
    fs::write(&partial, lines.join("\n") + "\n")?;
    Ok(fs::rename(partial, path)?)
}
