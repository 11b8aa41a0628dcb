//! Our CustomResourceDefinitions: there, served, and those of this version.

use crate::base::object::STACKS;
use crate::cli::doctor::finding::Finding;
use crate::cli::doctor::picture::Picture;
use crate::kind::{self, Form};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::LazyLock;

const PART: &str = "definitions";
/// What brings a definition to this version.
const RENEW: &str = "llm-operator crd | kubectl apply --server-side --force-conflicts -f -";

/// Our definitions. Making a schema takes a while.
static OURS: LazyLock<BTreeMap<String, CustomResourceDefinition>> = LazyLock::new(|| {
    let definition = |form: Form| (super::definition_name(&form), (form.crd)());
    kind::all().into_iter().map(definition).collect()
});

pub(super) fn findings(picture: &Picture) -> Vec<Finding> {
    let forms = kind::all();
    let form = |name: &str| forms.iter().find(|form| name == super::definition_name(form));
    let all = picture.definitions.iter();
    all.filter_map(|(name, answer)| {
        let form = form(name)?;
        Some(match answer {
            Err(why) => Finding::unseen(PART, format!("CustomResourceDefinition {name}"), why),
            Ok(None) => missing(name, form, picture),
            Ok(Some(found)) => compared(name, form, found),
        })
    })
    .collect()
}

fn missing(name: &str, form: &Form, picture: &Picture) -> Finding {
    let object = format!("CustomResourceDefinition {name}");
    let older = STACKS.contains(&form.kind) && form.kind != STACKS[0];
    if older && !picture.installation.legacy {
        return Finding::note(
            PART,
            object,
            "is not there: manifests with this older name do not apply",
        )
        .remedy("install it with the chart value crds.legacyNames: true, or rewrite them with llm-operator migrate");
    }
    Finding::problem(PART, object, format!("is not there: there can be no {}", form.kind))
        .at("metadata.name", name)
        .remedy(format!("{}, or: {RENEW}", picture.installation.upgrade()))
}

fn compared(name: &str, form: &Form, found: &CustomResourceDefinition) -> Finding {
    let object = format!("CustomResourceDefinition {name}");
    let problem = |message: String| Finding::problem(PART, object.clone(), message);
    let Some(version) = found.spec.versions.iter().find(|version| version.name == form.version) else {
        return problem(format!("has no version {}", form.version))
            .at("spec.versions", form.version)
            .remedy(RENEW);
    };
    if !version.served || !version.storage {
        return problem(format!("version {} must be served and stored", form.version))
            .at(
                "spec.versions[].served, storage",
                format!("{}, {}", version.served, version.storage),
            )
            .remedy(RENEW);
    }
    let conditions = found.status.as_ref().and_then(|status| status.conditions.as_deref());
    let refused = conditions.unwrap_or_default().iter();
    for condition in refused.filter(|c| ["Established", "NamesAccepted"].contains(&c.type_.as_str())) {
        if condition.status != "True" {
            let why = condition.message.clone().unwrap_or_default();
            return problem(format!("is not in use: {why}"))
                .at(format!("status.conditions[{}]", condition.type_), &condition.status)
                .remedy("remove the definition whose names stand in its way");
        }
    }
    let wanted = OURS.get(name).and_then(|ours| ours.spec.versions.first());
    if wanted != Some(version) {
        let (field, value) = difference(&json!(wanted), &json!(version), "").unwrap_or_default();
        return problem(format!("is not that of llm-operator {}", env!("CARGO_PKG_VERSION")))
            .at(format!("spec.versions[{}]{field}", form.version), value)
            .remedy(format!("{RENEW} (with the llm-operator that runs in the cluster)"));
    }
    let stored = found
        .status
        .as_ref()
        .and_then(|status| status.stored_versions.as_deref());
    let others: Vec<&String> = stored
        .unwrap_or_default()
        .iter()
        .filter(|v| **v != form.version)
        .collect();
    if let Some(other) = others.first() {
        return Finding::note(PART, object, format!("objects may still be stored as {other}"))
            .at("status.storedVersions", other)
            .remedy(format!(
                "write every {} once, then take {other} off the list",
                form.kind
            ));
    }
    Finding::ok(
        PART,
        object,
        format!("is that of llm-operator {}", env!("CARGO_PKG_VERSION")),
    )
}

/// The first place at which two values differ, and what is there, shortened.
fn difference(wanted: &Value, found: &Value, path: &str) -> Option<(String, String)> {
    match (wanted, found) {
        (Value::Object(one), Value::Object(other)) => one
            .keys()
            .chain(other.keys())
            .find_map(|key| difference(&wanted[key], &found[key], &format!("{path}.{key}"))),
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            (0..one.len()).find_map(|i| difference(&one[i], &other[i], &format!("{path}[{i}]")))
        }
        (one, other) if one == other => None,
        _ => {
            let text = found.to_string();
            let short: String = text.chars().take(60).collect();
            let value = if short.len() < text.len() {
                format!("{short}…")
            } else {
                short
            };
            Some((path.to_owned(), value))
        }
    }
}
