//! Services and their ports.

use super::*;

#[test]
fn node_ports_and_ranges() {
    accepted("ollama: {models: [a], service: {type: NodePort, nodePort: 31434}}");
    accepted(
        "ollama: {models: [a], serviceType: LoadBalancer, service: {nodePort: 31434, loadBalancerSourceRanges: [10.0.0.0/8, 'fd00::/8']}}",
    );
    refused(
        "ollama: {models: [a], service: {nodePort: 31434}}",
        &[
            "spec.ollama.service.nodePort: Forbidden: needs service.type NodePort or LoadBalancer; set one of them, or remove nodePort",
        ],
    );
    refused(
        "ollama: {models: [a], service: {type: LoadBalancer, loadBalancerSourceRanges: [10.0.0.0, 10.0.0.0/33, office]}}",
        &[
            r#"spec.ollama.service.loadBalancerSourceRanges[0]: Invalid value: "10.0.0.0": is not a CIDR such as 10.0.0.0/8"#,
            r#"spec.ollama.service.loadBalancerSourceRanges[1]: Invalid value: "10.0.0.0/33": is not a CIDR such as 10.0.0.0/8"#,
            r#"spec.ollama.service.loadBalancerSourceRanges[2]: Invalid value: "office": is not a CIDR such as 10.0.0.0/8"#,
        ],
    );
}
