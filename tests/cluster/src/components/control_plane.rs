//! etcd, the API server, the controller manager and the scheduler.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::Component;
use crate::network;
use crate::state::{Spec, State};

/// Name of the etcd component.
pub const ETCD: &str = "etcd";
/// Name of the API server component.
pub const APISERVER: &str = "kube-apiserver";
/// Name of the controller manager component.
pub const CONTROLLER_MANAGER: &str = "kube-controller-manager";
/// Name of the scheduler component.
pub const SCHEDULER: &str = "kube-scheduler";

const ETCD_CLIENTS: &str = "http://127.0.0.1:2379";
const ETCD_PEERS: &str = "http://127.0.0.1:2380";

/// Every request once: when it has been answered, or when its watch has begun. Tests count requests with it.
const AUDIT_POLICY: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  nonResourceURLs: [/healthz*, /livez*, /readyz*]
- level: Metadata
  verbs: [watch]
  omitStages: [ResponseComplete]
- level: Metadata
";

pub(super) fn etcd(state: &State, program: &Path) -> Component {
    Component::new(ETCD, program)
        .file("data-dir", &state.path("etcd"))
        .arg("--unsafe-no-fsync") // the data is thrown away; a killed process still loses none of it
        .flag("log-level", "warn")
        .flag("listen-client-urls", ETCD_CLIENTS)
        .flag("advertise-client-urls", ETCD_CLIENTS)
        .flag("listen-peer-urls", ETCD_PEERS)
        .flag("initial-advertise-peer-urls", ETCD_PEERS)
        .flag("initial-cluster", format!("default={ETCD_PEERS}"))
}

pub(super) fn apiserver(state: &State, spec: &Spec, program: &Path) -> Result<Component> {
    let pki = |file: &str| state.path("pki").join(file);
    fs::write(state.path("audit-policy.yaml"), AUDIT_POLICY)?;
    Ok(Component::new(APISERVER, program)
        .flag("etcd-servers", ETCD_CLIENTS)
        .flag("bind-address", "0.0.0.0")
        .flag("advertise-address", network::NODE_IP)
        .flag("secure-port", spec.port.to_string())
        .file("tls-cert-file", &pki("apiserver.crt"))
        .file("tls-private-key-file", &pki("apiserver.key"))
        .file("client-ca-file", &pki("ca.crt"))
        .flag("service-cluster-ip-range", network::SERVICES)
        .flag("authorization-mode", "Node,RBAC")
        .flag("enable-admission-plugins", "NodeRestriction")
        .flag("service-account-issuer", "https://kubernetes.default.svc.cluster.local")
        .file("service-account-signing-key-file", &pki("sa.key"))
        .file("service-account-key-file", &pki("sa.pub"))
        .file("requestheader-client-ca-file", &pki("front-proxy-ca.crt"))
        .flag("requestheader-allowed-names", "front-proxy-client")
        .flag("requestheader-username-headers", "X-Remote-User")
        .flag("requestheader-group-headers", "X-Remote-Group")
        .flag("requestheader-extra-headers-prefix", "X-Remote-Extra-")
        .file("proxy-client-cert-file", &pki("front-proxy-client.crt"))
        .file("proxy-client-key-file", &pki("front-proxy-client.key"))
        .file("kubelet-client-certificate", &pki("admin.crt"))
        .file("kubelet-client-key", &pki("admin.key"))
        .flag("kubelet-preferred-address-types", "InternalIP")
        // Webhooks are called at a ready endpoint's own address, so they work without kube-proxy too.
        .flag("enable-aggregator-routing", "true")
        .flag("allow-privileged", "true")
        .flag("endpoint-reconciler-type", "lease")
        .flag("shutdown-delay-duration", "0s")
        .file("audit-policy-file", &state.path("audit-policy.yaml"))
        .file("audit-log-path", &state.log("audit"))
        .flag("audit-log-maxsize", "1000000")) // MiB: a log that is rotated cannot be read from a known place
}

pub(super) fn controller_manager(state: &State, program: &Path) -> Component {
    let pki = |file: &str| state.path("pki").join(file);
    Component::new(CONTROLLER_MANAGER, program)
        .file("kubeconfig", &state.path("kube-controller-manager.kubeconfig"))
        .flag("bind-address", "127.0.0.1")
        .flag("leader-elect", "false")
        .flag("allocate-node-cidrs", "false")
        .file("root-ca-file", &pki("ca.crt"))
        .file("service-account-private-key-file", &pki("sa.key"))
        .file("cluster-signing-cert-file", &pki("ca.crt"))
        .file("cluster-signing-key-file", &pki("ca.key"))
        .file("requestheader-client-ca-file", &pki("front-proxy-ca.crt"))
        .file("flex-volume-plugin-dir", &state.path("flex")) // by default it makes a folder under /usr
}

pub(super) fn scheduler(state: &State, program: &Path) -> Component {
    Component::new(SCHEDULER, program)
        .file("kubeconfig", &state.path("kube-scheduler.kubeconfig"))
        .flag("bind-address", "127.0.0.1")
        .flag("leader-elect", "false")
}
