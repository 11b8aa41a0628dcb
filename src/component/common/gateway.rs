//! How a component is reached from outside through a Gateway: the HTTPRoute, its fields, rules, object and fate.

use super::IngressSpec;
use super::pod::Pod;
use crate::base::issue::Issue;
use crate::base::names;
use crate::base::object::{Object, find};
use crate::base::seen::Seen;
use kube::Resource;
use kube::core::{DynamicObject, ObjectMeta};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::borrow::Cow;
use validator::Validate;

/// The group of the Gateway API.
const GROUP: &str = "gateway.networking.k8s.io";
/// The definition without which there are no routes.
pub const DEFINITION: &str = "httproutes.gateway.networking.k8s.io";

/// How a component is reached from outside through a Gateway.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct GatewaySpec {
    /// The Gateway, which exists. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    pub parent_ref: Option<ParentRef>,
    /// The host name. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 253))]
    pub host: Option<String>,
}

/// A Gateway.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct ParentRef {
    /// Its name.
    #[validate(length(min = 1, max = 253))]
    pub name: String,
    /// Its namespace, from which it must allow routes. Default: that of the stack.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 63))]
    pub namespace: Option<String>,
    /// The listener of the Gateway. Default: every one that takes the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 253))]
    pub section_name: Option<String>,
}

impl GatewaySpec {
    /// A Gateway and a host, both named in a form that can be.
    #[must_use]
    pub fn check(&self, path: &str) -> Vec<Issue> {
        let at = |field: &str| format!("{path}.gateway.{field}");
        let mut issues = vec![];
        match &self.parent_ref {
            None => {
                let detail = "a route needs a Gateway; give its name";
                issues.push(Issue::required(at("parentRef.name"), "gateway", detail).fatal());
            }
            Some(parent) => {
                let section = parent.section_name.as_deref();
                let named = [
                    ("parentRef.name", Some(&*parent.name), 253),
                    ("parentRef.namespace", parent.namespace.as_deref(), 63),
                    ("parentRef.sectionName", section, 253),
                ];
                // Empty and long ones are out of bounds already.
                let bad =
                    |value: &str, most: usize| !value.is_empty() && value.len() <= most && !names::is_subdomain(value);
                issues.extend(named.into_iter().filter_map(|(field, value, most)| {
                    let value = value.filter(|value| bad(value, most))?;
                    let detail = "is no name: lower case, digits, - and .";
                    Some(Issue::invalid(at(field), "gateway", value, detail).fatal())
                }));
            }
        }
        match self.host.as_deref() {
            None | Some("") => {
                let detail = "a route without a host name would take every host of the Gateway; give one";
                issues.push(Issue::required(at("host"), "gateway-host", detail).fatal());
            }
            Some(host) if !names::is_host(host) => {
                let detail = "is not a lower-case host name such as chat.example.com";
                issues.push(Issue::invalid(at("host"), "gateway-host", host, detail).fatal());
            }
            Some(_) => {}
        }
        issues
    }

    /// The route to the pods' Service.
    #[must_use]
    pub fn object(&self, pod: &Pod<'_>) -> Option<Object> {
        let parent = self.parent_ref.as_ref()?;
        let fields = json!({"spec": {
            "parentRefs": [{
                "group": GROUP, "kind": "Gateway", "name": parent.name, "namespace": parent.namespace,
                "sectionName": parent.section_name,
            }],
            "hostnames": [self.host.as_deref()?],
            "rules": [{
                "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                "backendRefs": [{
                    "group": "", "kind": "Service", "name": pod.name, "port": pod.common.port(pod.port), "weight": 1,
                }],
            }],
        }});
        Some(pod.owner.object::<HttpRoute>(pod.component, &route(&pod.name), fields))
    }

    /// What became of the route of a workload, as far as its Gateway says.
    #[must_use]
    pub fn fate(&self, seen: &Seen<'_>, workload: &str) -> Fate {
        let name = route(workload);
        let parent = self.parent_ref.clone().unwrap_or_default();
        let gateway = format!(
            "Gateway {}/{}",
            parent.namespace.as_deref().unwrap_or(&seen.owner.namespace),
            parent.name
        );
        let Some(live) = find::<HttpRoute>(seen.live, &name) else {
            return Fate::Waits(format!("HTTPRoute {name} is not there yet"));
        };
        let said: Vec<&Value> = said(live).collect();
        let no = said.iter().find(|c| c["status"] == "False");
        let taken = said.iter().any(|c| c["type"] == "Accepted" && c["status"] == "True");
        match no {
            Some(no) => {
                let text = |field: &str| no[field].as_str().unwrap_or_default().to_string();
                let (kind, reason, message) = (text("type"), text("reason"), text("message"));
                Fate::Refused(format!(
                    "HTTPRoute {name} and {gateway}: {kind} is False, {reason}: {message}"
                ))
            }
            None if taken => Fate::Taken,
            None => Fate::Waits(format!(
                "HTTPRoute {name} waits for {gateway}: no controller has answered; see that this Gateway exists"
            )),
        }
    }
}

/// What became of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Its Gateway takes it.
    Taken,
    /// Nobody has said anything of it; for a person.
    Waits(String),
    /// Somebody says no; for a person.
    Refused(String),
}

/// What controllers say of the newest form of a route.
fn said(live: &DynamicObject) -> impl Iterator<Item = &Value> {
    let generation = live.metadata.generation.unwrap_or_default();
    let parents = live.data["status"]["parents"].as_array().into_iter().flatten();
    let all = parents.flat_map(|p| p["conditions"].as_array().into_iter().flatten());
    all.filter(move |c| {
        let new = c["observedGeneration"].as_i64().is_none_or(|seen| seen >= generation);
        new && ["Accepted", "ResolvedRefs"].iter().any(|kind| c["type"] == *kind)
    })
}

/// The route of a workload.
fn route(workload: &str) -> String {
    format!("{workload}-ingress")
}

/// The address that browsers use, where a manifest tells it: that of the Ingress, else that of the Gateway, whose
/// listeners are taken to end TLS.
#[must_use]
pub fn address(ingress: Option<IngressSpec>, gateway: Option<&GatewaySpec>) -> Option<String> {
    let from_ingress = || {
        let ingress = ingress.filter(IngressSpec::is_on)?;
        let host = ingress.host.as_deref().filter(|h| !h.starts_with('*'))?;
        let scheme = if ingress.tls.is_some() { "https" } else { "http" };
        Some(format!("{scheme}://{host}"))
    };
    let host = || gateway.and_then(|g| g.host.as_deref()).filter(|h| !h.starts_with('*'));
    from_ingress().or_else(|| host().map(|host| format!("https://{host}")))
}

/// `HTTPRoute` of the Gateway API, as far as its type and its metadata go.
#[derive(Clone, Debug, Default)]
pub struct HttpRoute(ObjectMeta);

impl Resource for HttpRoute {
    type DynamicType = ();
    type Scope = kube::core::NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "HTTPRoute".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "httproutes".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.0
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.0
    }
}
