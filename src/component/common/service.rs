//! The Service of a component: its fields, defaults and rules.

use super::check::{Subject, differs};
use crate::base::crd;
use crate::base::issue::{Concern, Issue, Review};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use validator::Validate;

/// The Service of a component.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct ServiceSpec {
    /// ClusterIP, NodePort or LoadBalancer. Default: ClusterIP.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<ServiceType>,
    /// The port of the Service; the process listens where it always does. Default: the component's own port.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(range(min = 1, max = 65535))]
    pub port: Option<i32>,
    /// The port on every node, with type NodePort or LoadBalancer. Default: chosen by the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(range(min = 1, max = 65535))]
    pub node_port: Option<i32>,
    /// Who may reach a load balancer, as CIDRs. Default: everyone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 64))]
    pub load_balancer_source_ranges: Option<Vec<String>>,
    /// Annotations of the Service. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// Types of Services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(transform = crate::base::crd::choice)]
pub enum ServiceType {
    /// Inside the cluster.
    #[default]
    ClusterIP,
    /// On every node.
    NodePort,
    /// Behind a load balancer of the cloud.
    LoadBalancer,
}

/// Ports of the nodes and ranges only where the type has them, and flat fields that say the same as nested ones.
pub(super) fn check(subject: &Subject<'_>, review: &mut Review) {
    let Subject { path, common, .. } = subject;
    let Some(service) = &common.service else { return };
    let kind = common.service_kind();
    if service.node_port.is_some() && kind == ServiceType::ClusterIP {
        let detail = "needs service.type NodePort or LoadBalancer; set one of them, or remove nodePort";
        review
            .issues
            .push(Issue::forbidden(format!("{path}.service.nodePort"), "node-port", detail).fatal());
    }
    for (i, range) in service.load_balancer_source_ranges.iter().flatten().enumerate() {
        let at = format!("{path}.service.loadBalancerSourceRanges[{i}]");
        if !is_cidr(range) {
            review
                .issues
                .push(Issue::invalid(at, "cidr", range.as_str(), "is not a CIDR such as 10.0.0.0/8").fatal());
        } else if kind != ServiceType::LoadBalancer {
            review.warn(
                Concern::NoEffect,
                format!("{at} does nothing without service.type LoadBalancer"),
            );
        }
    }
    let (kinds, ports) = ((service.kind, common.service_type), (service.port, common.service_port));
    differs(review, path, ("service.type", "serviceType"), kinds);
    differs(review, path, ("service.port", "servicePort"), ports);
}

fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else {
        return false;
    };
    let most = match address.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(_)) => 32,
        Ok(std::net::IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    bits.parse::<u8>().is_ok_and(|bits| bits <= most)
}

/// Writes the type and port of the Service, unless a flat field gives them.
pub fn fill_service(block: &mut Map<String, Value>, port: i32) {
    for (field, flat, value) in [
        ("type", "serviceType", Value::from("ClusterIP")),
        ("port", "servicePort", port.into()),
    ] {
        if !block.contains_key(flat)
            && let Some(service) = block.entry("service").or_insert_with(|| json!({})).as_object_mut()
        {
            service.entry(field).or_insert(value);
        }
    }
}

/// The rule on the port of the nodes in CEL, for a component that is on where `on` holds.
#[must_use]
pub fn rule(on: &str) -> Value {
    let flat = "(has(self.serviceType) ? self.serviceType : 'ClusterIP')";
    crd::rule(
        &format!(
            "{on} && has(self.service) && has(self.service.nodePort) && \
             (has(self.service.type) ? self.service.type : {flat}) == 'ClusterIP'"
        ),
        ".service.nodePort",
        "nodePort needs service.type NodePort or LoadBalancer; set one of them, or remove nodePort",
    )
}
