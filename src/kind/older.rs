//! `OllamaDeployment` and `Deployment` of our group: older names of `LMDeployment`, with its fields and its code.

use super::lmdeployment::LMDeployment;
use super::{Kind, Outcome, takeover};
use crate::base::crd::NameRule;
use crate::base::issue::{Issue, Review};
use crate::base::object::Object;
use crate::base::seen::Seen;
use crate::base::settings::Settings;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::NamespaceResourceScope;
use kube::discovery::ApiResource;
use kube::{CustomResourceExt, Resource};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// A kind whose objects are stacks.
pub trait Stack: Kind {
    /// The stack that the object is, whatever its kind is called.
    fn stack(&self) -> &LMDeployment;
}

impl Stack for LMDeployment {
    fn stack(&self) -> &LMDeployment {
        self
    }
}

/// The definition of an older name: that of `LMDeployment` but for its names. It has no short names, which belong to
/// `LMDeployment`, and `kubectl get llm` lists it only where `listed`.
fn definition(kind: &str, plural: &str, listed: bool) -> CustomResourceDefinition {
    let mut crd = LMDeployment::crd();
    crd.metadata.name = Some(format!("{plural}.{}", crd.spec.group));
    let names = &mut crd.spec.names;
    names.kind = kind.into();
    names.plural = plural.into();
    names.singular = Some(kind.to_lowercase());
    names.short_names = None;
    if !listed {
        names.categories = None;
    }
    for version in &mut crd.spec.versions {
        let schema = version.schema.as_mut().and_then(|s| s.open_api_v3_schema.as_mut());
        if let Some(schema) = schema {
            schema.description = Some(format!(
                "The older name of LMDeployment, for manifests that have it. {ADVICE}"
            ));
        }
    }
    crd
}

const ADVICE: &str = "`llm-operator migrate` rewrites them.";

/// One more kind with the fields and the code of `LMDeployment`.
macro_rules! older {
    ($kind:ident, $name:literal, $plural:literal, $listed:literal) => {
        #[doc = concat!("`", $name, "`: a stack under an older name.")]
        #[derive(Clone, Debug, PartialEq)]
        pub struct $kind(LMDeployment);

        impl Resource for $kind {
            type DynamicType = ();
            type Scope = NamespaceResourceScope;

            fn kind(_: &()) -> Cow<'_, str> {
                $name.into()
            }

            fn group(_: &()) -> Cow<'_, str> {
                LMDeployment::group(&())
            }

            fn version(_: &()) -> Cow<'_, str> {
                LMDeployment::version(&())
            }

            fn api_version(_: &()) -> Cow<'_, str> {
                LMDeployment::api_version(&())
            }

            fn plural(_: &()) -> Cow<'_, str> {
                $plural.into()
            }

            fn object_ref(&self, _: &()) -> ObjectReference {
                ObjectReference {
                    kind: Some($name.into()),
                    ..self.0.object_ref(&())
                }
            }

            fn meta(&self) -> &ObjectMeta {
                self.0.meta()
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                self.0.meta_mut()
            }
        }

        impl CustomResourceExt for $kind {
            fn crd() -> CustomResourceDefinition {
                definition($name, $plural, $listed)
            }

            fn crd_name() -> &'static str {
                concat!($plural, ".llm.geeper.io")
            }

            fn api_resource() -> ApiResource {
                ApiResource::erase::<Self>(&())
            }

            fn shortnames() -> &'static [&'static str] {
                &[]
            }
        }

        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut raw = serde_json::to_value(&self.0).map_err(serde::ser::Error::custom)?;
                raw["kind"] = $name.into();
                raw.serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                LMDeployment::deserialize(deserializer).map(Self)
            }
        }

        impl Stack for $kind {
            fn stack(&self) -> &LMDeployment {
                &self.0
            }
        }

        impl Kind for $kind {
            const NAMES: NameRule = LMDeployment::NAMES;

            fn fill(object: &mut Value) {
                LMDeployment::fill(object);
            }

            fn check(&self, old: Option<&Self>, settings: &Settings) -> Review {
                let mut review = self.0.review(old.map(|old| &old.0), settings);
                review.issues.extend(takeover::check(self));
                review
            }

            fn secrets(&self) -> Option<BTreeSet<String>> {
                self.0.secrets()
            }

            fn check_live(&self, seen: &Seen<'_>) -> Vec<Issue> {
                self.0.check_live(seen)
            }

            fn desired(&self, seen: &Seen<'_>) -> Vec<Object> {
                self.0.desired(seen)
            }

            fn status(&self, seen: &Seen<'_>, outcome: &Outcome, now: Timestamp) -> Value {
                self.0.status(seen, outcome, now)
            }
        }
    };
}

older!(OllamaDeployment, "OllamaDeployment", "ollamadeployments", true);
// It shadows nothing only because it has neither short names nor a category (facts: schema).
older!(Deployment, "Deployment", "deployments", false);
