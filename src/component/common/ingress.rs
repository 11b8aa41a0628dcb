//! How a component is reached from outside: the Ingress, its fields, rules and object.

use super::Common;
use super::check::differs;
use super::pod::Pod;
use crate::base::issue::{Concern, Issue, Review};
use crate::base::object::{Object, merge};
use crate::base::{crd, names};
use k8s_openapi::api::networking::v1::Ingress;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use validator::Validate;

/// How a component is reached from outside through an Ingress.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct IngressSpec {
    /// Whether there is an Ingress. Default: true where `host` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The host name. Required when enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 253))]
    pub host: Option<String>,
    /// The path. Default: /.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 1024))]
    pub path: Option<String>,
    /// The IngressClass. Default: the cluster's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 253))]
    pub class_name: Option<String>,
    /// Annotations, passed through as they are. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// A list of `{hosts, secretName}`, or one such object. Default: no TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crd::value")]
    pub tls: Option<Value>,
}

impl IngressSpec {
    /// True when an Ingress should exist.
    #[must_use]
    pub fn is_on(&self) -> bool {
        let host = self.host.as_deref().is_some_and(|host| !host.is_empty());
        self.enabled.unwrap_or(host)
    }
}

/// The Ingress that is asked for, nested fields before flat ones; `None` where nothing is said of one.
#[must_use]
pub fn exposure(common: &Common, nested: Option<&IngressSpec>) -> Option<IngressSpec> {
    let mut ingress = nested.cloned().unwrap_or_default();
    ingress.enabled = ingress.enabled.or(common.ingress_enabled);
    ingress.host = ingress.host.or_else(|| common.ingress_host.clone());
    (nested.is_some() || ingress.enabled.is_some() || ingress.host.is_some()).then_some(ingress)
}

/// A host that is one, TLS in one of its two forms, annotations that do what they seem to do.
#[must_use]
pub fn check(path: &str, common: &Common, nested: Option<&IngressSpec>) -> Review {
    let mut review = Review::default();
    let Some(ingress) = exposure(common, nested) else {
        return review;
    };
    let host = ingress.host.as_deref().unwrap_or_default();
    let flat = nested.is_none_or(|n| n.host.is_none());
    let at_host = if flat && !host.is_empty() {
        format!("{path}.ingressHost")
    } else {
        format!("{path}.ingress.host")
    };
    if ingress.is_on() && host.is_empty() {
        let detail = "an Ingress needs a host name; give one, or set enabled to false";
        review
            .issues
            .push(Issue::required(at_host, "ingress-host", detail).fatal());
    } else if !host.is_empty() && !names::is_host(host) {
        let detail = "is not a lower-case host name such as chat.example.com";
        review
            .issues
            .push(Issue::invalid(at_host, "host", host, detail).fatal());
    }
    if let Some(value) = ingress.path.as_deref().filter(|p| !p.starts_with('/')) {
        let at = format!("{path}.ingress.path");
        review
            .issues
            .push(Issue::invalid(at, "path", value, "must begin with /").fatal());
    }
    review
        .issues
        .extend(tls(&format!("{path}.ingress.tls"), ingress.tls.as_ref()));
    warn_of_annotations(path, &ingress, &mut review);
    if let Some(nested) = nested {
        let (on, hosts) = (
            (nested.enabled, common.ingress_enabled),
            (nested.host.as_ref(), common.ingress_host.as_ref()),
        );
        differs(&mut review, path, ("ingress.enabled", "ingressEnabled"), on);
        differs(&mut review, path, ("ingress.host", "ingressHost"), hosts);
    }
    review
}

fn tls(path: &str, tls: Option<&Value>) -> Vec<Issue> {
    let items: Vec<(String, &Value)> = match tls {
        None => vec![],
        Some(Value::Array(items)) => items
            .iter()
            .enumerate()
            .map(|(i, v)| (format!("{path}[{i}]"), v))
            .collect(),
        Some(item) => vec![(path.to_string(), item)],
    };
    let bad = items.into_iter().filter(|(_, item)| !is_tls(item));
    bad.map(|(at, item)| {
        let detail = "must be an object with hosts (a list of host names) and secretName";
        Issue::invalid(at, "tls", item.clone(), detail).fatal()
    })
    .collect()
}

fn is_tls(item: &Value) -> bool {
    let known = |key: &String| key == "hosts" || key == "secretName";
    let host = |host: &Value| host.as_str().is_some_and(names::is_host);
    item.as_object().is_some_and(|fields| fields.keys().all(known))
        && (item["hosts"].is_null() || item["hosts"].as_array().is_some_and(|hosts| hosts.iter().all(host)))
        && (item["secretName"].is_null() || item["secretName"].as_str().is_some_and(names::is_subdomain))
}

/// The two that older documents print and that do not do what those say (facts, products 8).
fn warn_of_annotations(path: &str, ingress: &IngressSpec, review: &mut Review) {
    let given = |key: &str| ingress.annotations.as_ref().and_then(|a| a.get(key));
    if given("haproxy.org/ssl-passthrough").is_some_and(|v| v == "true") {
        let text = "haproxy.org/ssl-passthrough passes raw TCP on: no TLS, host or path rules";
        review.warn(Concern::Security, format!("{path}.ingress: {text}"));
    }
    if given("haproxy.org/websocket-services").is_some() {
        let text = "haproxy.org/websocket-services does not exist; WebSockets need nothing";
        review.warn(Concern::NoEffect, format!("{path}.ingress: {text}"));
    }
}

/// The Ingress to the pods' Service, where one is asked for.
#[must_use]
pub fn object(pod: &Pod<'_>, nested: Option<&IngressSpec>) -> Option<Object> {
    let asked = exposure(pod.common, nested).filter(IngressSpec::is_on);
    asked.map(|ingress| route(pod, &ingress))
}

fn route(pod: &Pod<'_>, ingress: &IngressSpec) -> Object {
    let tls = ingress
        .tls
        .as_ref()
        .map(|tls| if tls.is_array() { tls.clone() } else { json!([tls]) });
    let mut spec = json!({"rules": [{"host": ingress.host, "http": {"paths": [{
        "path": ingress.path.as_deref().unwrap_or("/"),
        "pathType": "Prefix",
        "backend": {"service": {"name": pod.name, "port": {"name": "http"}}},
    }]}}]});
    merge(&mut spec, json!({"ingressClassName": ingress.class_name, "tls": tls}));
    let fields = json!({"metadata": {"annotations": ingress.annotations}, "spec": spec});
    pod.owner
        .object::<Ingress>(pod.component, &format!("{}-ingress", pod.name), fields)
}

/// The rule on hosts in CEL, for a component that is off unless `enabled` is true.
#[must_use]
pub fn rule() -> Value {
    let nested = "has(self.ingress) && has(self.ingress.enabled)";
    let on = format!("({nested} ? self.ingress.enabled : (has(self.ingressEnabled) && self.ingressEnabled))");
    let host = "(has(self.ingress) && has(self.ingress.host) && self.ingress.host != '')";
    let flat = "(has(self.ingressHost) && self.ingressHost != '')";
    crd::rule(
        &format!("has(self.enabled) && self.enabled && {on} && !{host} && !{flat}"),
        ".ingress",
        "an Ingress needs a host name; give ingress.host, or set ingress.enabled to false",
    )
}
