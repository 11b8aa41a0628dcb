//! The Ollama that should hold a model: a stack, a Service, a URL that the installation allows, or the installation's own.

use super::OllamaModel;
use crate::base::crd;
use crate::base::endpoint::ServerUrl;
use crate::base::issue::Issue;
use crate::base::names;
use crate::base::object::STACKS;
use crate::base::settings::Settings;
use kube::ResourceExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use validator::Validate;

/// An Ollama: exactly one of the three.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// The stack whose Ollama it is. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    pub deployment_ref: Option<DeploymentRef>,
    /// A Service of this namespace with a selector: each of its pods is asked. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    pub service: Option<ServiceRef>,
    /// One server, `http://host[:port]`; it must be on the list of the installation (chart value
    /// `models.allowedUrls`). Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 8, max = 300))]
    pub url: Option<String>,
}

/// A stack of the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentRef {
    /// Its kind: `LMDeployment`, `OllamaDeployment` or `Deployment`. Default: `LMDeployment`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 63))]
    pub kind: Option<String>,
    /// Its name.
    #[validate(length(min = 1, max = 63))]
    pub name: String,
}

/// A Service of the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct ServiceRef {
    /// Its name.
    #[validate(length(min = 1, max = 63))]
    pub name: String,
    /// One of its ports. Default: its only port, or 11434.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(range(min = 1, max = 65535))]
    pub port: Option<i32>,
}

/// Where the servers of a model are; models at the same place share them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The pods of a stack: namespace and name. Of one name there is one, whichever of our kinds it has, and it stays the
    /// same one when its kind changes.
    Stack(String, String),
    /// The pods behind a Service: namespace, name, port.
    Service(String, String, Option<i32>),
    /// One server.
    Url(ServerUrl),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stack(_, name) => write!(f, "stack {name}"),
            Self::Service(_, name, _) => write!(f, "Service {name}"),
            Self::Url(url) => write!(f, "{}", url.host()),
        }
    }
}

impl Place {
    /// Its own servers belong to a stack: what a model of it needed goes with the model.
    #[must_use]
    pub fn is_stack(&self) -> bool {
        matches!(self, Self::Stack(..))
    }

    /// False when no server can be at both: stacks have their own, a Service finds some of one namespace, and a URL is one.
    #[must_use]
    pub fn may_share(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Service(one, ..), Self::Stack(two, _) | Self::Service(two, ..))
            | (Self::Stack(one, _), Self::Service(two, ..)) => one == two,
            _ => self == other,
        }
    }
}

impl OllamaModel {
    /// Where its servers are; `None` for a target that breaks a rule.
    #[must_use]
    pub fn place(&self, settings: &Settings) -> Option<Place> {
        let namespace = self.namespace().unwrap_or_default();
        let Some(target) = &self.spec.target else {
            return ServerUrl::lenient(&settings.models.api_url).ok().map(Place::Url);
        };
        match (&target.deployment_ref, &target.service, &target.url) {
            (Some(stack), None, None) => Some(Place::Stack(namespace, stack.name.clone())),
            (None, Some(service), None) => Some(Place::Service(namespace, service.name.clone(), service.port)),
            (None, None, Some(url)) => ServerUrl::parse(url).ok().map(Place::Url),
            _ => None,
        }
    }

    pub(super) fn check_target(&self, settings: &Settings) -> Vec<Issue> {
        let Some(target) = &self.spec.target else {
            return vec![];
        };
        let given = [
            target.deployment_ref.is_some(),
            target.service.is_some(),
            target.url.is_some(),
        ];
        if given.into_iter().filter(|g| *g).count() != 1 {
            return vec![Issue::invalid("spec.target", "target", names_of(given), ONE).fatal()];
        }
        let mut issues = vec![];
        if let Some(stack) = &target.deployment_ref {
            issues.extend(check_stack(stack));
        }
        if let Some(service) = target.service.as_ref().filter(|s| !names::is_label(&s.name)) {
            let detail = "is not the name of a Service";
            issues.push(Issue::invalid("spec.target.service.name", "target", service.name.as_str(), detail).fatal());
        }
        if let Some(url) = &target.url {
            issues.extend(check_url(url, settings));
        }
        issues
    }
}

fn names_of(given: [bool; 3]) -> String {
    let all = ["deploymentRef", "service", "url"];
    let names: Vec<&str> = all.into_iter().zip(given).filter(|(_, g)| *g).map(|(n, _)| n).collect();
    names.join(", ")
}

fn check_stack(stack: &DeploymentRef) -> Vec<Issue> {
    let mut issues = vec![];
    if let Some(kind) = stack.kind.as_deref().filter(|k| !STACKS.contains(k)) {
        issues.push(Issue::unsupported("spec.target.deploymentRef.kind", "target", kind, &STACKS).fatal());
    }
    if !names::is_dns_label(&stack.name, names::LONGEST_NAME) {
        let path = "spec.target.deploymentRef.name";
        issues.push(Issue::invalid(path, "target", stack.name.as_str(), "is not the name of a stack").fatal());
    }
    issues
}

/// Users must not be able to make the operator fetch addresses for them.
fn check_url(url: &str, settings: &Settings) -> Option<Issue> {
    let own = ServerUrl::lenient(&settings.models.api_url).ok();
    let detail = match ServerUrl::parse(url) {
        Err(why) => why,
        Ok(server) if own.as_ref() == Some(&server) || server.is_among(&settings.models.allowed_urls) => return None,
        Ok(_) => "is not on the list of this installation (chart value models.allowedUrls); ask its administrator, or \
                  name a Service of this namespace"
            .into(),
    };
    Some(Issue::invalid("spec.target.url", "target-url", url, detail).fatal())
}

const STACK: &str = STACKS[0];
const ONE: &str =
    "must name exactly one of deploymentRef, service and url; leave target away for the operator's own Ollama";

/// The same in CEL, for the spec.
pub(super) fn one_of() -> Value {
    let count = ["deploymentRef", "service", "url"]
        .map(|f| format!("(has(self.target.{f}) ? 1 : 0)"))
        .join(" + ");
    crd::rule(
        &format!("has(self.target) && {count} != 1"),
        ".target",
        &format!("target {ONE}"),
    )
}

/// The target in one text, by which it is compared: what stands there by default and what does not are the same.
pub(super) fn text(target: Option<&Target>) -> String {
    let Some(target) = target else { return String::new() };
    let stack = target.deployment_ref.as_ref();
    let stack = stack.map(|s| format!("{}/{}", s.kind.as_deref().unwrap_or(STACK), s.name));
    let service = target.service.as_ref();
    let service = service.map(|s| format!("{}:{}", s.name, s.port.unwrap_or(0)));
    format!("{stack:?} {service:?} {:?}", target.url)
}

/// The same in CEL: field by field, since texts put together cost too much there.
pub(super) fn unchanged() -> String {
    let kind = |of: &str| format!("(has({of}.deploymentRef.kind) ? {of}.deploymentRef.kind : '{STACK}')");
    let same = |field: &str, equal: &str| {
        let (new, old) = (format!("self.target.{field}"), format!("oldSelf.target.{field}"));
        format!("has({new}) == has({old}) && (!has({new}) || ({equal}))")
    };
    let stack = format!(
        "self.target.deploymentRef.name == oldSelf.target.deploymentRef.name && {} == {}",
        kind("self.target"),
        kind("oldSelf.target")
    );
    let service = format!(
        "self.target.service.name == oldSelf.target.service.name && {}",
        same(
            "service.port",
            "self.target.service.port == oldSelf.target.service.port"
        )
    );
    let fields = [
        same("deploymentRef", &stack),
        same("service", &service),
        same("url", "self.target.url == oldSelf.target.url"),
    ];
    let all = fields.join(" && ");
    format!("has(self.target) == has(oldSelf.target) && (!has(self.target) || ({all}))")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_service_finds_what_others_have_as_well() {
        let stack = |namespace: &str, name: &str| Place::Stack(namespace.into(), name.into());
        let service = |namespace: &str, name: &str| Place::Service(namespace.into(), name.into(), None);
        let url = |url: &str| Place::Url(ServerUrl::parse(url).unwrap());
        let both = |one: &Place, two: &Place| {
            assert_eq!(one.may_share(two), two.may_share(one), "{one} {two}");
            one.may_share(two)
        };
        assert!(both(&stack("a", "x"), &stack("a", "x")));
        assert!(!both(&stack("a", "x"), &stack("a", "y")));
        assert!(both(&stack("a", "x"), &service("a", "y")));
        assert!(both(&service("a", "x"), &service("a", "y")));
        assert!(!both(&service("a", "x"), &stack("b", "x")));
        assert!(!both(&service("a", "x"), &service("b", "x")));
        assert!(both(&url("http://o:1"), &url("http://o:1")));
        assert!(!both(&url("http://o:1"), &url("http://o:2")));
        assert!(!both(&url("http://o:1"), &stack("a", "o")));
    }
}
