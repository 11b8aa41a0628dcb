//! A user whose only rights are those on our kinds, in one namespace.

use super::live::stage::Stage;
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::ops::Deref;
use std::process::Output;

/// The tenant and its place.
pub struct Tenant {
    stage: Stage,
    user: String,
}

impl Deref for Tenant {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.stage
    }
}

impl Tenant {
    /// One in a namespace of the shared cluster, beside its release.
    ///
    /// # Errors
    /// When there is no cluster, or the rights cannot be given.
    pub async fn new(test: &str) -> Result<Self> {
        let stage = Stage::shared(test).await?;
        let namespace = stage.namespace.name().to_string();
        let all = ["get", "list", "watch", "create", "update", "patch", "delete"];
        let of = |group: &str, resources: &[&str]| json!({"apiGroups": [group], "resources": resources, "verbs": all});
        let rules = [
            of("llm.geeper.io", &["lmdeployments", "ollamadeployments", "deployments"]),
            of("ollama.smithforge.dev", &["ollamamodels"]),
        ];
        let subject = json!({"kind": "ServiceAccount", "name": "tenant", "namespace": namespace});
        let group = "rbac.authorization.k8s.io";
        let objects = [
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "tenant"}}),
            json!({"apiVersion": format!("{group}/v1"), "kind": "Role", "metadata": {"name": "tenant"}, "rules": rules}),
            json!({
                "apiVersion": format!("{group}/v1"), "kind": "RoleBinding", "metadata": {"name": "tenant"},
                "roleRef": {"apiGroup": group, "kind": "Role", "name": "tenant"}, "subjects": [subject],
            }),
        ];
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        stage.namespace.apply(&list.to_string()).await?;
        let user = format!("system:serviceaccount:{namespace}:tenant");
        Ok(Self { stage, user })
    }

    /// What kubectl says to the tenant.
    ///
    /// # Errors
    /// When it cannot be run.
    pub async fn kubectl(&self, arguments: &[&str], stdin: &str) -> Result<Output> {
        let place = ["--as", &self.user, "--namespace", self.namespace.name()];
        let cluster = self.cluster();
        cluster.kubectl_output(&[&place[..], arguments].concat(), stdin).await
    }

    /// Sends a new object to the API server, which must refuse it, and returns what it says.
    ///
    /// # Errors
    /// When the object was taken.
    pub async fn refused(&self, object: &Value) -> Result<String> {
        let output = self.kubectl(&["create", "-f", "-"], &object.to_string()).await?;
        let said = String::from_utf8_lossy(&output.stderr).trim().to_string();
        ensure!(!output.status.success(), "it was taken: {object}");
        Ok(said)
    }

    /// Makes an object.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn creates(&self, object: &Value) -> Result<()> {
        let output = self.kubectl(&["create", "-f", "-"], &object.to_string()).await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "it was refused: {said}\n{object}");
        Ok(())
    }

    /// What is there besides what every namespace has and what the tenant is.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn made(&self) -> Result<Vec<String>> {
        let mut all = vec![];
        for kind in [
            "LMDeployment",
            "OllamaModel",
            "Deployment",
            "StatefulSet",
            "Service",
            "Secret",
            "Pod",
        ] {
            let found = self.list(kind, "").await?;
            all.extend(
                found
                    .iter()
                    .map(|o| format!("{kind}/{}", super::live::objects::name(o))),
            );
        }
        Ok(all)
    }
}

/// A stack.
pub fn stack(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "llm.geeper.io/v1alpha1", "kind": "LMDeployment", "metadata": {"name": name}, "spec": spec})
}

/// A model.
pub fn model(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "ollama.smithforge.dev/v1alpha1", "kind": "OllamaModel", "metadata": {"name": name}, "spec": spec,
    })
}
