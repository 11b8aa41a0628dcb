//! The addresses inside every cluster. Each cluster has a network namespace of its own, so all use the same.

use std::path::Path;

/// The node's name.
pub const NODE: &str = "node1";
/// The user that the kubelet of [`NODE`] is.
pub const NODE_USER: &str = "system:node:node1";
/// The node's address, also that of stand-ins that tests serve to pods.
pub const NODE_IP: &str = "10.200.0.1";
/// The range of Service addresses.
pub const SERVICES: &str = "10.96.0.0/16";
/// The first of them: the API server's.
pub const API_SERVICE_IP: &str = "10.96.0.1";
/// Addresses of the real node's pods.
pub const PODS: &str = "10.244.0.0/24";
/// Addresses that are all local to the cluster's network namespace: those of KWOK's pods and nodes. A process
/// that listens on the address of a KWOK pod answers for it.
pub const KWOK: &str = "10.245.0.0/16";
/// The part of [`KWOK`] that pods get.
pub const KWOK_PODS: &str = "10.245.0.0/17";
/// The address of every KWOK node.
pub const KWOK_NODE_IP: &str = "10.245.128.1";

/// The setting that has traffic between the pods of a bridge pass the packet filter. It is there when the kernel
/// has `br_netfilter`.
#[must_use]
pub fn bridge_filter() -> &'static Path {
    Path::new("/proc/sys/net/bridge/bridge-nf-call-iptables")
}
