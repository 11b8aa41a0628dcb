//! What follows from what was seen. Values in, findings out.

mod certificates;
mod definitions;
mod operator;
mod platform;
mod rights;
mod webhooks;

use super::finding::Finding;
use super::picture::{Answer, Picture};
use crate::base::settings::Settings;
use crate::kind::Form;
use k8s_openapi::api::core::v1::ConfigMap;

/// Every finding, part by part.
pub(super) fn judge(picture: &Picture) -> Vec<Finding> {
    [
        platform::server,
        operator::findings,
        definitions::findings,
        rights::findings,
        webhooks::findings,
        certificates::findings,
        platform::storage,
        platform::nodes,
        platform::kinds,
    ]
    .iter()
    .flat_map(|part| part(picture))
    .collect()
}

/// The name of the definition of a kind.
pub(super) fn definition_name(form: &Form) -> String {
    format!("{}.{}", form.plural, form.group)
}

/// Whether the operator looks after the older names of LMDeployment; `None` where its settings cannot be seen.
pub(super) fn legacy(settings: &Answer<Option<ConfigMap>>) -> Option<bool> {
    let text = settings.as_ref().ok()?.as_ref()?.data.as_ref()?.get("config.yaml")?;
    let settings: Settings = serde_saphyr::from_str(text).ok()?;
    Some(settings.kinds.legacy_names)
}

#[cfg(test)]
mod tests;
