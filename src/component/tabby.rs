//! Tabby: code completion and chat in the editor, on models that an Ollama serves.

pub mod config;
mod objects;
mod rules;

use super::common::persistence::{Volume, fill_persistence};
use super::common::service::fill_service;
use super::common::{Common, GatewaySpec, IngressSpec, Persistence, gateway, ingress};
use crate::base::model::ModelName;
use crate::base::seen::Seen;
use config::Models;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use validator::Validate;

/// The component's name; also that of its container.
pub const NAME: &str = "tabby";
/// Where the server listens, whatever the Service says.
pub const PORT: i32 = 8080;
/// The size of a claim where the manifest gives none.
pub const SIZE: &str = "10Gi";
/// The embedding model where the manifest names none: Tabby's own local one crashes without CUDA (facts, products 4.1).
pub const EMBEDDING: &str = "nomic-embed-text";

/// The one writable volume.
const DATA: &str = "/data";
/// Where the mounted configuration is.
const CONFIG: &str = "/data/config.toml";
/// The variable, and the key of the Secret, that signs log-ins.
const TOKEN: &str = "TABBY_WEBSERVER_JWT_TOKEN_SECRET";

/// Tabby.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::schema()))]
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
    /// How it is reached from outside through a Gateway of the Gateway API. Default: not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    pub gateway: Option<GatewaySpec>,
}

/// What Tabby runs local models on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(transform = crate::base::crd::choice)]
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
        fill_service(block, PORT);
        fill_persistence(block, SIZE);
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
        self.common.effective_image(seen, &seen.settings.defaults.images.tabby)
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

    /// The Service of another Ollama, where one is named; naming the stack's own, `own`, says nothing.
    #[must_use]
    pub fn elsewhere(&self, own: &str) -> Option<&str> {
        self.ollama_service_name.as_deref().filter(|name| *name != own)
    }

    /// The address that browsers use, where it is known.
    #[must_use]
    pub fn address(&self) -> Option<String> {
        let ingress = ingress::exposure(&self.common, self.ingress.as_ref());
        gateway::address(ingress, self.gateway.as_ref())
    }

    /// Where accounts and indexes are kept, where they are kept.
    #[must_use]
    pub fn volume(&self) -> Option<Volume<'_>> {
        Volume::of(self.persistence.as_ref(), &self.common, SIZE)
    }
}
