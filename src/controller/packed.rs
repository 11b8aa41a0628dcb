//! What is remembered of objects in a form that takes little room: nearly all of it is read only when something has changed.

use kube::Resource;
use kube::core::error_boundary::InvalidObject;
use kube::core::{DeserializeGuard, NamespaceResourceScope, ObjectMeta};
use lz4_flex::block::{DecompressError, compress_prepend_size_with_dict, decompress_size_prepended_with_dict};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::marker::PhantomData;

/// What most objects have in common, so that none has to keep it: labels, owners, and the states of healthy workloads. It is
/// in use in memory only, so it may change with any version.
const COMMON: &[u8] = include_bytes!("packed/common.json");

/// An object in its compressed JSON form. As a tree of maps it takes some thirty times as much, and there are twenty of
/// them for every stack.
#[derive(Clone)]
pub(super) struct Packed<T> {
    bytes: Box<[u8]>,
    of: PhantomData<fn() -> T>,
}

/// What was packed cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Spoilt {
    #[error("what was remembered is incomplete: {0}")]
    Bytes(#[from] DecompressError),
    #[error("what was remembered is no such object: {0}")]
    Text(#[from] serde_json::Error),
}

impl<T: Serialize + DeserializeOwned> Packed<T> {
    pub(super) fn of(object: &T) -> Result<Self, serde_json::Error> {
        let text = serde_json::to_vec(object)?;
        Ok(Self {
            bytes: compress_prepend_size_with_dict(&text, COMMON).into(),
            of: PhantomData,
        })
    }

    pub(super) fn open(&self) -> Result<T, Spoilt> {
        let text = decompress_size_prepended_with_dict(&self.bytes, COMMON)?;
        Ok(serde_json::from_slice(&text)?)
    }
}

/// How a store keeps an object: packed, but for what it is found by.
#[derive(Clone)]
pub(super) struct Parcel<K> {
    found_by: ObjectMeta,
    content: Result<Packed<K>, Box<InvalidObject>>,
}

impl<K> Parcel<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Serialize + DeserializeOwned + Clone + 'static,
{
    pub(super) fn keep(object: DeserializeGuard<K>) -> Self {
        let meta = object.meta();
        let found_by = ObjectMeta {
            name: meta.name.clone(),
            namespace: meta.namespace.clone(),
            ..ObjectMeta::default()
        };
        let content = object
            .0
            .map_err(Box::new)
            .and_then(|object| Packed::of(&object).map_err(|error| invalid(error.to_string(), object.meta().clone())));
        Self { found_by, content }
    }

    /// # Errors
    /// When it does not fit its kind.
    pub(super) fn open(&self) -> Result<K, Box<InvalidObject>> {
        let packed = self.content.as_ref().map_err(Box::clone)?;
        packed
            .open()
            .map_err(|error| invalid(error.to_string(), self.found_by.clone()))
    }
}

fn invalid(error: String, metadata: ObjectMeta) -> Box<InvalidObject> {
    Box::new(InvalidObject { error, metadata })
}

impl<K> Resource for Parcel<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        K::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        K::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        K::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.found_by
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.found_by
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::lmdeployment::LMDeployment;
    use kube::core::DynamicObject;
    use serde_json::json;

    fn service(stack: &str) -> DynamicObject {
        let object = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {
                "name": format!("{stack}-ollama"), "namespace": "team-a", "uid": "01234567-89ab-4cde-8f01-23456789abcd",
                "resourceVersion": "4711", "creationTimestamp": "2026-03-04T05:06:07Z",
                "labels": {
                    "app.kubernetes.io/component": "ollama", "app.kubernetes.io/instance": stack,
                    "app.kubernetes.io/managed-by": "llm-operator", "app.kubernetes.io/name": "ollama",
                    "app.kubernetes.io/part-of": stack, "llm.geeper.io/deployment": stack,
                },
                "ownerReferences": [{
                    "apiVersion": "llm.geeper.io/v1alpha1", "kind": "LMDeployment", "name": stack, "controller": true,
                    "blockOwnerDeletion": true, "uid": "fedcba98-7654-4210-8fed-cba987654321",
                }],
            },
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn what_is_packed_comes_out_as_it_was() {
        for name in ["a", "ü\u{0}\"", &"long".repeat(9000)] {
            let mut object = service(name);
            object.data = json!({"status": {"replicas": 1, "words": name, "none": null, "half": 0.5, "list": []}});
            let opened = Packed::of(&object).unwrap().open().unwrap();
            assert_eq!(
                serde_json::to_value(opened).unwrap(),
                serde_json::to_value(object).unwrap()
            );
        }
    }

    #[test]
    fn what_all_children_have_in_common_takes_no_room() {
        let object = service("chat");
        let (packed, text) = (
            Packed::of(&object).unwrap().bytes.len(),
            serde_json::to_vec(&object).unwrap().len(),
        );
        assert!(packed * 3 < text, "{packed} of {text} bytes");
    }

    #[test]
    fn a_store_gives_back_what_it_was_given_and_knows_what_is_invalid() {
        let read = |spec: serde_json::Value| -> DeserializeGuard<LMDeployment> {
            let object = json!({
                "apiVersion": "llm.geeper.io/v1alpha1", "kind": "LMDeployment", "spec": spec,
                "metadata": {"name": "chat", "namespace": "team-a", "uid": "u", "generation": 3, "labels": {"a": "b"}},
            });
            serde_json::from_value(object).unwrap()
        };
        let fine = read(json!({"ollama": {"models": [{"name": "qwen3:4b"}], "replicas": 2}}));
        let kept = Parcel::keep(fine.clone());
        assert_eq!(kept.meta().name.as_deref(), Some("chat"));
        let (given, taken) = (fine.0.unwrap(), kept.open().unwrap());
        assert_eq!(
            serde_json::to_value(given).unwrap(),
            serde_json::to_value(taken).unwrap()
        );
        let wrong = Parcel::keep(read(json!({"ollama": {"replicas": "two"}})))
            .open()
            .unwrap_err();
        assert_eq!(wrong.metadata.generation, Some(3));
        assert!(wrong.error.contains("two"), "{wrong}");
    }
}
