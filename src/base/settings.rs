//! What an installation decides for all objects: the file that the chart renders.

use serde::Deserialize;

/// The settings file. Every field has a default, so an empty file is a good one.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    /// Which kinds are looked after.
    pub kinds: Kinds,
    /// Built-in images.
    pub defaults: Defaults,
    /// What users may do.
    pub policy: Policy,
    /// How the webhooks answer.
    pub webhook: Webhook,
    /// How models are pulled.
    pub models: Models,
    /// The namespace that the operator runs in; told by the command line, not by the file.
    #[serde(skip)]
    pub namespace: String,
}

/// Which kinds are looked after.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Kinds {
    /// The older names of `LMDeployment` as well.
    pub legacy_names: bool,
}

impl Default for Kinds {
    fn default() -> Self {
        Self { legacy_names: true }
    }
}

/// Built-in images.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Defaults {
    /// A registry, and perhaps a path, put in front of every built-in image: a mirror.
    pub image_registry: String,
    /// The built-in images.
    pub images: Images,
}

/// The images that run where a manifest names none.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Images {
    /// Ollama.
    pub ollama: String,
    /// Tabby.
    pub tabby: String,
    /// Open WebUI.
    pub openwebui: String,
    /// Redis, for several Open WebUI.
    pub redis: String,
    /// PostgreSQL with pgvector, for several Open WebUI.
    pub postgres: String,
    /// Pipelines, beside Open WebUI.
    pub pipelines: String,
}

impl Default for Images {
    fn default() -> Self {
        Self {
            ollama: "ollama/ollama:0.32.15".into(),
            tabby: "tabbyml/tabby:0.32.0".into(),
            openwebui: "ghcr.io/open-webui/open-webui:0.12.4".into(),
            redis: "redis:8-alpine".into(),
            postgres: "pgvector/pgvector:pg17".into(),
            pipelines: "ghcr.io/open-webui/pipelines:main".into(),
        }
    }
}

/// What users may do.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Policy {
    /// Pods that reach further than their namespace (host paths, privileges, host namespaces) are not refused.
    pub allow_unsafe_pods: bool,
}

/// How the webhooks answer.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Webhook {
    /// The mutating webhook already refuses what is wrong, so that all errors come in one answer.
    pub refuse_in_mutating: bool,
}

impl Default for Webhook {
    fn default() -> Self {
        Self {
            refuse_in_mutating: true,
        }
    }
}

/// How models are pulled.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Models {
    /// Pulls at a time into one pod.
    pub pulls_per_pod: usize,
    /// Pulls at a time in all.
    pub pulls: usize,
    /// Each server is asked for its models this often, give or take a fifth. Seconds.
    pub verify_seconds: u64,
    /// A pull without a new byte for this long is cut and begun again. Seconds.
    pub stall_seconds: u64,
    /// A server that cannot be reached holds the deletion of an `OllamaModel` for at most this long. Seconds.
    pub release_seconds: u64,
    /// The Ollama of models that name no target.
    pub api_url: String,
    /// What `spec.target.url` may be: `http://host[:port]`, or `http://*.domain[:port]`.
    pub allowed_urls: Vec<String>,
    /// The namespaces that may make derived models on `api_url`, which all namespaces share.
    pub derived_namespaces: Vec<String>,
}

impl Default for Models {
    fn default() -> Self {
        Self {
            pulls_per_pod: 2,
            pulls: 8,
            verify_seconds: 600,
            stall_seconds: 60,
            release_seconds: 600,
            api_url: "http://localhost:11434".into(),
            allowed_urls: vec![],
            derived_namespaces: vec![],
        }
    }
}
