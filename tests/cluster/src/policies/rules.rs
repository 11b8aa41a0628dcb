//! NetworkPolicies as rules of nftables: values in, text out.

use std::collections::BTreeMap;
use std::fmt::Write;

use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::selector::selects;

/// The table, which is nobody else's.
pub(super) const TABLE: &str = "network_policies";

/// A pod as it is on the wire.
struct Place<'a> {
    namespace: &'a str,
    labels: BTreeMap<String, String>,
    address: &'a str,
    /// Ports by name: protocol and number.
    ports: BTreeMap<&'a str, (&'a str, i32)>,
}

/// The direction of traffic, as a pod sees it.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    In,
    Out,
}

/// The whole table; it replaces the former one in one step.
///
/// A connection that stands goes on. The rest passes where the sender's policies let it out and the receiver's let it in;
/// a pod that no policy selects has none.
pub(super) fn ruleset(policies: &[NetworkPolicy], pods: &[Pod], namespaces: &[Namespace]) -> String {
    let places: Vec<Place<'_>> = pods.iter().filter_map(place).collect();
    let labels: BTreeMap<&str, BTreeMap<String, String>> = namespaces
        .iter()
        .filter_map(|n| {
            Some((
                n.metadata.name.as_deref()?,
                n.metadata.labels.clone().unwrap_or_default(),
            ))
        })
        .collect();
    let world = World { places, labels };
    let (mut chains, mut out, mut into) = (String::new(), String::new(), String::new());
    for (n, place) in world.places.iter().enumerate() {
        for way in [Way::Out, Way::In] {
            let Some(rules) = world.chain(policies, place, way) else {
                continue;
            };
            let (prefix, side, jumps) = match way {
                Way::Out => ("out", "saddr", &mut out),
                Way::In => ("in", "daddr", &mut into),
            };
            let _ = writeln!(
                chains,
                "  chain {prefix}_{n} {{\n{rules}    reject with icmpx admin-prohibited\n  }}"
            );
            let _ = writeln!(jumps, "    ip {side} {} jump {prefix}_{n}", place.address);
        }
    }
    // What pods send to the node itself passes the hook `input`; what the node sends passes neither.
    format!(
        "add table inet {TABLE}\ndelete table inet {TABLE}\ntable inet {TABLE} {{\n{chains}\
         \x20 chain forward {{\n    type filter hook forward priority 0; policy accept;\n    \
         ct state established,related accept\n{out}{into}  }}\n\
         \x20 chain input {{\n    type filter hook input priority 0; policy accept;\n    \
         ct state established,related accept\n{out}  }}\n}}\n"
    )
}

fn place(pod: &Pod) -> Option<Place<'_>> {
    let (spec, status) = (pod.spec.as_ref()?, pod.status.as_ref()?);
    let ended = ["Succeeded", "Failed"].contains(&status.phase.as_deref().unwrap_or_default());
    if ended || spec.host_network == Some(true) {
        return None;
    }
    let named = spec.containers.iter().flat_map(|c| c.ports.iter().flatten());
    Some(Place {
        namespace: pod.metadata.namespace.as_deref()?,
        labels: pod.metadata.labels.clone().unwrap_or_default(),
        address: status.pod_ip.as_deref()?,
        ports: named
            .filter_map(|p| {
                Some((
                    p.name.as_deref()?,
                    (p.protocol.as_deref().unwrap_or("TCP"), p.container_port),
                ))
            })
            .collect(),
    })
}

struct World<'a> {
    places: Vec<Place<'a>>,
    /// Labels of the namespaces.
    labels: BTreeMap<&'a str, BTreeMap<String, String>>,
}

impl World<'_> {
    /// The rules that let traffic of a pod pass; none where no policy selects it for that way, and it is open.
    fn chain(&self, policies: &[NetworkPolicy], place: &Place<'_>, way: Way) -> Option<String> {
        let mut rules = None;
        for policy in policies {
            let Some(spec) = &policy.spec else { continue };
            let own = policy.metadata.namespace.as_deref() == Some(place.namespace);
            let selected = spec.pod_selector.as_ref().is_none_or(|s| selects(s, &place.labels));
            let types: Vec<&str> = spec.policy_types.iter().flatten().map(String::as_str).collect();
            let concerned = match way {
                Way::In => types.is_empty() || types.contains(&"Ingress"),
                Way::Out => types.contains(&"Egress") || types.is_empty() && spec.egress.is_some(),
            };
            if !own || !selected || !concerned {
                continue;
            }
            let text: &mut String = rules.get_or_insert_default();
            match way {
                Way::In => spec.ingress.iter().flatten().for_each(|r| {
                    text.push_str(&self.rule(place, way, r.from.as_deref(), r.ports.as_deref()));
                }),
                Way::Out => spec.egress.iter().flatten().for_each(|r| {
                    text.push_str(&self.rule(place, way, r.to.as_deref(), r.ports.as_deref()));
                }),
            }
        }
        rules
    }

    /// One rule of a policy: every peer with every port. No peers, or no ports, mean any.
    fn rule(
        &self,
        place: &Place<'_>,
        way: Way,
        peers: Option<&[NetworkPolicyPeer]>,
        ports: Option<&[NetworkPolicyPort]>,
    ) -> String {
        let mut text = String::new();
        let peers = peers.filter(|p| !p.is_empty());
        let ports = ports.filter(|p| !p.is_empty());
        let matches = match peers {
            None => vec![(String::new(), None)],
            Some(peers) => peers.iter().flat_map(|peer| self.matches(place, way, peer)).collect(),
        };
        for (address, other) in matches {
            // The receiver knows what its ports are called.
            let receiver = if way == Way::In { Some(place) } else { other };
            match ports {
                None => drop(writeln!(text, "    {address}return")),
                Some(ports) => {
                    for port in ports.iter().filter_map(|port| numbered(port, receiver)) {
                        let _ = writeln!(text, "    {address}{port} return");
                    }
                }
            }
        }
        text
    }

    /// What a peer is on the wire: a match of addresses, and the pod where it is one.
    fn matches<'b>(
        &'b self,
        place: &Place<'_>,
        way: Way,
        peer: &NetworkPolicyPeer,
    ) -> Vec<(String, Option<&'b Place<'b>>)> {
        let side = if way == Way::In { "saddr" } else { "daddr" };
        if let Some(block) = &peer.ip_block {
            let family = if block.cidr.contains(':') { "ip6" } else { "ip" };
            let except = block.except.clone().unwrap_or_default().join(", ");
            let except = if except.is_empty() {
                String::new()
            } else {
                format!("{family} {side} != {{ {except} }} ")
            };
            return vec![(format!("{family} {side} {} {except}", block.cidr), None)];
        }
        let nothing = BTreeMap::new();
        let in_namespace = |other: &Place<'_>| match &peer.namespace_selector {
            None => other.namespace == place.namespace,
            Some(selector) => selects(selector, self.labels.get(other.namespace).unwrap_or(&nothing)),
        };
        let is = |other: &&Place<'_>| {
            in_namespace(other) && peer.pod_selector.as_ref().is_none_or(|s| selects(s, &other.labels))
        };
        let others = self.places.iter().filter(is);
        others
            .map(|other| (format!("ip {side} {} ", other.address), Some(other)))
            .collect()
    }
}

/// A port as a match; none where the receiver has no port of that name.
fn numbered(port: &NetworkPolicyPort, receiver: Option<&Place<'_>>) -> Option<String> {
    let protocol = port.protocol.as_deref().unwrap_or("TCP");
    let word = protocol.to_ascii_lowercase();
    match &port.port {
        None => Some(format!("meta l4proto {word}")),
        Some(IntOrString::Int(first)) => match port.end_port {
            Some(last) => Some(format!("{word} dport {first}-{last}")),
            None => Some(format!("{word} dport {first}")),
        },
        Some(IntOrString::String(name)) => {
            let (spoken, number) = receiver?.ports.get(name.as_str())?;
            (*spoken == protocol).then(|| format!("{word} dport {number}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(namespace: &str, app: &str, ip: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": app, "namespace": namespace, "labels": {"app": app}},
            "spec": {"containers": [{"name": "c", "ports": [{"name": "http", "containerPort": 8080}]}]},
            "status": {"podIP": ip, "phase": "Running"},
        }))
        .unwrap()
    }

    /// The rules of the pods `web` and `db` of `team` and `out` of `else`, under a policy of `team`.
    fn rules(spec: &Value) -> String {
        let policy = json!({"metadata": {"name": "p", "namespace": "team"}, "spec": spec});
        let pods = [
            pod("team", "web", "10.0.0.1"),
            pod("team", "db", "10.0.0.2"),
            pod("else", "out", "10.0.0.3"),
        ];
        let namespaces = ["team", "else"].map(|name| {
            let labels = json!({"kubernetes.io/metadata.name": name});
            serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}})).unwrap()
        });
        ruleset(&[serde_json::from_value(policy).unwrap()], &pods, &namespaces)
    }

    /// The lines of a chain, without its end.
    fn chain(rules: &str, name: &str) -> Option<Vec<String>> {
        let (_, rest) = rules.split_once(&format!("chain {name} {{\n"))?;
        let (body, _) = rest.split_once("    reject")?;
        Some(body.lines().map(|l| l.trim().to_owned()).collect())
    }

    #[test]
    fn a_pod_that_no_policy_selects_is_open() {
        let rules = rules(&json!({"podSelector": {"matchLabels": {"app": "db"}}, "ingress": []}));
        assert_eq!(chain(&rules, "in_1"), Some(vec![]), "db is closed: {rules}");
        for open in ["in_0", "in_2", "out_0", "out_1", "out_2"] {
            assert_eq!(chain(&rules, open), None, "{open}: {rules}");
        }
        assert!(rules.contains("ip daddr 10.0.0.2 jump in_1"), "{rules}");
    }

    #[test]
    fn peers_are_pods_of_the_own_namespace_unless_another_is_named() {
        let from = json!([
            {"podSelector": {"matchLabels": {"app": "web"}}},
            {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "else"}}},
            {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "nobody"}}},
        ]);
        let spec = json!({
            "podSelector": {"matchLabels": {"app": "db"}},
            "ingress": [{"from": from, "ports": [{"port": "http"}, {"port": 9, "endPort": 11, "protocol": "UDP"}]}],
        });
        let found = chain(&rules(&spec), "in_1").unwrap();
        let lines = [
            "ip saddr 10.0.0.1 tcp dport 8080 return",
            "ip saddr 10.0.0.1 udp dport 9-11 return",
            "ip saddr 10.0.0.3 tcp dport 8080 return",
            "ip saddr 10.0.0.3 udp dport 9-11 return",
        ];
        assert_eq!(found, lines);
    }

    #[test]
    fn blocks_have_their_exceptions() {
        let spec = json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [
            {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}}]},
            {"to": [{"ipBlock": {"cidr": "::/0"}}]},
            {"ports": [{"protocol": "UDP", "port": 53}]},
        ]});
        let rules = rules(&spec);
        let lines = [
            "ip daddr 0.0.0.0/0 ip daddr != { 169.254.0.0/16 } return",
            "ip6 daddr ::/0 return",
            "udp dport 53 return",
        ];
        assert_eq!(chain(&rules, "out_0").unwrap(), lines);
        assert_eq!(chain(&rules, "in_0"), None, "only egress is spoken of");
        assert_eq!(chain(&rules, "out_2"), None, "another namespace");
    }
}
