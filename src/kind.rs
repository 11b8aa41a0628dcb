//! The kinds of the API: the one trait they share, and the one list that controllers, webhooks, printers and tests walk.

pub mod lmdeployment;
pub mod older;
pub mod ollamamodel;
pub mod reference;
pub mod takeover;

use crate::base::crd::{self, NameRule};
use crate::base::issue::{Issue, Review};
use crate::base::names;
use crate::base::object::{Object, Owner};
use crate::base::secret::{Content, Secrets};
use crate::base::seen::{ModelState, Seen};
use crate::base::settings::Settings;
use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::{DynamicObject, NamespaceResourceScope};
use kube::discovery::ApiResource;
use kube::{CustomResourceExt, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Debug;

/// A kind of the API: what it fills in, what it refuses, what should exist for it, and what it says of itself.
/// Everything here is pure: observed state and time come in as arguments.
pub trait Kind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + CustomResourceExt
    + Serialize
    + DeserializeOwned
    + Clone
    + Debug
    + Send
    + Sync
    + 'static
{
    /// What its objects may be called.
    const NAMES: NameRule;

    /// Writes constant defaults where a field is absent. Adds only, and filling twice is filling once.
    fn fill(object: &mut Value);

    /// Everything that is wrong with the object, or unwise. `old` is the object before this change.
    fn check(&self, old: Option<&Self>, settings: &Settings) -> Review;

    /// The names of the Secrets of the object's own namespace that must be read before deciding; `None` for kinds that
    /// name none.
    fn secrets(&self) -> Option<BTreeSet<String>> {
        None
    }

    /// What is wrong with the object in the light of what lives already: nobody could see that when it was applied.
    fn check_live(&self, _seen: &Seen<'_>) -> Vec<Issue> {
        vec![]
    }

    /// Everything that should exist for the object. What can fail is a check, so this cannot.
    fn desired(&self, seen: &Seen<'_>) -> Vec<Object>;

    /// What the object's status should be after applying what is desired.
    fn status(&self, seen: &Seen<'_>, outcome: &Outcome, now: Timestamp) -> Value;
}

/// What became of the five steps up to the status.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// What the guard found.
    pub review: Review,
    /// Names that are taken, and objects that the API server refused, each as a sentence.
    pub refused: Vec<Refusal>,
    /// Objects of kinds that the cluster does not serve, as `<Kind> <name>`.
    pub missing: Vec<String>,
    /// What a former object of the same kind and name left and the cluster has not collected yet. Until it has, nothing
    /// is applied: the names are taken by objects that go.
    pub leftover: Option<String>,
    /// Another of our kinds has the stack of this name: nothing is touched, and nothing that lives was looked at.
    pub rivaled: bool,
}

/// An object that could not be brought about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// A name is taken by someone else's object; otherwise the API server said no.
    pub conflict: bool,
    /// What and why, for a person.
    pub message: String,
}

/// A kind without its type, for those who only handle JSON.
#[derive(Clone, Copy)]
pub struct Form {
    /// Such as `llm.geeper.io`.
    pub group: &'static str,
    /// Such as `v1alpha1`.
    pub version: &'static str,
    /// Such as `LMDeployment`.
    pub kind: &'static str,
    /// Such as `lmdeployments`.
    pub plural: &'static str,
    /// [`Kind::fill`].
    pub fill: fn(&mut Value),
    /// Decodes and checks; `old` is the object before the change, and an issue that it had already, at a field that
    /// did not change, is left out. The error is the decoder's, for what does not fit the kind at all.
    pub review: fn(&Value, Option<&Value>, &Settings) -> Result<Review, String>,
    /// [`Kind::desired`] for an object whose models are there and whose servers are ready.
    pub render: fn(&Value, &Settings) -> Result<Vec<Object>, String>,
    /// The definition that the API server gets.
    pub crd: fn() -> CustomResourceDefinition,
}

impl Form {
    /// How the API server addresses the kind.
    #[must_use]
    pub fn resource(&self) -> ApiResource {
        ApiResource {
            group: self.group.into(),
            version: self.version.into(),
            api_version: format!("{}/{}", self.group, self.version),
            kind: self.kind.into(),
            plural: self.plural.into(),
        }
    }
}

/// Every kind there is.
#[must_use]
pub fn all() -> Vec<Form> {
    vec![
        form::<lmdeployment::LMDeployment>("llm.geeper.io", "LMDeployment", "lmdeployments"),
        form::<older::OllamaDeployment>("llm.geeper.io", "OllamaDeployment", "ollamadeployments"),
        form::<older::Deployment>("llm.geeper.io", "Deployment", "deployments"),
        form::<ollamamodel::OllamaModel>("ollama.smithforge.dev", "OllamaModel", "ollamamodels"),
    ]
}

/// The kind of a manifest, told by its `apiVersion` and `kind`.
#[must_use]
pub fn of(object: &Value) -> Option<Form> {
    let version = object.get("apiVersion")?.as_str()?;
    let kind = object.get("kind")?.as_str()?;
    all()
        .into_iter()
        .find(|f| f.kind == kind && version == format!("{}/{}", f.group, f.version))
}

fn form<K: Kind>(group: &'static str, kind: &'static str, plural: &'static str) -> Form {
    Form {
        group,
        version: "v1alpha1",
        kind,
        plural,
        fill: K::fill,
        review: review::<K>,
        render: render::<K>,
        crd: || crd::definition::<K>(K::NAMES),
    }
}

fn decode<K: Kind>(object: &Value) -> Result<K, String> {
    serde_json::from_value(object.clone()).map_err(|e| e.to_string())
}

fn review<K: Kind>(new: &Value, old: Option<&Value>, settings: &Settings) -> Result<Review, String> {
    let decoded: K = decode(new)?;
    // An old object that no longer decodes excuses nothing, and is no reason to refuse its repair.
    let before = old.and_then(|old| {
        let mut filled = old.clone();
        K::fill(&mut filled);
        decode::<K>(&filled).ok()
    });
    let review = decoded.check(before.as_ref(), settings);
    Ok(match (before, old) {
        (Some(before), Some(old)) => review.ratcheted(new, &before.check(None, settings), old),
        _ => review,
    })
}

/// A start has fewer steps than this.
const STEPS: usize = 8;

/// What waits for the rest of the stack comes only when that is there, so the rest is desired first, and is then ready.
fn render<K: Kind>(object: &Value, settings: &Settings) -> Result<Vec<Object>, String> {
    let decoded: K = decode(object)?;
    let text = |path: &str| object.pointer(path).and_then(Value::as_str).map(str::to_string);
    let owner = Owner {
        api_version: K::api_version(&()).into_owned(),
        kind: K::kind(&()).into_owned(),
        name: text("/metadata/name").unwrap_or_default(),
        namespace: text("/metadata/namespace").unwrap_or_else(|| "default".into()),
        uid: text("/metadata/uid").unwrap_or_default(),
    };
    let mut secrets = Secrets::default();
    for name in decoded.secrets().into_iter().flatten() {
        secrets.put(name, Some(Content::Any));
    }
    let desired = |live: &[DynamicObject]| {
        decoded.desired(&Seen {
            settings,
            owner: &owner,
            live,
            replicas: &[],
            secrets: &secrets,
            other: None,
            now: Timestamp::UNIX_EPOCH,
        })
    };
    let mut objects = desired(&[]);
    // Each step of a start waits for one before it, and there are few.
    for _ in 0..STEPS {
        let live: Vec<DynamicObject> = objects.iter().cloned().filter_map(ready).collect();
        let next = desired(&live);
        if next == objects {
            break;
        }
        objects = next;
    }
    Ok(objects)
}

/// The object as it is once the cluster has done its part: a model is there, a workload has all its replicas.
fn ready(object: Object) -> Option<DynamicObject> {
    let replicas = match object.counted {
        Some(counted) => counted.start.into(),
        None => object.body["spec"]["replicas"].clone(),
    };
    let mut live: DynamicObject = serde_json::from_value(object.body).ok()?;
    if object.counted.is_some() {
        live.data["spec"]["replicas"] = replicas.clone();
    }
    live.data["status"] = json!({
        "state": ModelState::Ready, "replicas": replicas, "updatedReplicas": replicas, "readyReplicas": replicas,
    });
    Some(live)
}

/// The rule on names, which is also at the root of the schema; a generated name does not exist yet.
fn check_name<K: Kind>(object: &K) -> Vec<Issue> {
    let NameRule { longest, label } = K::NAMES;
    let bad = |name: &&str| name.len() > longest || label && !names::is_dns_label(name, longest);
    let Some(name) = object.meta().name.as_deref().filter(bad) else {
        return vec![];
    };
    let detail = if label {
        format!("must be a DNS-1035 label of at most {longest} characters: lower case, digits and -, first a letter")
    } else {
        format!("must be a name of at most {longest} characters")
    };
    vec![Issue::invalid("metadata.name", "name", name, detail).fatal()]
}
