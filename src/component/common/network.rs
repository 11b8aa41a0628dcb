//! Network policies: who may reach a component, and what its pods may reach.

use super::NetworkPolicySpec;
use super::pod::Pod;
use crate::base::object::{OPERATOR, Object};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use serde_json::{Value, json};

/// The policy of a component that users reach on its port: open to everyone, or to `from` when it is given. The
/// operator, which runs in `operator_namespace`, is let in where the component needs it.
#[must_use]
pub fn policy(pod: &Pod<'_>, spec: &NetworkPolicySpec, operator_namespace: Option<&str>) -> Option<Object> {
    if spec.enabled == Some(false) {
        return None;
    }
    let ports = json!([{"protocol": "TCP", "port": pod.port}]);
    let ingress = match &spec.from {
        None => vec![json!({"ports": ports})],
        Some(peers) => {
            let operator = operator_namespace.map(operator_peer);
            let peers: Vec<&Value> = peers.iter().chain(operator.iter()).collect();
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

/// Everything but link-local addresses, where clouds keep credentials; names are looked up there too, on clusters
/// with a DNS cache on each node.
fn egress() -> Value {
    json!([
        {"to": [
            {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}},
            {"ipBlock": {"cidr": "::/0", "except": ["fe80::/10"]}},
        ]},
        {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]},
    ])
}

fn operator_peer(namespace: &str) -> Value {
    json!({
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": OPERATOR}},
    })
}
