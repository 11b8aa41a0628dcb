//! Rules that hold for every component: bounds, images, resources, variables, labels, and those of its blocks.

use super::{Common, Resources, bounds, safety, service, volumes};
use crate::base::issue::{Concern, Issue, Review};
use crate::base::quantity::Quantity;
use crate::base::{image, names};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use validator::Validate;

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

impl<'a> Subject<'a> {
    /// An inner part of the stack: a manifest gives it no variables and no volumes.
    #[must_use]
    pub fn inner(path: &'a str, common: &'a Common, component: &'a str) -> Self {
        Self {
            path,
            common,
            component,
            variables: &[],
            useless: &[],
            volumes: &[],
            allow_unsafe: false,
        }
    }
}

/// Every common rule; `block` is the component's whole spec, whose bounds stand at its fields.
#[must_use]
pub fn component<T: Validate>(subject: &Subject<'_>, block: &T) -> Review {
    let mut review = Review {
        issues: bounds::check(subject.path, block),
        warnings: vec![],
    };
    images(subject, &mut review);
    resources(subject.path, subject.common.resources.as_ref(), &mut review);
    service::check(subject, &mut review);
    variables(subject, &mut review);
    volumes::check(subject, &mut review);
    labels(subject, &mut review);
    if !subject.allow_unsafe {
        review.issues.extend(safety::check(subject));
    }
    review
}

/// The bounds alone, for a block that is no component.
#[must_use]
pub fn bounded<T: Validate>(path: &str, block: &T) -> Review {
    Review {
        issues: bounds::check(path, block),
        warnings: vec![],
    }
}

fn images(subject: &Subject<'_>, review: &mut Review) {
    let Subject { path, common, .. } = subject;
    let (name, tag) = (common.image.as_deref(), common.image_tag.as_deref());
    // Empty ones are out of bounds already.
    if let Some(name) = name.filter(|n| !n.is_empty() && !image::is_reference(n)) {
        let detail = "is not an image such as registry.example.com/ollama/ollama:0.32.15";
        review
            .issues
            .push(Issue::invalid(format!("{path}.image"), "image", name, detail));
    }
    if let Some(tag) = tag.filter(|t| !t.is_empty() && !image::is_tag(t)) {
        let detail = "is not a tag: letters, digits, _, . and -";
        review
            .issues
            .push(Issue::invalid(format!("{path}.imageTag"), "image-tag", tag, detail));
    }
    match (name.and_then(image::tag), tag) {
        (Some(own), Some(tag)) if own != tag => review.warn(
            Concern::NoEffect,
            format!("{path}.imageTag {tag} is ignored: {path}.image has {own}; remove one"),
        ),
        _ => {}
    }
    let effective = image::effective(name, tag, "built-in:pinned", "");
    if image::floats(&effective) {
        let field = if name.and_then(image::tag).is_some() {
            "image"
        } else {
            "imageTag"
        };
        review.warn(
            Concern::Security,
            format!("{path}.{field} floats; pin a version, so that pods never differ"),
        );
    }
}

/// Requests and limits: quantities, and no request above its limit.
fn resources(path: &str, resources: Option<&Resources>, review: &mut Review) {
    let Some(Resources { requests, limits }) = resources else {
        return;
    };
    let asked = quantities(&format!("{path}.resources.requests"), requests.as_ref(), review);
    let most = quantities(&format!("{path}.resources.limits"), limits.as_ref(), review);
    for (name, (request, value)) in &asked {
        let Some((_, limit)) = most.get(name).filter(|(limit, _)| request > limit) else {
            continue;
        };
        let at = format!("{path}.resources.requests[{name}]");
        let detail = format!("must not be above the limit {limit}; raise the limit or lower the request");
        review
            .issues
            .push(Issue::invalid(at, "request", (*value).clone(), detail).fatal());
    }
    if asked.contains_key("storage") || most.contains_key("storage") {
        review.warn(
            Concern::Legacy,
            format!("{path}.resources: storage means {path}.persistence.size, and counts where that is unset"),
        );
    }
}

fn quantities<'a>(
    path: &str,
    list: Option<&'a BTreeMap<String, Value>>,
    review: &mut Review,
) -> BTreeMap<&'a str, (Quantity, &'a Value)> {
    let mut out = BTreeMap::new();
    for (name, value) in list.into_iter().flatten() {
        let at = format!("{path}[{name}]");
        match Quantity::parse(value) {
            Ok(quantity) if quantity >= Quantity::ZERO => drop(out.insert(name.as_str(), (quantity, value))),
            Ok(_) => review
                .issues
                .push(Issue::invalid(at, "quantity", value.clone(), "must not be negative").fatal()),
            Err(why) => review
                .issues
                .push(Issue::invalid(at, "quantity", value.clone(), why).fatal()),
        }
    }
    out
}

/// The nested field counts; a flat one that says something else is pointed at.
pub(super) fn differs<T: PartialEq>(
    review: &mut Review,
    path: &str,
    (nested, flat): (&str, &str),
    values: (Option<T>, Option<T>),
) {
    if let (Some(new), Some(old)) = values
        && new != old
    {
        let text = format!("{path}.{flat} is ignored: {path}.{nested} says something else");
        review.warn(Concern::NoEffect, text);
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
                .push(Issue::duplicate(&at, "variable-twice", name, detail));
        }
        let owned = match subject.variables.iter().find(|(owned, _)| *owned == name) {
            Some((_, Some(typed))) => Some(format!("is set by {path}.{typed}; remove one of the two")),
            Some((_, None)) => Some("is set by the operator, whose wiring depends on it; remove it".into()),
            None => None,
        };
        review
            .issues
            .extend(owned.map(|detail| Issue::invalid(&at, "variable-owned", name, detail)));
        if subject.useless.contains(&name) {
            let text = format!("{at}: {name} is not read by {}; remove it", subject.component);
            review.warn(Concern::NoEffect, text);
        }
        if variable.value.is_some() && variable.value_from.is_some() {
            let detail = "must not stand beside value; keep one of the two";
            review
                .issues
                .push(Issue::forbidden(format!("{path}.{field}.valueFrom"), "variable", detail).fatal());
        }
    }
}

/// Keys and values that the API server takes, and labels that are not ours.
fn labels(subject: &Subject<'_>, review: &mut Review) {
    let Subject { path, common, .. } = subject;
    let of = |annotations: &Option<BTreeMap<String, String>>| annotations.clone().unwrap_or_default();
    let service = of(&common.service.clone().unwrap_or_default().annotations);
    let account = of(&common.service_account.clone().unwrap_or_default().annotations);
    for (field, map, label) in [
        ("nodeSelector", of(&common.node_selector), true),
        ("podLabels", of(&common.pod_labels), true),
        ("podAnnotations", of(&common.pod_annotations), false),
        ("service.annotations", service, false),
        ("serviceAccount.annotations", account, false),
    ] {
        for (key, value) in map {
            let at = format!("{path}.{field}[{key}]");
            if !names::is_qualified(&key) {
                let detail = "is no key: a name of at most 63 characters, perhaps with a domain and / in front";
                review
                    .issues
                    .push(Issue::invalid(&at, "key", key.as_str(), detail).fatal());
            }
            if label && !names::is_label_value(&value) {
                let detail = "is no value of a label: at most 63 letters, digits, -, _ and .";
                review
                    .issues
                    .push(Issue::invalid(&at, "label", value.as_str(), detail).fatal());
            }
        }
    }
}
