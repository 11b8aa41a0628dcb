//! A test's own place: a namespace of the shared cluster and a registry with tiny models that its pods can pull.

use super::objects::{Objects, condition, is_observed, restarts, uid};
use super::relay::Relay;
use super::{LIMIT, operator};
use anyhow::{Context, Result, bail, ensure};
use cluster::gguf::Model;
use cluster::registry::{Registry, Running};
use cluster::test::Namespace;
use cluster::{Cluster, Reply};
use serde_json::{Value, json};
use std::ops::Deref;

/// A place with the operator at work.
pub struct Stage {
    /// Where the objects of the test are.
    pub namespace: Namespace,
    /// Where its models come from.
    pub registry: Running,
    objects: Objects,
    relay: Relay,
}

impl Deref for Stage {
    type Target = Objects;

    fn deref(&self) -> &Objects {
        &self.objects
    }
}

impl Stage {
    /// A place in the shared cluster, beside its release.
    ///
    /// # Errors
    /// When there is no cluster, or the release cannot be installed.
    pub async fn shared(test: &str) -> Result<Self> {
        Self::on(operator::shared().await?, test).await
    }

    /// A place in a cluster. The registry has `library/tiny`, which answers, and `library/embed`, which embeds.
    ///
    /// # Errors
    /// When the namespace or the registry cannot be had.
    pub async fn on(cluster: &Cluster, test: &str) -> Result<Self> {
        let namespace = cluster.namespace(test).await?;
        let objects = Objects::new(cluster.client().await?, namespace.name());
        let registry = Registry::default();
        registry.add("library/tiny:latest", Model::llama())?;
        registry.add("library/embed:latest", Model::bert())?;
        let registry = registry.start_local().await?;
        let relay = Relay::start(cluster, registry.host().parse()?).await?;
        Ok(Self {
            namespace,
            registry,
            objects,
            relay,
        })
    }

    /// The cluster.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        self.namespace.cluster()
    }

    /// The name of a model of the registry, as pods know it, such as `10.0.0.1:5000/library/tiny`.
    #[must_use]
    pub fn model(&self, name: &str) -> String {
        format!("{}/library/{name}", self.relay.address)
    }

    /// An item of `spec.ollama.models` for it.
    #[must_use]
    pub fn item(&self, name: &str) -> Value {
        json!({"name": self.model(name), "insecure": true})
    }

    /// Applies a stack with this spec as `kubectl apply` does.
    ///
    /// # Errors
    /// What kubectl says, when it is refused.
    pub async fn stack(&self, name: &str, spec: &Value) -> Result<()> {
        let manifest = json!({
            "apiVersion": "llm.geeper.io/v1alpha1", "kind": "LMDeployment",
            "metadata": {"name": name}, "spec": spec,
        });
        self.namespace.apply(&manifest.to_string()).await.map(drop)
    }

    /// The object once it satisfies; when it never does, everything in the namespace is printed, and the operator's logs.
    ///
    /// # Errors
    /// When it does not within [`LIMIT`].
    pub async fn until(&self, what: &str, kind: &str, name: &str, is: impl Fn(&Value) -> bool) -> Result<Value> {
        let check = async || Ok(self.find(kind, name).await?.filter(|object| is(object)));
        let result = self
            .namespace
            .until(&format!("{kind} {name}: {what}"), LIMIT, check)
            .await;
        self.explained(result).await
    }

    /// The stack once the condition of its present spec has that status and reason.
    ///
    /// # Errors
    /// When it does not within [`LIMIT`].
    pub async fn told(&self, name: &str, kind: &str, status: &str, reason: &str) -> Result<Value> {
        let what = format!("{kind} is {status} for {reason}");
        let is = |object: &Value| is_observed(object) && condition(object, kind) == (status, reason);
        self.until(&what, "LMDeployment", name, is).await
    }

    /// The stack once it is Ready in its present form.
    ///
    /// # Errors
    /// When it is not within [`LIMIT`].
    pub async fn ready(&self, name: &str) -> Result<Value> {
        let is = |object: &Value| is_observed(object) && condition(object, "Ready").0 == "True";
        self.until("is Ready", "LMDeployment", name, is).await
    }

    /// Returns when the object does not exist.
    ///
    /// # Errors
    /// When it still does after [`LIMIT`].
    pub async fn gone(&self, kind: &str, name: &str) -> Result<()> {
        let check = async || Ok(self.find(kind, name).await?.is_none().then_some(()));
        let result = self
            .namespace
            .until(&format!("{kind} {name} is gone"), LIMIT, check)
            .await;
        self.explained(result).await
    }

    async fn explained<T>(&self, result: Result<T>) -> Result<T> {
        if result.is_err() {
            eprintln!("---- log of the operator\n{}", operator::logs(self.cluster()).await);
        }
        result
    }

    /// The pods of a component of a stack that are not going.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn pods(&self, stack: &str, component: &str) -> Result<Vec<Value>> {
        let labels = format!("app.kubernetes.io/instance={stack},app.kubernetes.io/component={component}");
        let mut pods = self.list("Pod", &labels).await?;
        pods.retain(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        Ok(pods)
    }

    /// The one pod of a component, as its uid and the number of its restarts.
    ///
    /// # Errors
    /// When there is not exactly one.
    pub async fn pod(&self, stack: &str, component: &str) -> Result<(String, i64)> {
        let pods = self.pods(stack, component).await?;
        let [pod] = &pods[..] else {
            bail!("{} pods of {component} in place of one", pods.len())
        };
        Ok((uid(pod).to_string(), restarts(pod)))
    }

    /// The `OllamaModel` of a model of the registry.
    ///
    /// # Errors
    /// When a stack has none for it.
    pub async fn child(&self, stack: &str, model: &str) -> Result<String> {
        let name = self.model(model);
        let labels = format!("llm-deployment={stack}");
        let check = async || {
            let all = self.list("OllamaModel", &labels).await?;
            let child = all.into_iter().find(|m| m["spec"]["name"] == name.as_str());
            Ok(child.map(|m| super::objects::name(&m).to_string()))
        };
        self.namespace
            .until(&format!("an OllamaModel for {name}"), LIMIT, check)
            .await
    }

    /// The names that the start-up gate of a stack asks for.
    ///
    /// # Errors
    /// When there is no gate.
    pub async fn gate(&self, stack: &str) -> Result<Vec<String>> {
        let map = self.get("ConfigMap", &format!("{stack}-ollama-models")).await?;
        let text = map["data"]["required"].as_str().context("the gate has no list")?;
        Ok(text.lines().map(str::to_string).collect())
    }

    /// Asks a model through the Service of the stack, and returns its streamed answer, piece by piece. The node's rules
    /// for a Service follow its endpoints within a second, so a refused connection is tried again.
    ///
    /// # Errors
    /// When it does not answer to the end.
    pub async fn ask(&self, stack: &str, model: &str) -> Result<Vec<String>> {
        let url = format!("http://{stack}-ollama.{}.svc:11434/api/generate", self.namespace.name());
        let question =
            json!({"model": model, "prompt": "why?", "stream": true, "options": {"num_predict": 8, "seed": 1}});
        let mut reply = self.request("POST", &url, Some(&question)).await?;
        if reply.status != 200 {
            let status = reply.status;
            bail!("status {status}: {}", reply.text().await?);
        }
        let (mut pieces, mut done) = (vec![], false);
        while let Some(line) = reply.line().await? {
            let line: Value = serde_json::from_str(&line)?;
            pieces.extend(line["response"].as_str().filter(|r| !r.is_empty()).map(str::to_string));
            done |= line["done"] == true;
        }
        ensure!(done, "the answer was cut short: {pieces:?}");
        Ok(pieces)
    }

    /// Sends a request to a Service of the namespace, as soon as somebody takes the connection.
    ///
    /// # Errors
    /// When nobody does within [`LIMIT`].
    pub async fn request(&self, method: &str, url: &str, body: Option<&Value>) -> Result<Reply> {
        let send = async || Ok(Some(self.cluster().http(method, url, body).await?));
        self.namespace.until(&format!("an answer of {url}"), LIMIT, send).await
    }
}
