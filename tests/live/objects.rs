//! Objects of any kind as JSON, by the names that `kubectl` takes.

use anyhow::{Context, Result, bail};
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::discovery::ApiResource;
use kube::{Api, Client};
use serde_json::{Value, json};

/// Group, version, kind and plural of what the tests look at.
const KINDS: [(&str, &str, &str, &str); 19] = [
    ("llm.geeper.io", "v1alpha1", "LMDeployment", "lmdeployments"),
    ("ollama.smithforge.dev", "v1alpha1", "OllamaModel", "ollamamodels"),
    ("llm.geeper.io", "v1alpha1", "OllamaDeployment", "ollamadeployments"),
    ("apps", "v1", "Deployment", "deployments"),
    ("apps", "v1", "ReplicaSet", "replicasets"),
    ("apps", "v1", "StatefulSet", "statefulsets"),
    ("", "v1", "Pod", "pods"),
    ("", "v1", "Service", "services"),
    ("", "v1", "ServiceAccount", "serviceaccounts"),
    ("", "v1", "ConfigMap", "configmaps"),
    ("", "v1", "Secret", "secrets"),
    ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
    ("", "v1", "Event", "events"),
    ("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies"),
    ("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    (
        "autoscaling",
        "v2",
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
    ),
    ("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes"),
    ("networking.k8s.io", "v1", "Ingress", "ingresses"),
    ("coordination.k8s.io", "v1", "Lease", "leases"),
];

/// The objects of one namespace.
#[derive(Clone)]
pub struct Objects {
    client: Client,
    namespace: String,
}

impl Objects {
    /// With the rights of that client.
    #[must_use]
    pub fn new(client: Client, namespace: &str) -> Self {
        Self {
            client,
            namespace: namespace.into(),
        }
    }

    /// The API of a kind, such as `Pod`.
    ///
    /// # Errors
    /// When the table above has no such kind.
    pub fn api(&self, kind: &str) -> Result<Api<DynamicObject>> {
        let Some((group, version, kind, plural)) = KINDS.iter().find(|k| k.2 == kind) else {
            bail!("the tests know no kind {kind}")
        };
        let api_version = if group.is_empty() {
            (*version).to_string()
        } else {
            format!("{group}/{version}")
        };
        let resource = ApiResource {
            group: (*group).into(),
            version: (*version).into(),
            api_version,
            kind: (*kind).into(),
            plural: (*plural).into(),
        };
        Ok(Api::namespaced_with(self.client.clone(), &self.namespace, &resource))
    }

    /// The object, if it exists.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn find(&self, kind: &str, name: &str) -> Result<Option<Value>> {
        let found = self.api(kind)?.get_opt(name).await?;
        Ok(found.map(|object| json!(object)))
    }

    /// The object.
    ///
    /// # Errors
    /// When it does not exist.
    pub async fn get(&self, kind: &str, name: &str) -> Result<Value> {
        let found = self.find(kind, name).await?;
        found.with_context(|| format!("there is no {kind} {name}"))
    }

    /// The objects with these labels, as `key=value,...`.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn list(&self, kind: &str, labels: &str) -> Result<Vec<Value>> {
        let list = self.api(kind)?.list(&ListParams::default().labels(labels)).await?;
        Ok(list.items.into_iter().map(|object| json!(object)).collect())
    }

    /// Deletes it and what belongs to it, without waiting.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn delete(&self, kind: &str, name: &str) -> Result<()> {
        self.api(kind)?.delete(name, &DeleteParams::background()).await?;
        Ok(())
    }

    /// Changes fields by a merge patch.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn merge(&self, kind: &str, name: &str, patch: &Value) -> Result<Value> {
        let api = self.api(kind)?;
        let object = api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(json!(object))
    }
}

/// The status and the reason of a condition; empty when it has none.
#[must_use]
pub fn condition<'a>(object: &'a Value, kind: &str) -> (&'a str, &'a str) {
    let all = object["status"]["conditions"].as_array();
    let found = all.into_iter().flatten().find(|c| c["type"] == kind);
    let text = |field: &str| found.and_then(|c| c[field].as_str()).unwrap_or_default();
    (text("status"), text("reason"))
}

/// The message of a condition; empty when it has none.
#[must_use]
pub fn message<'a>(object: &'a Value, kind: &str) -> &'a str {
    let all = object["status"]["conditions"].as_array();
    let found = all.into_iter().flatten().find(|c| c["type"] == kind);
    found.and_then(|c| c["message"].as_str()).unwrap_or_default()
}

/// True when its status is about its present spec.
#[must_use]
pub fn is_observed(object: &Value) -> bool {
    object["status"]["observedGeneration"] == object["metadata"]["generation"]
}

/// The names of objects, sorted.
#[must_use]
pub fn names(objects: &[Value]) -> Vec<&str> {
    let mut names: Vec<&str> = objects.iter().map(name).collect();
    names.sort_unstable();
    names
}

/// The name of an object.
#[must_use]
pub fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// The uid of an object.
#[must_use]
pub fn uid(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().unwrap_or_default()
}

/// How often the containers of a pod were restarted.
#[must_use]
pub fn restarts(pod: &Value) -> i64 {
    let all = pod["status"]["containerStatuses"].as_array();
    all.into_iter()
        .flatten()
        .filter_map(|c| c["restartCount"].as_i64())
        .sum()
}
