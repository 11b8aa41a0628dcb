//! The objects that should exist, without their types: what one apply loop and one prune loop work on.

use kube::core::{DynamicObject, ObjectMeta};
use kube::discovery::ApiResource;
use kube::{Resource, ResourceExt};
use serde_json::{Map, Value, json};

/// The label that marks everything we made.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Its value.
pub const OPERATOR: &str = "llm-operator";
/// The label that names the stack an object belongs to.
pub const DEPLOYMENT: &str = "llm-deployment";
/// The same label as the older documents print it.
pub const OLD_DEPLOYMENT: &str = "ollama-deployment";
/// The annotation of what outlives its owner: `<kind>/<name>` of the owner.
pub const RETAINED_FOR: &str = "llm.geeper.io/retained-for";
/// The annotation by which an object takes over the stack of another of [`STACKS`]: `<kind>/<name>` of that one.
pub const TAKE_OVER_FROM: &str = "llm.geeper.io/take-over-from";
/// The kinds of stacks: one kind with two older names. What a stack is made of is named after it, whatever its kind, so
/// that of one name there can be one.
pub const STACKS: [&str; 3] = ["LMDeployment", "OllamaDeployment", "Deployment"];
/// The annotation of a claim that its manifest says not to keep: `<kind>/<name>` of the owner. No other claim is ever deleted.
pub const GOES_WITH: &str = "llm.geeper.io/goes-with";
/// The finalizer that we set.
pub const FINALIZER: &str = "llm.geeper.io/cleanup";

/// The object that children belong to.
#[derive(Clone, Debug, PartialEq)]
pub struct Owner {
    /// Such as `llm.geeper.io/v1alpha1`.
    pub api_version: String,
    /// Such as `LMDeployment`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its uid.
    pub uid: String,
}

/// How the apply loop treats an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Treatment {
    /// Applied whenever it differs.
    Applied,
    /// Created once with values made at that moment, then left as it is.
    Generated(Vec<Generated>),
    /// Left as it is, and not pruned: it makes way for another object later.
    Kept,
}

/// A value of a Secret that is made when the Secret is created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// The key of the Secret.
    pub key: &'static str,
    /// What is made.
    pub form: Form,
}

/// The forms of generated values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A random UUID (version 4).
    Uuid,
    /// 256 random bits as 64 hexadecimal digits: a key, or a password that needs no encoding in a URL.
    Key,
}

/// One object that should exist.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Its type, as the API server addresses it.
    pub resource: ApiResource,
    /// Its name.
    pub name: String,
    /// The whole body, as applied.
    pub body: Value,
    /// How it is applied.
    pub treatment: Treatment,
    /// Somebody else decides how many replicas it has: `spec.replicas` is not sent.
    pub counted: Option<Counted>,
}

/// The replicas of a workload that somebody else counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The fewest.
    pub least: i32,
    /// The most.
    pub most: i32,
    /// With how many it begins, where it does not exist yet.
    pub start: i32,
}

impl Owner {
    /// The owner that an object of ours is; `None` before the API server has given it a uid.
    pub fn of<K: Resource<DynamicType = ()>>(object: &K) -> Option<Self> {
        Some(Self {
            api_version: K::api_version(&()).into_owned(),
            kind: K::kind(&()).into_owned(),
            name: object.name_any(),
            namespace: object.namespace()?,
            uid: object.uid()?,
        })
    }

    /// The labels by which workloads select their pods; they never change.
    #[must_use]
    pub fn selector(&self, component: &str) -> Map<String, Value> {
        map([
            ("app.kubernetes.io/name", component),
            ("app.kubernetes.io/instance", &self.name),
            ("app.kubernetes.io/component", component),
        ])
    }

    /// The labels of everything that belongs to the component.
    #[must_use]
    pub fn labels(&self, component: &str) -> Map<String, Value> {
        let mut labels = self.selector(component);
        labels.extend(map([
            (OLD_DEPLOYMENT, &*self.name),
            (DEPLOYMENT, &self.name),
            ("app", component),
            ("app.kubernetes.io/part-of", OPERATOR),
            (MANAGED_BY, OPERATOR),
        ]));
        labels
    }

    /// An object of this owner with the given top-level fields (`spec`, `data` and the like).
    #[must_use]
    pub fn object<K: Resource<DynamicType = ()>>(&self, component: &str, name: &str, fields: Value) -> Object {
        let resource = ApiResource::erase::<K>(&());
        let mut body = json!({
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {
                "name": name,
                "namespace": self.namespace,
                "labels": self.labels(component),
                "ownerReferences": [self.owner_reference()],
            },
        });
        merge(&mut body, fields);
        drop_nulls(&mut body);
        Object {
            resource,
            name: name.into(),
            body,
            treatment: Treatment::Applied,
            counted: None,
        }
    }

    /// `<kind>/<name>`, as [`RETAINED_FOR`] holds it.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }

    /// True when the live object is ours: controlled by our uid, or kept for an object of our kind and name. A claim
    /// that goes with its `StatefulSet` is owned by that one, and is ours as well.
    #[must_use]
    pub fn owns(&self, live: &ObjectMeta) -> bool {
        let mut owners = live.owner_references.iter().flatten();
        let kept = live.annotations.as_ref().and_then(|a| a.get(RETAINED_FOR)) == Some(&self.reference());
        owners.clone().any(|o| o.uid == self.uid) || kept && owners.all(|o| o.api_version == "apps/v1")
    }

    /// True when the live object is one that we have marked and somebody has orphaned: nobody else's name is on it. Who can
    /// make objects can make one that looks like it, so its content must not be trusted.
    #[must_use]
    pub fn lost(&self, live: &ObjectMeta) -> bool {
        let labels = live.labels.iter().flatten();
        let label = |key: &str| labels.clone().find(|(k, _)| *k == key).map(|(_, value)| value.as_str());
        let is_kept = live.annotations.iter().flatten().any(|(key, _)| key == RETAINED_FOR);
        let has_owner = live.owner_references.iter().flatten().next().is_some();
        label(MANAGED_BY) == Some(OPERATOR) && label(DEPLOYMENT) == Some(&self.name) && !is_kept && !has_owner
    }

    /// True when the older operator made the live object for a stack of our name: it has its label, and nobody of ours has
    /// marked it. Its claims, and some of its Secrets, name no owner; what names another one is not ours.
    #[must_use]
    pub fn inherits(&self, live: &ObjectMeta) -> bool {
        let labels = live.labels.iter().flatten();
        let label = |key: &str| labels.clone().find(|(k, _)| *k == key).map(|(_, value)| value.as_str());
        let mut owners = live.owner_references.iter().flatten();
        label(DEPLOYMENT) == Some(&self.name)
            && label(MANAGED_BY) != Some(OPERATOR)
            && !live.annotations.iter().flatten().any(|(key, _)| key == RETAINED_FOR)
            && owners.all(|o| o.uid == self.uid)
    }

    /// True when the live object belongs to the stack of our name of another kind, or was kept for it.
    #[must_use]
    pub fn succeeds(&self, kind: &str, live: &ObjectMeta) -> bool {
        let mut owners = live.owner_references.iter().flatten();
        let kept = live.annotations.as_ref().and_then(|a| a.get(RETAINED_FOR));
        kept.is_some_and(|kept| *kept == format!("{kind}/{}", self.name))
            || owners.any(|o| o.api_version == self.api_version && o.kind == kind && o.name == self.name)
    }

    /// The reference by which the cluster knows what belongs to this owner.
    #[must_use]
    pub fn owner_reference(&self) -> Value {
        json!({
            "apiVersion": self.api_version, "kind": self.kind, "name": self.name, "uid": self.uid,
            "controller": true, "blockOwnerDeletion": true,
        })
    }

    /// True when the live object belongs to a former object of our kind and name: it goes soon, since its owner is gone.
    #[must_use]
    pub fn follows(&self, live: &ObjectMeta) -> bool {
        let mut owners = live.owner_references.iter().flatten();
        owners.any(|o| {
            (&o.api_version, &o.kind, &o.name) == (&self.api_version, &self.kind, &self.name) && o.uid != self.uid
        })
    }
}

impl Object {
    /// The same object, which outlives its owner and is found again by an owner of the same kind and name.
    #[must_use]
    pub fn retained(mut self, owner: &Owner) -> Self {
        if let Some(metadata) = self.body["metadata"].as_object_mut() {
            metadata.remove("ownerReferences");
        }
        merge(
            &mut self.body,
            json!({"metadata": {"annotations": {RETAINED_FOR: owner.reference()}}}),
        );
        self
    }

    /// The same object, which goes as soon as nothing desires it.
    #[must_use]
    pub fn going(mut self, owner: &Owner) -> Self {
        merge(
            &mut self.body,
            json!({"metadata": {"annotations": {GOES_WITH: owner.reference()}}}),
        );
        self
    }

    /// The same object, created once with generated values.
    #[must_use]
    pub fn generated(mut self, values: Vec<Generated>) -> Self {
        self.treatment = Treatment::Generated(values);
        self
    }

    /// The same workload, whose replicas somebody else counts.
    #[must_use]
    pub fn counted(mut self, by: Counted) -> Self {
        if let Some(spec) = self.body["spec"].as_object_mut() {
            spec.remove("replicas");
        }
        self.counted = Some(by);
        self
    }

    /// `<Kind> <name>`, as messages name it.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} {}", self.resource.kind, self.name)
    }
}

/// The live object of that kind and name.
#[must_use]
pub fn find<'a, K: Resource<DynamicType = ()>>(live: &'a [DynamicObject], name: &str) -> Option<&'a DynamicObject> {
    all::<K>(live).find(|o| o.name_any() == name)
}

/// `<Kind> <name>` of a live object, as messages name it.
#[must_use]
pub fn title(live: &DynamicObject) -> String {
    let kind = live.types.as_ref().map_or("object", |t| &t.kind);
    format!("{kind} {}", live.name_any())
}

/// The live objects of that kind.
pub fn all<K: Resource<DynamicType = ()>>(live: &[DynamicObject]) -> impl Iterator<Item = &DynamicObject> {
    let (version, kind) = (K::api_version(&()), K::kind(&()));
    live.iter().filter(move |o| {
        o.types
            .as_ref()
            .is_some_and(|t| t.kind == kind && t.api_version == version)
    })
}

/// Lays `patch` over `target`: objects are joined key by key, anything else is replaced, null is left out.
pub fn merge(target: &mut Value, patch: Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (key, value) in patch {
                if !value.is_null() {
                    merge(target.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (target, Value::Object(patch)) => {
            *target = json!({});
            merge(target, Value::Object(patch));
        }
        (target, patch) => *target = patch,
    }
}

/// Takes every null out: under server-side apply it would be a field that we own and that says nothing.
pub fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, v| !v.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => {
            items.retain(|v| !v.is_null());
            items.iter_mut().for_each(drop_nulls);
        }
        _ => {}
    }
}

fn map<const N: usize>(pairs: [(&str, &str); N]) -> Map<String, Value> {
    pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Service};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

    impl Owner {
        /// A stack called `chat`.
        pub(crate) fn sample() -> Self {
            Self {
                api_version: "llm.geeper.io/v1alpha1".into(),
                kind: "LMDeployment".into(),
                name: "chat".into(),
                namespace: "team".into(),
                uid: "u1".into(),
            }
        }
    }

    fn meta(object: &Object) -> ObjectMeta {
        serde_json::from_value(object.body["metadata"].clone()).unwrap()
    }

    #[test]
    fn both_documented_selectors_find_everything() {
        let object = Owner::sample().object::<Service>("ollama", "chat-ollama", json!({"spec": {"ports": null}}));
        let labels = &object.body["metadata"]["labels"];
        assert_eq!(
            (&labels[DEPLOYMENT], &labels[OLD_DEPLOYMENT]),
            (&json!("chat"), &json!("chat"))
        );
        assert_eq!(object.body["spec"], json!({}));
        assert_eq!(object.title(), "Service chat-ollama");
    }

    #[test]
    fn what_is_ours_is_ours_by_uid_or_by_being_retained_for_us() {
        let object = Owner::sample().object::<PersistentVolumeClaim>("tabby", "chat-tabby-data", json!({}));
        assert!(Owner::sample().owns(&meta(&object)));
        let again = Owner {
            uid: "u2".into(),
            ..Owner::sample()
        };
        assert!(!again.owns(&meta(&object)));
        let mut orphan = meta(&object);
        orphan.owner_references = None;
        assert!(!Owner::sample().owns(&orphan) && Owner::sample().lost(&orphan));
        orphan.labels = None;
        assert!(!Owner::sample().lost(&orphan), "somebody else's");
        let retained = object.retained(&Owner::sample());
        assert!(again.owns(&meta(&retained)));
        assert!(
            !Owner {
                name: "other".into(),
                ..Owner::sample()
            }
            .owns(&meta(&retained))
        );
        assert!(!Owner::sample().owns(&ObjectMeta::default()));
    }

    #[test]
    fn a_claim_that_goes_with_its_stateful_set_is_ours() {
        let object = Owner::sample().object::<PersistentVolumeClaim>("ollama", "data-chat-ollama-0", json!({}));
        let mut claim = meta(&object.retained(&Owner::sample()));
        let reference = |version: &str| OwnerReference {
            api_version: version.into(),
            uid: "s1".into(),
            ..OwnerReference::default()
        };
        claim.owner_references = Some(vec![reference("apps/v1")]);
        assert!(Owner::sample().owns(&claim));
        claim.owner_references = Some(vec![reference("example.com/v1")]);
        assert!(!Owner::sample().owns(&claim));
    }

    fn older(owners: &Value, annotations: &Value) -> ObjectMeta {
        let labels = json!({DEPLOYMENT: "chat", "app": "openwebui"});
        serde_json::from_value(json!({"labels": labels, "annotations": annotations, "ownerReferences": owners}))
            .unwrap()
    }

    #[test]
    fn what_an_older_operator_made_is_known_by_its_label_unless_it_is_someones() {
        let none = json!({});
        assert!(
            Owner::sample().inherits(&older(&json!([]), &none)),
            "its claims name no owner"
        );
        assert!(Owner::sample().inherits(&older(&json!([Owner::sample().owner_reference()]), &none)));
        let foreign = Owner {
            uid: "u2".into(),
            ..Owner::sample()
        };
        assert!(!Owner::sample().inherits(&older(&json!([foreign.owner_reference()]), &none)));
        let kept = json!({RETAINED_FOR: "OllamaDeployment/chat"});
        assert!(
            !Owner::sample().inherits(&older(&json!([]), &kept)),
            "ours, and of another kind"
        );
        let ours = Owner::sample().object::<Service>("ollama", "chat-ollama", json!({}));
        assert!(
            !Owner::sample().inherits(&meta(&ours)),
            "nothing is inherited from ourselves"
        );
        let other = Owner {
            name: "other".into(),
            ..Owner::sample()
        };
        assert!(!other.inherits(&older(&json!([]), &none)));
    }

    #[test]
    fn a_stack_of_another_kind_is_succeeded_by_its_name() {
        let before = Owner {
            kind: "OllamaDeployment".into(),
            uid: "u0".into(),
            ..Owner::sample()
        };
        let service = before.object::<Service>("ollama", "chat-ollama", json!({}));
        assert!(Owner::sample().succeeds("OllamaDeployment", &meta(&service)));
        assert!(!Owner::sample().succeeds("Deployment", &meta(&service)));
        let claim = before.object::<PersistentVolumeClaim>("tabby", "chat-tabby-data", json!({}));
        assert!(Owner::sample().succeeds("OllamaDeployment", &meta(&claim.retained(&before))));
        let other = Owner {
            name: "other".into(),
            ..before
        };
        let service = other.object::<Service>("ollama", "other-ollama", json!({}));
        assert!(!Owner::sample().succeeds("OllamaDeployment", &meta(&service)));
    }

    #[test]
    fn no_null_reaches_the_api_server() {
        let volumes = json!([{"name": "a", "emptyDir": null}, null]);
        let object =
            Owner::sample().object::<Service>("ollama", "x", json!({"spec": {"volumes": volumes, "a": {"b": null}}}));
        assert_eq!(object.body["spec"], json!({"volumes": [{"name": "a"}], "a": {}}));
    }
}
