//! Rules that hold for every component: bounds, images, variables, volumes, quantities, Services, ingress, safety.

use super::{Common, IngressSpec, Persistence, Resources, ServiceType};
use crate::base::issue::{Concern, Issue, Review};
use crate::base::quantity::Quantity;
use crate::base::{image, names};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use validator::{Validate, ValidationErrors, ValidationErrorsKind};

/// What a component says about itself, so that the common rules can be checked.
pub struct Subject<'a> {
    /// Path of the component, such as `spec.ollama`.
    pub path: &'a str,
    /// Its common block.
    pub common: &'a Common,
    /// Its name, which is also that of its container.
    pub component: &'a str,
    /// Variables that the operator sets: the name and, for one that a typed field sets, that field.
    pub variables: &'a [(&'static str, Option<&'static str>)],
    /// Variables that do nothing in this product.
    pub useless: &'a [&'static str],
    /// Volumes of the operator: name and mount path.
    pub volumes: &'a [(&'static str, &'static str)],
    /// Pods that reach further than their namespace are not refused.
    pub allow_unsafe: bool,
}

/// Every common rule.
#[must_use]
pub fn common(subject: &Subject<'_>) -> Review {
    let mut review = Review::default();
    images(subject, &mut review);
    resources(subject.path, subject.common.resources.as_ref(), &mut review);
    service(subject, &mut review);
    variables(subject, &mut review);
    volumes(subject, &mut review);
    if !subject.allow_unsafe {
        review.issues.extend(unsafe_settings(subject));
    }
    review
}

/// The bounds that stand at the fields themselves, which are also in the schema.
pub fn bounds<T: Validate>(path: &str, value: &T) -> Vec<Issue> {
    value
        .validate()
        .err()
        .map(|errors| flatten(path, &errors))
        .unwrap_or_default()
}

/// The field whose fields stand beside it in the manifest (`serde(flatten)`), so it has no place in a path.
const FLATTENED: &str = "common";

fn flatten(path: &str, errors: &ValidationErrors) -> Vec<Issue> {
    let sorted: BTreeMap<_, _> = errors.errors().iter().collect();
    let each = sorted.into_iter().flat_map(|(field, kind)| {
        let here = if &**field == FLATTENED {
            path.to_string()
        } else {
            format!("{path}.{}", camel(field))
        };
        match kind {
            ValidationErrorsKind::Struct(inner) => flatten(&here, inner),
            ValidationErrorsKind::List(items) => items
                .iter()
                .flat_map(|(i, inner)| flatten(&format!("{here}[{i}]"), inner))
                .collect(),
            ValidationErrorsKind::Field(list) => list
                .iter()
                .map(|e| {
                    Issue::invalid(
                        &here,
                        "bounds",
                        e.params.get("value").cloned().unwrap_or_default(),
                        limits(e),
                    )
                })
                .collect(),
        }
    });
    each.collect()
}

fn limits(error: &validator::ValidationError) -> String {
    let bound = |name: &str| error.params.get(name).map(ToString::to_string);
    let unit = if error.code == "length" { " long" } else { "" };
    match (bound("min"), bound("max")) {
        (Some(min), Some(max)) => format!("must be {min} to {max}{unit}"),
        (Some(min), None) => format!("must be at least {min}{unit}"),
        (None, Some(max)) => format!("must be at most {max}{unit}"),
        (None, None) => format!("breaks the rule {}", error.code),
    }
}

fn camel(field: &str) -> String {
    let mut upper = false;
    field.chars().fold(String::new(), |mut out, c| {
        if c == '_' {
            upper = true;
        } else {
            out.push(if upper { c.to_ascii_uppercase() } else { c });
            upper = false;
        }
        out
    })
}

fn images(subject: &Subject<'_>, review: &mut Review) {
    let Subject { path, common, .. } = subject;
    let Some(image) = common.image.as_deref() else {
        if common
            .image_tag
            .as_deref()
            .is_some_and(|t| image::floats(&format!("x:{t}")))
        {
            review.warn(
                Concern::Security,
                format!("{path}.imageTag floats; pin a version, so that pods never differ"),
            );
        }
        return;
    };
    if !image::is_reference(image) {
        review.issues.push(Issue::invalid(
            format!("{path}.image"),
            "image",
            image,
            "is not an image reference",
        ));
    }
    match (image::tag(image), common.image_tag.as_deref()) {
        (Some(own), Some(tag)) if own != tag => review.warn(
            Concern::NoEffect,
            format!("{path}.imageTag {tag} is ignored: {path}.image has the tag {own}; remove one"),
        ),
        _ => {}
    }
    let effective = image::effective(Some(image), common.image_tag.as_deref(), "x:pinned", "");
    if image::floats(&effective) {
        review.warn(
            Concern::Security,
            format!("{path}.image {effective} floats; pin a version, so that pods never differ"),
        );
    }
}

/// Requests and limits: quantities, and no request above its limit.
fn resources(path: &str, resources: Option<&Resources>, review: &mut Review) {
    let Some(Resources { requests, limits }) = resources else {
        return;
    };
    let mut read = |list: &str, values: &Option<BTreeMap<String, Value>>| -> BTreeMap<String, Quantity> {
        let mut out = BTreeMap::new();
        for (name, value) in values.iter().flatten() {
            match Quantity::parse(value) {
                Ok(quantity) => drop(out.insert(name.clone(), quantity)),
                Err(why) => review.issues.push(
                    Issue::invalid(
                        format!("{path}.resources.{list}.{name}"),
                        "quantity",
                        value.clone(),
                        why,
                    )
                    .fatal(),
                ),
            }
        }
        out
    };
    let (asked, most) = (read("requests", requests), read("limits", limits));
    for (name, request) in &asked {
        if most.get(name).is_some_and(|limit| request > limit) {
            let value = requests.as_ref().and_then(|r| r.get(name)).cloned().unwrap_or_default();
            let limit = limits.as_ref().and_then(|l| l.get(name)).cloned().unwrap_or_default();
            let detail = format!("must not be above the limit {limit}; raise the limit or lower the request");
            review
                .issues
                .push(Issue::invalid(format!("{path}.resources.requests.{name}"), "request", value, detail).fatal());
        }
    }
    if asked.contains_key("storage") || most.contains_key("storage") {
        review.warn(
            Concern::Legacy,
            format!("{path}.resources storage is taken as {path}.persistence.size where that is unset"),
        );
    }
}

fn service(subject: &Subject<'_>, review: &mut Review) {
    let Subject { path, common, .. } = subject;
    let Some(service) = &common.service else { return };
    let kind = common.service_kind();
    if service.node_port.is_some() && kind == ServiceType::ClusterIP {
        let detail = "needs service.type NodePort or LoadBalancer";
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
    legacy_differs(
        review,
        path,
        "service.type",
        "serviceType",
        service.kind,
        common.service_type,
    );
    legacy_differs(
        review,
        path,
        "service.port",
        "servicePort",
        service.port,
        common.service_port,
    );
}

/// The nested field counts; a flat one that says something else is pointed at.
fn legacy_differs<T: PartialEq>(
    review: &mut Review,
    path: &str,
    nested: &str,
    flat: &str,
    new: Option<T>,
    old: Option<T>,
) {
    if new.is_some() && old.is_some() && new != old {
        review.warn(
            Concern::NoEffect,
            format!("{path}.{flat} is ignored: {path}.{nested} says something else"),
        );
    }
}

/// Deprecated flat fields that are in use, as paths; the kind gives one warning for all of them.
#[must_use]
pub fn legacy(path: &str, common: &Common) -> Vec<String> {
    let fields = [
        ("serviceType", common.service_type.is_some()),
        ("servicePort", common.service_port.is_some()),
        ("ingressEnabled", common.ingress_enabled.is_some()),
        ("ingressHost", common.ingress_host.is_some()),
    ];
    fields
        .into_iter()
        .filter(|(_, used)| *used)
        .map(|(name, _)| format!("{path}.{name}"))
        .collect()
}

fn variables(subject: &Subject<'_>, review: &mut Review) {
    let Subject { path, common, .. } = subject;
    let mut seen = BTreeSet::new();
    for (field, variable) in common.variables() {
        let at = format!("{path}.{field}.name");
        let name = variable.name.as_str();
        if !names::is_variable(name) {
            let detail = "must begin with a letter or _ and hold only letters, digits, _, - and .";
            review
                .issues
                .push(Issue::invalid(&at, "variable", name, detail).fatal());
        }
        if !seen.insert(name) {
            let detail = "env and envVars are one list; keep one of the two";
            review
                .issues
                .push(Issue::duplicate(&at, "variable-twice", name, detail).fatal());
        }
        match subject.variables.iter().find(|(owned, _)| *owned == name) {
            Some((_, Some(typed))) => review.issues.push(Issue::invalid(
                &at,
                "variable-typed",
                name,
                format!("is set by {path}.{typed}; remove one of the two"),
            )),
            Some((_, None)) => review.issues.push(
                Issue::invalid(
                    &at,
                    "variable-owned",
                    name,
                    "is set by the operator, whose wiring depends on it; remove it",
                )
                .fatal(),
            ),
            None => {}
        }
        if subject.useless.contains(&name) {
            review.warn(
                Concern::NoEffect,
                format!("{at}: {name} is not read by {}; remove it", subject.component),
            );
        }
        if variable.value.is_some() && variable.value_from.is_some() {
            let detail = "must not stand beside value";
            review
                .issues
                .push(Issue::forbidden(format!("{path}.{field}.valueFrom"), "variable", detail).fatal());
        }
    }
}

fn volumes(subject: &Subject<'_>, review: &mut Review) {
    let Subject { path, common, .. } = subject;
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_string();
    let mut known: BTreeSet<String> = BTreeSet::new();
    for (i, volume) in common.volumes.iter().flatten().enumerate() {
        let (at, name) = (format!("{path}.volumes[{i}].name"), text(volume, "name"));
        if !names::is_dns_label(&name, 63) {
            review
                .issues
                .push(Issue::invalid(&at, "volume", name.as_str(), "must be a lower-case DNS label").fatal());
        }
        if subject.volumes.iter().any(|(ours, _)| *ours == name) {
            review.issues.push(
                Issue::invalid(
                    &at,
                    "volume-owned",
                    name.as_str(),
                    "is a volume of the operator; rename it",
                )
                .fatal(),
            );
        }
        if !known.insert(name.clone()) {
            review
                .issues
                .push(Issue::duplicate(&at, "volume-twice", name.as_str(), "rename one of the two").fatal());
        }
    }
    let mut paths = BTreeSet::new();
    for (i, mount) in common.volume_mounts.iter().flatten().enumerate() {
        let here = format!("{path}.volumeMounts[{i}]");
        let (name, at) = (text(mount, "name"), text(mount, "mountPath"));
        if !known.contains(&name) {
            let detail = format!("names no volume of {path}.volumes");
            review
                .issues
                .push(Issue::invalid(format!("{here}.name"), "mount", name.as_str(), detail).fatal());
        }
        let ours = subject
            .volumes
            .iter()
            .any(|(_, path)| at.trim_end_matches('/') == *path);
        if !at.starts_with('/') {
            review.issues.push(
                Issue::invalid(
                    format!("{here}.mountPath"),
                    "mount",
                    at.as_str(),
                    "must be an absolute path",
                )
                .fatal(),
            );
        } else if ours || !paths.insert(at.clone()) {
            let detail = "something is mounted there already; choose another path";
            review
                .issues
                .push(Issue::invalid(format!("{here}.mountPath"), "mount-twice", at.as_str(), detail).fatal());
        }
    }
}

/// What reaches further than the namespace: whoever may create our kinds must not thereby own nodes.
fn unsafe_settings(subject: &Subject<'_>) -> Vec<Issue> {
    let Subject { path, common, .. } = subject;
    let mut found = vec![];
    let mut refuse = |at: String| {
        let detail = "reaches further than the namespace; an administrator may allow it with the chart value policy.allowUnsafePods";
        found.push(Issue::forbidden(at, "unsafe", detail).fatal());
    };
    for (i, volume) in common.volumes.iter().flatten().enumerate() {
        if !volume["hostPath"].is_null() {
            refuse(format!("{path}.volumes[{i}].hostPath"));
        }
    }
    let contexts = common.init_containers.iter().flatten().enumerate();
    let contexts = contexts.map(|(i, c)| {
        (
            format!("{path}.initContainers[{i}].securityContext"),
            &c["securityContext"],
        )
    });
    let own = common
        .security_context
        .iter()
        .map(|c| (format!("{path}.securityContext"), c));
    for (at, context) in own.chain(contexts) {
        for field in unsafe_fields(context) {
            refuse(format!("{at}.{field}"));
        }
    }
    if common
        .pod_security_context
        .as_ref()
        .is_some_and(|c| c["windowsOptions"]["hostProcess"] == json!(true))
    {
        refuse(format!("{path}.podSecurityContext.windowsOptions.hostProcess"));
    }
    if common
        .priority_class_name
        .as_deref()
        .is_some_and(|p| p.starts_with("system-"))
    {
        refuse(format!("{path}.priorityClassName"));
    }
    found
}

fn unsafe_fields(context: &Value) -> Vec<&'static str> {
    let fields = [
        ("privileged", context["privileged"] == json!(true)),
        (
            "capabilities.add",
            context["capabilities"]["add"].as_array().is_some_and(|a| !a.is_empty()),
        ),
        ("procMount", context["procMount"] == json!("Unmasked")),
        (
            "windowsOptions.hostProcess",
            context["windowsOptions"]["hostProcess"] == json!(true),
        ),
    ];
    fields
        .into_iter()
        .filter(|(_, set)| *set)
        .map(|(name, _)| name)
        .collect()
}

/// Claims: a size that is one, that never shrinks, and what cannot change while a claim holds data.
#[must_use]
pub fn persistence(path: &str, new: &Persistence, old: Option<&Persistence>) -> Vec<Issue> {
    let mut issues = vec![];
    let size = |p: &Persistence| p.size.as_ref().map(Quantity::parse);
    let at = format!("{path}.persistence");
    let value = || new.size.clone().unwrap_or_default();
    match size(new) {
        Some(Err(why)) => issues.push(Issue::invalid(format!("{at}.size"), "quantity", value(), why).fatal()),
        Some(Ok(quantity)) if !quantity.is_positive() => {
            issues.push(Issue::invalid(format!("{at}.size"), "quantity", value(), "must be more than nothing").fatal());
        }
        _ => {}
    }
    let Some(old) = old.filter(|old| old.is_on() && new.is_on()) else {
        return issues;
    };
    if let (Some(Ok(after)), Some(Ok(before))) = (size(new), size(old))
        && after < before
    {
        let detail = format!(
            "claims cannot shrink from {}; keep the size, or move the data to a new object",
            old.size.clone().unwrap_or_default()
        );
        issues.push(Issue::invalid(format!("{at}.size"), "shrink", value(), detail).fatal());
    }
    let fixed = [
        ("storageClass", new.storage_class == old.storage_class),
        ("accessModes", new.modes() == old.modes()),
        ("existingClaim", new.existing_claim == old.existing_claim),
    ];
    for (field, same) in fixed {
        if !same {
            let detail = "cannot be changed while persistence is on; switch persistence off, apply, and on again";
            issues.push(Issue::forbidden(format!("{at}.{field}"), "immutable", detail).fatal());
        }
    }
    issues
}

/// An Ingress has a host that is one, and TLS in one of its two forms.
#[must_use]
pub fn ingress(path: &str, ingress: &IngressSpec) -> Vec<Issue> {
    let mut issues = vec![];
    if ingress.is_on() && ingress.host.as_deref().is_none_or(str::is_empty) {
        issues.push(Issue::required(format!("{path}.host"), "ingress-host", "an Ingress needs a host name").fatal());
    }
    if let Some(host) = ingress.host.as_deref().filter(|h| !h.is_empty() && !names::is_host(h)) {
        let detail = "is not a lower-case host name such as chat.example.com";
        issues.push(Issue::invalid(format!("{path}.host"), "host", host, detail).fatal());
    }
    if let Some(path_value) = ingress.path.as_deref().filter(|p| !p.starts_with('/')) {
        issues.push(Issue::invalid(format!("{path}.path"), "path", path_value, "must begin with /").fatal());
    }
    let items = match &ingress.tls {
        None => vec![],
        Some(Value::Array(items)) => items
            .iter()
            .enumerate()
            .map(|(i, v)| (format!("{path}.tls[{i}]"), v))
            .collect(),
        Some(item) => vec![(format!("{path}.tls"), item)],
    };
    for (at, item) in items {
        let hosts = item["hosts"].as_array();
        let good = item.is_object()
            && (item["hosts"].is_null()
                || hosts.is_some_and(|h| h.iter().all(|h| h.as_str().is_some_and(names::is_host))))
            && (item["secretName"].is_null() || item["secretName"].as_str().is_some_and(names::is_subdomain));
        if !good {
            let detail = "must be an object with hosts (a list of host names) and secretName";
            issues.push(Issue::invalid(at, "tls", item.clone(), detail).fatal());
        }
    }
    issues
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
