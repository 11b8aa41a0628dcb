//! From one of our kinds to another: which stack an object takes over, as its annotation says.

use super::Kind;
use crate::base::issue::Issue;
use crate::base::object::{STACKS, TAKE_OVER_FROM};
use kube::ResourceExt;

/// The kind of the stack whose objects this one takes over. `None` without the annotation, or with one that means nothing.
#[must_use]
pub fn predecessor<K: Kind>(object: &K) -> Option<&'static str> {
    read(object).and_then(Result::ok)
}

/// What is wrong with the annotation. Nothing else is held up by it.
pub(super) fn check<K: Kind>(object: &K) -> Option<Issue> {
    let detail = read(object)?.err()?;
    let value = object.annotations().get(TAKE_OVER_FROM)?.as_str();
    let path = format!("metadata.annotations[{TAKE_OVER_FROM}]");
    Some(Issue::invalid(path, "take-over", value, detail))
}

fn read<K: Kind>(object: &K) -> Option<Result<&'static str, String>> {
    let value = object.annotations().get(TAKE_OVER_FROM)?;
    let own = K::kind(&());
    let others = || STACKS.into_iter().filter(|kind| *kind != own);
    let Some(kind) = others().find(|kind| value.split_once('/').is_some_and(|(k, _)| k == *kind)) else {
        let others: Vec<&str> = others().collect();
        return Some(Err(format!(
            "must be <kind>/<name>, where the kind is {}",
            others.join(" or ")
        )));
    };
    // A generated name does not exist yet, and nothing can have it.
    let name = object.meta().name.as_deref().unwrap_or_default();
    let same = value.split_once('/').is_some_and(|(_, n)| n == name);
    Some(if same {
        Ok(kind)
    } else {
        Err(format!(
            "must name the stack as this one is named, {name:?}: claims and Secrets are named after their stack, and cannot be renamed"
        ))
    })
}
