//! Claims of a component: their fields, defaults, rules, and what a claim of ours looks like.

mod rules;

use super::Common;
use crate::base::crd;
use crate::base::issue::Issue;
use crate::base::object::{Object, find};
use crate::base::quantity::Quantity;
use crate::base::seen::Seen;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;
use kube::core::DynamicObject;
pub use rules::rules;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::sync::LazyLock;
use validator::Validate;

/// Whether and how data is kept.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct Persistence {
    /// Whether data outlives the pods. Default: as said at the component.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The size of the claim; it may grow. Default: as said at the component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crd::quantity")]
    pub size: Option<Value>,
    /// The StorageClass; fixed once there is a claim. Default: the cluster's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 253))]
    pub storage_class: Option<String>,
    /// The access modes; fixed once there is a claim. Default: ReadWriteOnce.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 4))]
    pub access_modes: Option<Vec<AccessMode>>,
    /// A claim that exists and is used as it is. Default: claims are made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 253))]
    pub existing_claim: Option<String>,
    /// Whether claims stay when the component or the object goes. Default: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retain: Option<bool>,
}

/// How a volume may be mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(transform = crate::base::crd::choice)]
pub enum AccessMode {
    /// By one node.
    ReadWriteOnce,
    /// By many nodes.
    ReadWriteMany,
    /// By many nodes, for reading.
    ReadOnlyMany,
    /// By one pod.
    ReadWriteOncePod,
}

impl Persistence {
    /// True when a claim of ours, or the user's, holds the data.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.enabled == Some(true)
    }

    /// True when claims stay behind.
    #[must_use]
    pub fn retains(&self) -> bool {
        self.retain != Some(false)
    }

    /// The access modes.
    #[must_use]
    pub fn modes(&self) -> Vec<AccessMode> {
        self.access_modes
            .clone()
            .unwrap_or_else(|| vec![AccessMode::ReadWriteOnce])
    }

    /// What the manifest says of a live claim that holds data and cannot change; a claim may be larger than it says.
    #[must_use]
    pub fn compared(&self, path: &str, claim: &DynamicObject) -> Option<Issue> {
        let live = &claim.data["spec"];
        let fields = [
            ("storageClass", json!(self.storage_class), &live["storageClassName"]),
            ("accessModes", json!(self.access_modes), &live["accessModes"]),
        ];
        let differs = |(_, said, has): &(&str, Value, &Value)| !said.is_null() && !has.is_null() && said != *has;
        let (field, said, has) = fields.into_iter().find(differs)?;
        let detail = format!(
            "PersistentVolumeClaim {} has {has} and keeps it: put that here, or delete the claim with its data",
            claim.name_any()
        );
        Some(Issue::invalid(
            format!("{path}.persistence.{field}"),
            "immutable",
            said,
            detail,
        ))
    }
}

/// Persistence that is on, in the component that it belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Volume<'a> {
    /// The block.
    pub spec: &'a Persistence,
    /// The component's common block, where older manifests give the size.
    pub common: &'a Common,
    /// The size where neither gives one.
    pub size: &'static str,
}

impl<'a> Volume<'a> {
    /// `None` where persistence is off.
    #[must_use]
    pub fn of(spec: Option<&'a Persistence>, common: &'a Common, size: &'static str) -> Option<Self> {
        let spec = spec.filter(|spec| spec.is_on())?;
        Some(Self { spec, common, size })
    }

    /// The same for a component that keeps its data unless it is told not to.
    #[must_use]
    pub fn unless_off(spec: Option<&'a Persistence>, common: &'a Common, size: &'static str) -> Option<Self> {
        static PLAIN: LazyLock<Persistence> = LazyLock::new(Persistence::default);
        let spec = spec.unwrap_or(&PLAIN);
        (spec.enabled != Some(false)).then_some(Self { spec, common, size })
    }

    /// The size of a claim.
    #[must_use]
    pub fn size(&self) -> Value {
        let size = self.spec.size.as_ref().or_else(|| self.common.storage());
        size.cloned().unwrap_or_else(|| self.size.into())
    }

    /// True when claims are made, not only used.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.spec.existing_claim.is_none()
    }

    /// The spec of a claim. What a live claim cannot change stays as it is there, and so does a larger size: it was
    /// grown by hand, or kept from a larger stack.
    #[must_use]
    pub fn claim(&self, live: Option<&Value>) -> Value {
        let mut spec = json!({
            "accessModes": self.spec.modes(),
            "resources": {"requests": {"storage": self.size()}},
        });
        if let Some(class) = &self.spec.storage_class {
            spec["storageClassName"] = class.clone().into();
        }
        let Some(live) = live else { return spec };
        for field in ["accessModes", "storageClassName"] {
            if let Some(value) = live.get(field).filter(|v| !v.is_null()) {
                spec[field] = value.clone();
            }
        }
        let has = &live["resources"]["requests"]["storage"];
        if Quantity::parse(has).ok() > Quantity::parse(&self.size()).ok() {
            spec["resources"]["requests"]["storage"] = has.clone();
        }
        spec
    }

    /// The claim of that name, unless it is the user's own.
    #[must_use]
    pub fn object(&self, seen: &Seen<'_>, component: &str, name: &str) -> Option<Object> {
        if !self.is_ours() {
            return None;
        }
        let live = find::<PersistentVolumeClaim>(seen.live, name).map(|claim| &claim.data["spec"]);
        let fields = json!({"spec": self.claim(live)});
        let claim = seen.owner.object::<PersistentVolumeClaim>(component, name, fields);
        Some(if self.spec.retains() {
            claim.retained(seen.owner)
        } else {
            claim.going(seen.owner)
        })
    }

    /// True when several pods can use the claim from several nodes.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.spec.modes().contains(&AccessMode::ReadWriteMany)
    }

    /// True when one pod alone can use the claim.
    #[must_use]
    pub fn is_of_one_pod(&self) -> bool {
        self.spec.modes() == [AccessMode::ReadWriteOncePod]
    }
}

/// The volume of a pod: the claim of that name or the user's own, or space that goes with the pod.
#[must_use]
pub fn source(volume: &str, spec: Option<Volume<'_>>, claim: &str) -> Value {
    match spec {
        None => json!({"name": volume, "emptyDir": {}}),
        Some(spec) => json!({"name": volume, "persistentVolumeClaim": {
            "claimName": spec.spec.existing_claim.as_deref().unwrap_or(claim),
        }}),
    }
}

/// Writes that data is kept, and the size of the claim that will be made.
pub fn fill_kept(block: &mut Map<String, Value>, size: &str) {
    if let Some(persistence) = block.entry("persistence").or_insert_with(|| json!({})).as_object_mut() {
        persistence.entry("enabled").or_insert(true.into());
    }
    fill_persistence(block, size);
}

/// Writes the size of claims that will be made.
pub fn fill_persistence(block: &mut Map<String, Value>, size: &str) {
    let storage = |list: &str| block.get("resources").is_some_and(|r| !r[list]["storage"].is_null());
    // An older manifest may give the size as a resource; that one counts.
    if storage("requests") || storage("limits") {
        return;
    }
    if let Some(persistence) = block.get_mut("persistence").and_then(Value::as_object_mut)
        && persistence.get("enabled") == Some(&true.into())
        && !persistence.contains_key("existingClaim")
    {
        persistence.entry("size").or_insert_with(|| size.into());
    }
}
