//! All objects of our kinds, over all watched namespaces: what some of them must know of the others.

use super::lock;
use crate::kind::lmdeployment::LMDeployment;
use crate::kind::ollamamodel::OllamaModel;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt};
use std::sync::{Arc, Mutex};

/// The stores that the controllers fill, one for each kind and scope.
#[derive(Default)]
pub(super) struct Index {
    stacks: Mutex<Vec<Store<DeserializeGuard<LMDeployment>>>>,
    models: Mutex<Vec<Store<DeserializeGuard<OllamaModel>>>>,
}

impl Index {
    pub(super) fn add_stacks(&self, store: Store<DeserializeGuard<LMDeployment>>) {
        lock(&self.stacks).push(store);
    }

    pub(super) fn add_models(&self, store: Store<DeserializeGuard<OllamaModel>>) {
        lock(&self.models).push(store);
    }

    /// Returns when every store has listed what there is: what is not in one then does not exist.
    pub(super) async fn filled(&self) {
        let (stacks, models) = (lock(&self.stacks).clone(), lock(&self.models).clone());
        for store in stacks {
            // A store whose controller has ended is never filled, and its process ends.
            let _ = store.wait_until_ready().await;
        }
        for store in models {
            let _ = store.wait_until_ready().await;
        }
    }

    /// The uid of the stack of that name, unless it is going.
    pub(super) fn uid_of_stack(&self, namespace: &str, name: &str) -> Option<String> {
        let found = self.guarded(namespace, name)?;
        found.uid().filter(|_| found.meta().deletion_timestamp.is_none())
    }

    /// The stack of that name.
    pub(super) fn stack(&self, namespace: &str, name: &str) -> Option<LMDeployment> {
        self.guarded(namespace, name)?.0.as_ref().ok().cloned()
    }

    fn guarded(&self, namespace: &str, name: &str) -> Option<Arc<DeserializeGuard<LMDeployment>>> {
        let reference = ObjectRef::new(name).within(namespace);
        lock(&self.stacks).iter().find_map(|store| store.get(&reference))
    }

    /// All models that can be read.
    pub(super) fn models(&self) -> Vec<Arc<DeserializeGuard<OllamaModel>>> {
        let stores = lock(&self.models);
        let all = stores.iter().flat_map(Store::state);
        all.filter(|model| model.0.is_ok()).collect()
    }

    /// Other models that are not going and need a model of this name.
    pub(super) fn others(&self, of: &OllamaModel, key: &str) -> Vec<OllamaModel> {
        let all = self.models();
        let readable = all.iter().filter_map(|model| model.0.as_ref().ok());
        let others = readable.filter(|m| m.uid() != of.uid() && m.metadata.deletion_timestamp.is_none());
        others
            .filter(|m| m.needs().iter().any(|n| n.key() == key))
            .cloned()
            .collect()
    }
}
