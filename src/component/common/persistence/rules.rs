//! The rules on claims: sizes that are sizes, and what a claim that holds data cannot change; in Rust and in CEL.

use super::Volume;
use crate::base::issue::Issue;
use crate::base::names;
use crate::base::quantity::Quantity;
use serde_json::{Value, json};

impl Volume<'_> {
    /// A size that is one, that never shrinks, and nothing changed that a claim holding data cannot change.
    #[must_use]
    pub fn check(&self, path: &str, old: Option<Volume<'_>>) -> Vec<Issue> {
        let mut issues = self.check_values(path);
        let Some(old) = old else { return issues };
        let (after, before) = (self.size(), old.size());
        if self.is_ours()
            && let (Ok(now), Ok(then)) = (Quantity::parse(&after), Quantity::parse(&before))
            && now < then
        {
            let detail =
                format!("claims cannot shrink from {before}; keep that size, or move the data to a new object");
            issues.push(Issue::invalid(format!("{path}.persistence.size"), "shrink", after, detail).fatal());
        }
        let fixed = [
            ("storageClass", self.spec.storage_class == old.spec.storage_class),
            ("accessModes", self.spec.modes() == old.spec.modes()),
            ("existingClaim", self.spec.existing_claim == old.spec.existing_claim),
        ];
        let changed = fixed.into_iter().filter(|(_, same)| !same);
        issues.extend(
            changed
                .map(|(field, _)| Issue::forbidden(format!("{path}.persistence.{field}"), "immutable", FIXED).fatal()),
        );
        issues
    }

    fn check_values(&self, path: &str) -> Vec<Issue> {
        let mut issues = vec![];
        let at = |field: &str| format!("{path}.persistence.{field}");
        let size = self.spec.size.as_ref();
        match size.map(Quantity::parse) {
            Some(Err(why)) => issues.push(Issue::invalid(at("size"), "quantity", json!(size), why).fatal()),
            Some(Ok(quantity)) if !quantity.is_positive() => {
                issues.push(Issue::invalid(at("size"), "quantity", json!(size), "must be more than nothing").fatal());
            }
            _ => {}
        }
        let names = [
            ("storageClass", &self.spec.storage_class),
            ("existingClaim", &self.spec.existing_claim),
        ];
        for (field, name) in names {
            // An empty class is a class of its own: claims that an administrator binds by hand.
            if let Some(name) = name.as_deref().filter(|n| !n.is_empty() && !names::is_subdomain(n)) {
                let detail = "is not the name of an object: lower case, digits, - and .";
                issues.push(Issue::invalid(at(field), "object-name", name, detail).fatal());
            }
        }
        issues
    }
}

const FIXED: &str = "cannot be changed while persistence is on: a claim keeps what it was made with; move the data to a \
                     new object, or switch persistence off, delete the claims, and switch it on again";

/// What may not change, in CEL, for a component whose absent `enabled` means `on`.
#[must_use]
pub fn rules(on: bool) -> Vec<Value> {
    let enabled = |of: &str| {
        if on {
            format!("!(has({of}.enabled) && !{of}.enabled)")
        } else {
            format!("has({of}.enabled) && {of}.enabled")
        }
    };
    // Only while both the old and the new block are on.
    let active = |of: &str| {
        let block = format!("{of}.persistence");
        format!(
            "{} && has({block}) && has({block}.enabled) && {block}.enabled",
            enabled(of)
        )
    };
    let both = format!("{} && {}", active("self"), active("oldSelf"));
    let fixed = |field: &str, default: &str| {
        let value = |of: &str| format!("(has({of}.persistence.{field}) ? {of}.persistence.{field} : {default})");
        json!({
            "rule": format!("!({both}) || {} == {}", value("self"), value("oldSelf")),
            "message": format!("{field} {FIXED}"), "fieldPath": format!(".persistence.{field}"),
        })
    };
    let size = |of: &str| format!("quantity(string({of}.persistence.size))");
    let shrunk = json!({
        "rule": format!(
            "!({both} && has(self.persistence.size) && has(oldSelf.persistence.size) && \
             isQuantity(string(self.persistence.size)) && isQuantity(string(oldSelf.persistence.size))) || \
             {}.compareTo({}) >= 0", size("self"), size("oldSelf"),
        ),
        "message": "claims cannot shrink; keep the size, or move the data to a new object",
        "fieldPath": ".persistence.size",
    });
    vec![
        fixed("storageClass", "''"),
        fixed("existingClaim", "''"),
        fixed("accessModes", "['ReadWriteOnce']"),
        shrunk,
    ]
}
