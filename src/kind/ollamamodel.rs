//! `OllamaModel`: one model on one Ollama, on all its replicas.

pub mod plan;
mod status;

use super::{Kind, Outcome, check_name};
use crate::base::crd::NameRule;
use crate::base::hash;
use crate::base::issue::{Issue, Review};
use crate::base::model::ModelName;
use crate::base::names;
use crate::base::object::{Object, Owner};
use crate::base::seen::Seen;
use crate::base::settings::Settings;
use crate::component::common::PullPolicy;
use jiff::Timestamp;
use kube::CustomResource;
use kube::core::DynamicObject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
pub use status::{OllamaModelStatus, ReplicaStatus};

/// Which model, and where.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[kube(
    group = "ollama.smithforge.dev",
    version = "v1alpha1",
    kind = "OllamaModel",
    namespaced,
    plural = "ollamamodels",
    category = "llm",
    status = "OllamaModelStatus",
    derive = "PartialEq",
    doc = "One model on one Ollama, on all its replicas.",
    printcolumn = r#"{"name": "Model", "type": "string", "jsonPath": ".status.model"}"#,
    printcolumn = r#"{"name": "State", "type": "string", "jsonPath": ".status.state"}"#,
    printcolumn = r#"{"name": "Progress", "type": "integer", "jsonPath": ".status.progress", "description": "Percent"}"#,
    printcolumn = r#"{"name": "Size", "type": "string", "jsonPath": ".status.formattedSize"}"#,
    printcolumn = r#"{"name": "On", "type": "string", "jsonPath": ".status.on", "description": "Servers that hold it"}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = fixed_fields()))]
pub struct OllamaModelSpec {
    /// The model, as Ollama names it: `[host[:port]/][namespace/]model[:tag]`.
    #[schemars(length(min = 1, max = 512))]
    pub name: String,
    /// The tag, where the name has none. Default: latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 80))]
    pub tag: Option<String>,
    /// When it is pulled. Default: `IfNotPresent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_policy: Option<PullPolicy>,
    /// Pull by plain http. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insecure: Option<bool>,
    /// The Ollama that should hold it.
    pub target: Target,
}

/// An Ollama.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// The stack whose Ollama it is.
    pub deployment_ref: DeploymentRef,
}

/// A stack of the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentRef {
    /// Its kind. Default: `LMDeployment`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub kind: Option<String>,
    /// Its name.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
}

impl Kind for OllamaModel {
    /// Nothing is named after it, so it may have dots, as in the older documents' `llama3.2-1b`.
    const NAMES: NameRule = NameRule {
        longest: 63,
        label: false,
    };

    fn fill(_object: &mut Value) {
        // Nothing is constant and absent: the tag belongs to the name, and the policy is computed at each reconcile.
    }

    fn check(&self, old: Option<&Self>, _settings: &Settings) -> Review {
        let mut issues = check_name(self);
        let spec = &self.spec;
        if let Err(why) = spec.model() {
            let (path, value) = match &spec.tag {
                Some(tag) if ModelName::parse(&spec.name).is_ok() => ("spec.tag", tag),
                _ => ("spec.name", &spec.name),
            };
            issues.push(Issue::invalid(path, "model-name", value.as_str(), why).fatal());
        }
        if spec.pull_policy == Some(PullPolicy::Never) && spec.insecure == Some(true) {
            issues.push(Issue::forbidden(
                "spec.insecure",
                "insecure",
                "does nothing with pullPolicy Never; remove it",
            ));
        }
        let reference = &spec.target.deployment_ref;
        if reference.kind.as_deref().is_some_and(|k| k != "LMDeployment") {
            let kind = reference.kind.as_deref().unwrap_or_default();
            issues
                .push(Issue::unsupported("spec.target.deploymentRef.kind", "target", kind, &["LMDeployment"]).fatal());
        }
        if !names::is_dns_label(&reference.name, names::LONGEST_NAME) {
            let detail = "is not the name of a stack";
            issues.push(
                Issue::invalid(
                    "spec.target.deploymentRef.name",
                    "target",
                    reference.name.as_str(),
                    detail,
                )
                .fatal(),
            );
        }
        if let Some(old) = old {
            issues.extend(self.immutable(old));
        }
        Review {
            issues,
            warnings: vec![],
        }
    }

    fn desired(&self, _seen: &Seen<'_>) -> Vec<Object> {
        vec![]
    }

    fn status(&self, seen: &Seen<'_>, outcome: &Outcome, now: Timestamp) -> Value {
        json!(status::of(self, seen, outcome, now))
    }
}

impl OllamaModel {
    fn immutable(&self, old: &Self) -> Vec<Issue> {
        let key = |spec: &OllamaModelSpec| spec.model().map(|m| m.key());
        let fields = [
            ("spec.name", key(&self.spec) == key(&old.spec)),
            (
                "spec.target",
                self.spec.target.deployment_ref.is(&old.spec.target.deployment_ref),
            ),
        ];
        let issue = |(path, _)| Issue::forbidden(path, "immutable", FIXED).fatal();
        fields.into_iter().filter(|(_, same)| !same).map(issue).collect()
    }
}

const FIXED: &str = "cannot be changed; make another OllamaModel";

/// The same in CEL. The tag may move from its field into the name and back, and Ollama tells no cases apart.
fn fixed_fields() -> Value {
    let full = |of: &str| format!("({of}.name + (has({of}.tag) ? ':' + {of}.tag : '')).lowerAscii()");
    let name = |of: &str| format!("({0}.endsWith(':latest') ? {0} : {0} + ':latest')", full(of));
    let target = |of: &str| {
        let target = format!("{of}.target.deploymentRef");
        format!("(has({target}.kind) ? {target}.kind : 'LMDeployment') + '/' + {target}.name")
    };
    let rule = |field: &str, value: &dyn Fn(&str) -> String| {
        json!({
            "rule": format!("{} == {}", value("self"), value("oldSelf")),
            "message": format!("{field} {FIXED}"), "fieldPath": format!(".{field}"),
        })
    };
    json!([rule("name", &name), rule("target", &target)])
}

impl DeploymentRef {
    fn is(&self, other: &Self) -> bool {
        let kind = |of: &Self| of.kind.clone().unwrap_or_else(|| "LMDeployment".into());
        self.name == other.name && kind(self) == kind(other)
    }
}

impl OllamaModelSpec {
    /// The model's name with every part filled in.
    ///
    /// # Errors
    /// The sentence of [`ModelName::parse`].
    pub fn model(&self) -> Result<ModelName, String> {
        ModelName::with_tag(&self.name, self.tag.as_deref())
    }

    /// When it is pulled.
    #[must_use]
    pub fn policy(&self) -> PullPolicy {
        self.pull_policy.unwrap_or(PullPolicy::IfNotPresent)
    }
}

/// The name of the `OllamaModel` that an owner makes for a model: readable, and unique to both.
#[must_use]
pub fn child_name(owner: &Owner, model: &ModelName) -> String {
    let unique = hash::short(&format!("{}/{}", owner.uid, model.key()), 6);
    // 40 for the owner, 6 for the hash, 2 dashes: the slug gets what is left of 63.
    let slug = names::slug(&format!("{}-{}", model.family(), model.tag()), 15);
    format!("{}-{slug}-{unique}", owner.name)
}

/// The status of a live `OllamaModel`.
#[must_use]
pub fn status_of(live: &DynamicObject) -> Option<OllamaModelStatus> {
    serde_json::from_value(live.data.get("status")?.clone()).ok()
}
