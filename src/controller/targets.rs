//! Which objects of our kinds care about what was touched, and what they look at besides their children.

use super::Context;
use super::cache::Touched;
use crate::base::object::{Owner, all};
use crate::base::seen::Replica;
use crate::component::ollama;
use crate::kind::Kind;
use crate::kind::lmdeployment::LMDeployment;
use crate::kind::ollamamodel::OllamaModel;
use crate::kind::ollamamodel::plan::{Action, plan};
use crate::ollama::fleet::Address;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::core::{DeserializeGuard, DynamicObject};
use kube::runtime::reflector::{ObjectRef, Store};

/// What a kind is reached by, and what it reads before deciding.
pub(super) trait Reached: Kind {
    /// The objects of this kind that should be looked at again.
    fn reached(touched: &Touched, store: &Store<DeserializeGuard<Self>>) -> Vec<ObjectRef<DeserializeGuard<Self>>>;

    /// What the servers report of the object, and the pulls that it starts; nothing for kinds without servers.
    fn replicas(&self, owner: &Owner, context: &Context) -> Vec<Replica>;

    /// An object of that name is gone: whatever was kept for it is dropped.
    fn forget(namespace: &str, name: &str, context: &Context);
}

impl Reached for LMDeployment {
    fn reached(touched: &Touched, _: &Store<DeserializeGuard<Self>>) -> Vec<ObjectRef<DeserializeGuard<Self>>> {
        let Touched::Child { namespace, stack, .. } = touched else {
            return vec![];
        };
        vec![ObjectRef::new(stack).within(namespace)]
    }

    fn replicas(&self, _: &Owner, _: &Context) -> Vec<Replica> {
        vec![]
    }

    fn forget(namespace: &str, name: &str, context: &Context) {
        let place = (namespace.to_string(), name.to_string());
        context.fleet.forget(&place);
        context.wallet.forget(&place);
    }
}

impl Reached for OllamaModel {
    /// Models are not told apart by their stack in the store; pods and servers change rarely enough to look at all.
    fn reached(touched: &Touched, store: &Store<DeserializeGuard<Self>>) -> Vec<ObjectRef<DeserializeGuard<Self>>> {
        let (Touched::Child {
            namespace,
            stack,
            pod: true,
        }
        | Touched::Servers { namespace, name: stack }) = touched
        else {
            return vec![];
        };
        let targets = |model: &Self| {
            model.spec.target.deployment_ref.name == *stack && model.namespace().as_deref() == Some(namespace)
        };
        let models = store
            .state()
            .into_iter()
            .filter(|object| object.0.as_ref().is_ok_and(targets));
        models.map(|object| ObjectRef::from_obj(&*object)).collect()
    }

    fn replicas(&self, owner: &Owner, context: &Context) -> Vec<Replica> {
        let Ok(model) = self.spec.model() else { return vec![] };
        let stack = (owner.namespace.clone(), self.spec.target.deployment_ref.name.clone());
        let live = context.cache.shelf(&stack.0, &stack.1);
        let pods: Vec<Address> = all::<Pod>(&live).filter_map(address).collect();
        let servers = context.fleet.servers(&stack, &pods, &model);
        let (actions, replicas) = plan(&model, self.spec.policy(), &servers);
        let wish = format!("{}/{}", owner.uid, self.metadata.generation.unwrap_or_default());
        for Action::Pull(pod) in actions {
            if let Some(address) = pods.iter().find(|a| a.pod == pod) {
                context
                    .fleet
                    .pull(&address.uid, &model, self.spec.insecure == Some(true), &wish);
            }
        }
        replicas
    }

    fn forget(_: &str, _: &str, _: &Context) {
        // A pull that two objects share goes on for the other; one that nobody wants ends with its pod.
    }
}

/// The address of a server's pod; `None` for other pods and for those that are going.
fn address(pod: &DynamicObject) -> Option<Address> {
    let of_ollama = pod
        .labels()
        .get("app.kubernetes.io/component")
        .is_some_and(|c| c == ollama::NAME);
    let phase = pod.data["status"]["phase"].as_str().unwrap_or_default();
    if !of_ollama || pod.metadata.deletion_timestamp.is_some() || matches!(phase, "Succeeded" | "Failed") {
        return None;
    }
    let container = pod.data["status"]["containerStatuses"]
        .as_array()
        .and_then(|c| c.first().cloned())
        .unwrap_or_default();
    let running = !container["state"]["running"].is_null();
    let ip = pod.data["status"]["podIP"]
        .as_str()
        .and_then(|ip| ip.parse().ok())
        .filter(|_| running);
    Some(Address {
        uid: pod.uid()?,
        pod: pod.name_any(),
        ip,
        start: container["restartCount"].as_i64().unwrap_or(0),
    })
}
