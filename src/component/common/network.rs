//! Network policies: who may reach a component, and what its pods may reach.

use super::NetworkPolicySpec;
use super::pod::Pod;
use crate::base::object::{OPERATOR, Object, Owner};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use serde_json::{Value, json};

/// The policy of a component that users reach on its port: open to everyone, or to `from` when it is given and then
/// also to `wiring`: who must reach it for the stack to work.
#[must_use]
pub fn policy(pod: &Pod<'_>, spec: &NetworkPolicySpec, wiring: &[Value]) -> Option<Object> {
    if spec.enabled == Some(false) {
        return None;
    }
    let ports = json!([{"protocol": "TCP", "port": pod.port}]);
    let ingress = match &spec.from {
        None => vec![json!({"ports": ports})],
        Some(peers) => {
            let peers: Vec<&Value> = peers.iter().chain(wiring).collect();
            // An empty `from` would mean everyone; no rule at all means no one.
            if peers.is_empty() {
                vec![]
            } else {
                vec![json!({"ports": ports, "from": peers})]
            }
        }
    };
    Some(pod.object::<NetworkPolicy>(json!({"spec": {
        "podSelector": {"matchLabels": pod.owner.selector(pod.component)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": ingress,
        "egress": egress(),
    }})))
}

/// The policy of a component that only others of the stack reach.
#[must_use]
pub fn inner(pod: &Pod<'_>, spec: &NetworkPolicySpec, consumers: &[Value]) -> Option<Object> {
    let closed = NetworkPolicySpec {
        enabled: spec.enabled,
        from: Some(vec![]),
    };
    policy(pod, &closed, consumers)
}

/// Everything but link-local addresses, where clouds keep credentials; names are looked up there too, on clusters
/// with a DNS cache on each node. Pods are named apart, since some networks do not count them among addresses.
fn egress() -> Value {
    json!([
        {"to": [
            {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}},
            {"ipBlock": {"cidr": "::/0", "except": ["fe80::/10"]}},
            {"namespaceSelector": {}},
        ]},
        {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]},
    ])
}

/// The operator, which runs in that namespace.
#[must_use]
pub fn operator(namespace: &str) -> Option<Value> {
    // Offline there is none.
    (!namespace.is_empty()).then(|| {
        json!({
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "podSelector": {"matchLabels": {"app.kubernetes.io/name": OPERATOR}},
        })
    })
}

/// The pods of a component of the same stack.
#[must_use]
pub fn pods(owner: &Owner, component: &str) -> Value {
    json!({"podSelector": {"matchLabels": owner.selector(component)}})
}
