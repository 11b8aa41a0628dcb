//! The configuration files of the kubelet and its companions, and the objects they expect.

use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::images::BUSYBOX;
use crate::network;
use crate::state::State;

pub(super) const STORAGE_NAMESPACE: &str = "local-path-storage";
pub(super) const STORAGE_CONFIG: &str = "local-path-config";
pub(super) const STORAGE_ACCOUNT: &str = "local-path-provisioner";

/// The pod that makes and removes a volume's folder.
pub(super) fn local_path_helper() -> String {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "helper-pod"}, "spec": {
        "priorityClassName": "system-node-critical", "tolerations": [{"operator": "Exists"}],
        "containers": [{"name": "helper-pod", "image": BUSYBOX, "imagePullPolicy": "IfNotPresent"}]}})
    .to_string()
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
    // Without the bridge's filter a pod answers its neighbour directly, from an address that was not asked;
    // with the node as the apparent caller every answer comes back through it.
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
nftables: {{masqueradeAll: {masquerade}}}
",
        masquerade = !network::bridge_filter().exists(),
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
