//! Tabby: code completion and chat in the editor, on models that an Ollama serves.

pub mod config;

use super::common::check::{self, Subject};
use super::common::pod::Pod;
use super::common::{Common, IngressSpec, NetworkPolicySpec, Persistence, network};
use crate::base::issue::{Concern, Issue, Review};
use crate::base::model::ModelName;
use crate::base::object::{self, Form, Generated, Object, merge};
use crate::base::quantity::Quantity;
use crate::base::seen::Seen;
use crate::base::{hash, image};
use config::Models;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Secret};
use k8s_openapi::api::networking::v1::Ingress;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use validator::Validate;

/// The component's name; also that of its container.
pub const NAME: &str = "tabby";
/// Where the server listens, whatever the Service says.
pub const PORT: i32 = 8080;
/// The size of a claim where the manifest gives none.
pub const SIZE: &str = "10Gi";
/// The embedding model where the manifest names none: Tabby's own local one crashes without CUDA (facts, products 4.1).
pub const EMBEDDING: &str = "nomic-embed-text";

const DATA: &str = "/data";
const UID: i64 = 10001;
const TOKEN: &str = "TABBY_WEBSERVER_JWT_TOKEN_SECRET";

/// Tabby makes its root private and dies where it does not own it, so the root is a folder that it makes itself, with
/// the mounted configuration linked into it (facts, products 4.1).
const START: &str = r#"mkdir -p "$TABBY_ROOT" && ln -sf /data/config.toml "$TABBY_ROOT/config.toml" && exec /opt/tabby/bin/tabby serve "$@""#;

/// Tabby.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct TabbySpec {
    /// The fields that every component has. Tabby is off unless `enabled` is true.
    #[serde(flatten)]
    #[validate(nested)]
    pub common: Common,
    /// Number of servers; one with persistence, since they keep their data in SQLite. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(range(min = 1, max = 5))]
    pub replicas: Option<i32>,
    /// The model for chat, one of `ollama.models`. Default: the first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 512))]
    pub chat_model: Option<String>,
    /// The model for completion, one of `ollama.models`, with a fill-in-the-middle template. Default: the first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 512))]
    pub completion_model: Option<String>,
    /// The model for embeddings; pulled even when not listed. Default: nomic-embed-text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 512))]
    pub embedding_model: Option<String>,
    /// Deprecated: stands for `chatModel` and `completionModel` where they are unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 512))]
    pub model_name: Option<String>,
    /// The Service of another Ollama of the namespace. Default: the stack's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 63))]
    pub ollama_service_name: Option<String>,
    /// The port of that Service. Default: 11434, or the stack's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(range(min = 1, max = 65535))]
    pub ollama_service_port: Option<i32>,
    /// What local models would run on. Default: cpu.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<Device>,
    /// Where accounts and indexes are kept. Default: off, size 10Gi.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    pub persistence: Option<Persistence>,
    /// How it is reached from outside. Default: not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    pub ingress: Option<IngressSpec>,
}

/// What Tabby runs local models on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// NVIDIA.
    Cuda,
    /// AMD.
    Rocm,
    /// Vulkan.
    Vulkan,
    /// Apple.
    Metal,
}

impl TabbySpec {
    /// Writes constant defaults into the block.
    pub fn fill(block: &mut Map<String, Value>) {
        block.entry("replicas").or_insert(1.into());
        block.entry("device").or_insert("cpu".into());
        super::common::fill_service(block, PORT);
        super::common::fill_persistence(block, SIZE);
    }

    /// True when Tabby runs.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.common.enabled == Some(true)
    }

    /// Number of servers.
    #[must_use]
    pub fn replicas(&self) -> i32 {
        self.replicas.unwrap_or(1)
    }

    /// The image that runs.
    #[must_use]
    pub fn image(&self, seen: &Seen<'_>) -> String {
        let defaults = &seen.settings.defaults;
        let common = &self.common;
        image::effective(
            common.image.as_deref(),
            common.image_tag.as_deref(),
            &defaults.images.tabby,
            &defaults.image_registry,
        )
    }

    /// The models it uses, given those of the stack in their order; `None` where there is none to use.
    #[must_use]
    pub fn models(&self, listed: &[ModelName]) -> Option<Models> {
        let named = |field: &Option<String>| {
            let text = field.as_deref().or(self.model_name.as_deref());
            text.and_then(|t| ModelName::parse(t).ok())
                .or_else(|| listed.first().cloned())
        };
        Some(Models {
            chat: named(&self.chat_model)?,
            completion: named(&self.completion_model)?,
            embedding: ModelName::parse(self.embedding_model.as_deref().unwrap_or(EMBEDDING)).ok()?,
        })
    }

    /// Every rule on the block, given the models of the stack; `old` is the block before the change, where it was on.
    #[must_use]
    pub fn check(&self, path: &str, listed: &[ModelName], old: Option<&Self>, allow_unsafe: bool) -> Review {
        let mut review = Review {
            issues: check::bounds(path, self),
            warnings: vec![],
        };
        review.extend(check::common(&Subject {
            path,
            common: &self.common,
            component: NAME,
            variables: &[("TABBY_ROOT", None), ("HOME", None), (TOKEN, None)],
            useless: &["TABBY_HOST", "TABBY_PORT", "TABBY_LOG_LEVEL"],
            volumes: &[("data", DATA), ("config", "/data/config.toml"), ("tmp", "/tmp")],
            allow_unsafe,
        }));
        self.check_models(path, listed, &mut review);
        if let Some(ingress) = self.exposure() {
            review
                .issues
                .extend(check::ingress(&format!("{path}.ingress"), &ingress));
        }
        self.check_replicas(path, old, &mut review);
        review
    }

    fn check_models(&self, path: &str, listed: &[ModelName], review: &mut Review) {
        let elsewhere = self.ollama_service_name.is_some();
        let fields = [
            ("chatModel", &self.chat_model, true),
            ("completionModel", &self.completion_model, true),
            ("modelName", &self.model_name, true),
            ("embeddingModel", &self.embedding_model, false),
        ];
        for (field, value, member) in fields {
            let Some(value) = value.as_deref() else { continue };
            let at = format!("{path}.{field}");
            match ModelName::parse(value) {
                Err(why) => review.issues.push(Issue::invalid(at, "model-name", value, why).fatal()),
                Ok(name) if member && !elsewhere && !listed.iter().any(|l| l.key() == name.key()) => {
                    review
                        .issues
                        .push(Issue::invalid(at, "model-member", value, membership(listed)));
                }
                Ok(_) => {}
            }
        }
        if elsewhere {
            review.warn(
                Concern::NoEffect,
                format!("{path}.ollamaServiceName: the models of that Ollama are not checked"),
            );
        }
        match self.models(listed) {
            None => review.issues.push(
                Issue::required(
                    format!("{path}.chatModel"),
                    "model-none",
                    "Tabby has no model to use; list one in spec.ollama.models, or name chatModel and completionModel \
                     of the Ollama that ollamaServiceName names",
                )
                .fatal(),
            ),
            Some(models) if config::template(&models.completion).is_none() => review.warn(
                Concern::NoEffect,
                format!(
                    "{} has no known fill-in-the-middle template: completion by Tabby will be poor",
                    models.completion
                ),
            ),
            Some(_) => {}
        }
    }

    fn check_replicas(&self, path: &str, old: Option<&Self>, review: &mut Review) {
        let persistent = self.persistence.as_ref().filter(|p| p.is_on());
        if let Some(persistence) = persistent {
            review.issues.extend(check::persistence(
                path,
                persistence,
                old.and_then(|o| o.persistence.as_ref()),
            ));
        }
        if self.replicas() > 1 && persistent.is_some() {
            let detail = "must be 1 with persistence: Tabby keeps its data in SQLite, which one server may write";
            review
                .issues
                .push(Issue::invalid(format!("{path}.replicas"), "sqlite", self.replicas(), detail).fatal());
        } else if self.replicas() > 1 {
            review.warn(
                Concern::DataLoss,
                format!("{path}.replicas: each server has accounts and indexes of its own"),
            );
        }
    }

    /// The Ingress that is asked for, nested fields before flat ones.
    fn exposure(&self) -> Option<IngressSpec> {
        let mut ingress = self.ingress.clone().unwrap_or_default();
        ingress.enabled = ingress.enabled.or(self.common.ingress_enabled);
        ingress.host = ingress.host.or_else(|| self.common.ingress_host.clone());
        (self.ingress.is_some() || ingress.enabled.is_some() || ingress.host.is_some()).then_some(ingress)
    }

    /// Everything that should exist for the servers; they themselves only with `start`, since they die without their
    /// models.
    #[must_use]
    pub fn objects(
        &self,
        seen: &Seen<'_>,
        policy: &NetworkPolicySpec,
        models: &Models,
        ollama: &str,
        start: bool,
    ) -> Vec<Object> {
        let config = models.toml(ollama);
        let pod = self.pod(seen, &hash::short(&config, 16));
        let data = json!({"data": {"config.toml": config}});
        let secret = seen
            .owner
            .object::<Secret>(NAME, &format!("{}-secret", pod.name), json!({"type": "Opaque"}));
        let secret = secret.generated(vec![Generated {
            key: TOKEN,
            form: Form::Uuid,
        }]);
        // What signs the log-ins lives as long as the accounts do.
        let keeps = self.persistence.as_ref().is_some_and(|p| p.is_on() && p.retains());
        let mut service = pod.service();
        if self.replicas() > 1 {
            // Each server knows only the accounts that were made on it.
            merge(&mut service.body, json!({"spec": {"sessionAffinity": "ClientIP"}}));
        }
        let mut objects = vec![
            seen.owner
                .object::<ConfigMap>(NAME, &format!("{}-config", pod.name), data),
            if keeps { secret.retained(seen.owner) } else { secret },
            service,
        ];
        objects.extend(pod.account());
        objects.extend(network::policy(&pod, policy, None));
        objects.extend(pod.budget(self.replicas()));
        objects.extend(self.claim(seen, &pod.name));
        objects.extend(
            self.exposure()
                .filter(IngressSpec::is_on)
                .map(|i| self.ingress(seen, &pod, &i)),
        );
        objects.extend(start.then(|| pod.deployment(self.replicas(), json!({"type": "Recreate"}), 1800)));
        objects
    }

    fn pod<'a>(&'a self, seen: &Seen<'a>, config: &str) -> Pod<'a> {
        let name = format!("{}-{NAME}", seen.owner.name);
        let mut args = vec![json!("--device"), json!(self.device.unwrap_or_default())];
        args.extend(self.common.extra_args.iter().flatten().map(|a| json!(a)));
        let claim = match self.persistence.as_ref().filter(|p| p.is_on()) {
            None => json!({"name": "data", "emptyDir": {}}),
            Some(p) => json!({"name": "data", "persistentVolumeClaim": {
                "claimName": p.existing_claim.clone().unwrap_or_else(|| format!("{name}-data")),
            }}),
        };
        let probe = json!({"path": "/metrics", "port": "http"});
        Pod {
            owner: seen.owner,
            component: NAME,
            common: &self.common,
            image: self.image(seen),
            port: PORT,
            uid: UID,
            // `/v1/health` asks for a token; `/metrics` does not (facts, products 4.1).
            container: json!({
                "command": ["/bin/sh", "-c", START, NAME],
                "args": args,
                "startupProbe": {"httpGet": probe, "periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 120},
                "readinessProbe": {"httpGet": probe, "periodSeconds": 5, "timeoutSeconds": 5},
                "livenessProbe": {"httpGet": probe, "periodSeconds": 20, "timeoutSeconds": 10, "failureThreshold": 6},
            }),
            env: vec![
                json!({"name": "TABBY_ROOT", "value": format!("{DATA}/tabby")}),
                json!({"name": "HOME", "value": format!("{DATA}/tabby")}),
                json!({"name": "TABBY_DISABLE_USAGE_COLLECTION", "value": "1"}),
                json!({"name": TOKEN, "valueFrom": {"secretKeyRef": {"name": format!("{name}-secret"), "key": TOKEN}}}),
            ],
            volumes: vec![
                claim,
                json!({"name": "config", "configMap": {"name": format!("{name}-config")}}),
                json!({"name": "tmp", "emptyDir": {}}),
            ],
            mounts: vec![
                json!({"name": "data", "mountPath": DATA}),
                json!({"name": "config", "mountPath": "/data/config.toml", "subPath": "config.toml", "readOnly": true}),
                json!({"name": "tmp", "mountPath": "/tmp"}),
            ],
            resources: json!({"requests": {"cpu": "100m", "memory": "512Mi"}}),
            tolerations: vec![],
            annotations: Map::from_iter([("llm.geeper.io/config-hash".to_string(), json!(config))]),
            grace: 30,
            name,
        }
    }

    fn claim(&self, seen: &Seen<'_>, workload: &str) -> Option<Object> {
        let persistence = self
            .persistence
            .as_ref()
            .filter(|p| p.is_on() && p.existing_claim.is_none())?;
        let name = format!("{workload}-data");
        let mut spec = persistence.claim(SIZE);
        // A claim that was grown by hand, or kept from a larger one, stays as large as it is.
        let live = object::find::<PersistentVolumeClaim>(seen.live, &name);
        let size = live.map(|l| l.data["spec"]["resources"]["requests"]["storage"].clone());
        if let Some(size) =
            size.filter(|s| Quantity::parse(s).ok() > Quantity::parse(&spec["resources"]["requests"]["storage"]).ok())
        {
            spec["resources"]["requests"]["storage"] = size;
        }
        let claim = seen
            .owner
            .object::<PersistentVolumeClaim>(NAME, &name, json!({"spec": spec}));
        Some(if persistence.retains() {
            claim.retained(seen.owner)
        } else {
            claim
        })
    }

    fn ingress(&self, seen: &Seen<'_>, pod: &Pod<'_>, ingress: &IngressSpec) -> Object {
        let tls = ingress
            .tls
            .as_ref()
            .map(|tls| if tls.is_array() { tls.clone() } else { json!([tls]) });
        let mut spec = json!({"rules": [{"host": ingress.host, "http": {"paths": [{
            "path": ingress.path.as_deref().unwrap_or("/"),
            "pathType": "Prefix",
            "backend": {"service": {"name": pod.name, "port": {"name": "http"}}},
        }]}}]});
        merge(&mut spec, json!({"ingressClassName": ingress.class_name, "tls": tls}));
        let fields = json!({"metadata": {"annotations": ingress.annotations}, "spec": spec});
        seen.owner
            .object::<Ingress>(NAME, &format!("{}-ingress", pod.name), fields)
    }

    /// True when the servers exist already: whatever happens to a model then, they stay.
    #[must_use]
    pub fn exists(seen: &Seen<'_>) -> bool {
        object::find::<Deployment>(seen.live, &format!("{}-{NAME}", seen.owner.name)).is_some()
    }
}

fn membership(listed: &[ModelName]) -> String {
    let names: Vec<String> = listed.iter().map(ModelName::short).collect();
    if names.is_empty() {
        return "is not in spec.ollama.models, which is empty; add it there".into();
    }
    format!(
        "is not in spec.ollama.models; use one of {}, or add it there",
        names.join(", ")
    )
}
