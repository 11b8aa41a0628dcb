//! Everything of one stack, as one text: what the children of a stack have in common is kept once.

use crate::controller::packed::{Packed, Spoilt};
use kube::core::DynamicObject;
use serde_json::value::{RawValue, to_raw_value};
use std::collections::BTreeMap;

/// The children of a stack, and its pods. A shelf that cannot be read counts as empty: what was on it is then looked for in
/// the cluster.
#[derive(Default)]
pub(super) struct Shelf(Option<Packed<Content>>);

/// Each where it lies, see [`place`].
type Content = BTreeMap<String, Box<RawValue>>;

/// Where an object lies on the shelf of its stack.
pub(super) fn place(kind: &str, name: &str) -> String {
    format!("{kind}/{name}")
}

impl Shelf {
    /// Lays an object onto the shelf; what lay there before.
    ///
    /// # Errors
    /// When it cannot be written as JSON; then the shelf is as it was.
    pub(super) fn put(
        &mut self,
        place: String,
        object: &DynamicObject,
    ) -> Result<Option<DynamicObject>, serde_json::Error> {
        let mut content = self.content();
        let before = content.insert(place, to_raw_value(object)?);
        self.0 = Some(Packed::of(&content)?);
        Ok(before.and_then(|before| read(&before)))
    }

    /// Leaves only what lies at such places; true when something else was there.
    ///
    /// # Errors
    /// When the rest cannot be written as JSON; then the shelf is as it was.
    pub(super) fn keep(&mut self, is_kept: impl Fn(&str) -> bool) -> Result<bool, serde_json::Error> {
        let mut content = self.content();
        let before = content.len();
        content.retain(|place, _| is_kept(place));
        let is_less = content.len() < before;
        if content.is_empty() {
            self.0 = None;
        } else if is_less {
            self.0 = Some(Packed::of(&content)?);
        }
        Ok(is_less)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Everything on it, or all of one kind.
    pub(super) fn objects(&self, kind: Option<&str>) -> Vec<DynamicObject> {
        let is_meant = |at: &str| kind.is_none_or(|kind| at.split('/').next() == Some(kind));
        let content = self.content();
        let meant = content.iter().filter(|(at, _)| is_meant(at));
        meant.filter_map(|(_, object)| read(object)).collect()
    }

    fn content(&self) -> Content {
        let opened = self.0.as_ref().map(Packed::open).transpose();
        let opened =
            opened.inspect_err(|error: &Spoilt| tracing::error!(%error, "a stack's objects are not known any more"));
        opened.ok().flatten().unwrap_or_default()
    }
}

fn read(object: &RawValue) -> Option<DynamicObject> {
    serde_json::from_str(object.get())
        .inspect_err(|error| tracing::error!(%error, "an object is not known any more"))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(kind: &str, name: &str, version: &str) -> DynamicObject {
        let metadata = json!({"name": name, "resourceVersion": version});
        serde_json::from_value(json!({"apiVersion": "v1", "kind": kind, "metadata": metadata})).unwrap()
    }

    fn names(shelf: &Shelf, kind: Option<&str>) -> Vec<String> {
        shelf
            .objects(kind)
            .into_iter()
            .filter_map(|o| o.metadata.name)
            .collect()
    }

    fn full() -> Shelf {
        let mut shelf = Shelf::default();
        for (kind, name) in [
            ("Service", "a"),
            ("Service", "b"),
            ("ServiceAccount", "c"),
            ("Pod", "d"),
        ] {
            let before = shelf.put(place(kind, name), &object(kind, name, "1")).unwrap();
            assert!(before.is_none(), "{before:?}");
        }
        shelf
    }

    #[test]
    fn what_was_put_is_found_by_its_kind_and_the_last_one_stays() {
        let mut shelf = full();
        assert_eq!(names(&shelf, None), ["d", "a", "b", "c"]);
        assert_eq!(names(&shelf, Some("Service")), ["a", "b"], "and no ServiceAccount");
        let before = shelf.put(place("Pod", "d"), &object("Pod", "d", "2")).unwrap();
        assert_eq!(before, Some(object("Pod", "d", "1")));
        assert_eq!(shelf.objects(Some("Pod")), [object("Pod", "d", "2")]);
    }

    #[test]
    fn a_shelf_is_empty_when_all_is_gone() {
        let mut shelf = full();
        assert!(!shelf.keep(|_| true).unwrap());
        assert!(shelf.keep(|at| at != place("Service", "a")).unwrap());
        assert_eq!(names(&shelf, None), ["d", "b", "c"]);
        assert!(shelf.keep(|_| false).unwrap());
        assert!(shelf.is_empty() && shelf.objects(None).is_empty());
        assert!(!shelf.keep(|_| false).unwrap());
    }
}
