//! What follows from what was seen. Values in, findings out.

mod certificates;
mod definitions;
mod operator;
mod platform;
mod rights;
mod webhooks;

use super::finding::Finding;
use super::picture::Picture;
use crate::kind::Form;

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

#[cfg(test)]
mod tests;
