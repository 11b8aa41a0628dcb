//! Ollama: the servers that hold the models and answer.

mod gate;
pub mod models;
mod pods;
mod rules;
mod storage;
mod workloads;

use super::common::persistence::{Volume, fill_persistence};
use super::common::service::fill_service;
use super::common::{AutoscalingSpec, Common, Persistence};
use crate::base::image;
use crate::base::seen::Seen;
pub use gate::{GATE_OPENED, Gate, REQUIRED};
use kube::core::DynamicObject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use validator::Validate;
pub use workloads::finds_no_room;

/// The component's name; also that of its container.
pub const NAME: &str = "ollama";
/// Where the server listens, whatever the Service says.
pub const PORT: i32 = 11434;
/// The size of a claim where the manifest gives none.
pub const SIZE: &str = "50Gi";
/// The most servers of a stack.
const HIGHEST: i32 = 10;
/// Seconds that running answers get when a pod stops (SIGTERM alone cuts them at once: facts, testbed-images 4).
pub const DRAIN: i32 = 30;

/// Where HOME and the models are: the one writable volume.
const DATA: &str = "/data";
/// Where the list of required models is.
const GATE: &str = "/etc/llm-operator/models";

/// Ollama servers and the models on them.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::schema()))]
pub struct OllamaSpec {
    /// The fields that every component has. Ollama is on unless `enabled` is false.
    #[serde(flatten)]
    #[validate(nested)]
    pub common: Common,
    /// Number of servers, each with all models. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(range(min = 1, max = 10))]
    pub replicas: Option<i32>,
    /// Models to pull: each a string `name[:tag]`, or an object `{name, tag, pullPolicy, insecure}`. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 256))]
    #[schemars(schema_with = "crate::base::crd::anything")]
    pub models: Option<Vec<Value>>,
    /// Where the models are kept. Default: off (pulled again for every new pod), size 50Gi.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    pub persistence: Option<Persistence>,
    /// Whether load decides how many servers run. Default: off.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    pub autoscaling: Option<AutoscalingSpec>,
    /// GPUs of each server. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    pub gpu: Option<Gpu>,
    /// Seconds that running answers get when a pod stops; 0 cuts them. Default: 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(range(min = 0, max = 3600))]
    pub drain_seconds: Option<i32>,
    /// How long a model stays loaded (OLLAMA_KEEP_ALIVE), such as `10m`, seconds, or -1 for ever. Default: 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::base::crd::quantity")]
    pub keep_alive: Option<Value>,
    /// Answers at a time for each model (OLLAMA_NUM_PARALLEL). Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(range(min = 1, max = 256))]
    pub num_parallel: Option<i32>,
    /// Models loaded at a time (OLLAMA_MAX_LOADED_MODELS). Default: 3 for each GPU, or 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(range(min = 1, max = 256))]
    pub max_loaded_models: Option<i32>,
    /// Requests that wait at most (OLLAMA_MAX_QUEUE). Default: 512.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(range(min = 1, max = 65536))]
    pub max_queue: Option<i32>,
    /// Tokens of context (OLLAMA_CONTEXT_LENGTH). Default: by the memory of the GPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(range(min = 1, max = 16_777_216))]
    pub context_length: Option<i32>,
    /// Flash attention (OLLAMA_FLASH_ATTENTION). Default: Ollama's own choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flash_attention: Option<bool>,
    /// Type of the KV cache (OLLAMA_KV_CACHE_TYPE). Default: f16.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv_cache_type: Option<KvCacheType>,
}

/// GPUs of each server.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct Gpu {
    /// Who made them; picks the image variant and the resource.
    pub vendor: Vendor,
    /// How many. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(range(min = 1, max = 64))]
    pub count: Option<i32>,
    /// The extended resource, such as `nvidia.com/mig-1g.10gb`. Default: nvidia.com/gpu or amd.com/gpu.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 3, max = 253))]
    pub resource_name: Option<String>,
}

/// Makers of GPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(transform = crate::base::crd::choice)]
#[serde(rename_all = "lowercase")]
pub enum Vendor {
    /// NVIDIA.
    Nvidia,
    /// AMD; another image variant.
    Amd,
}

/// Types of the KV cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(transform = crate::base::crd::choice)]
#[serde(rename_all = "snake_case")]
pub enum KvCacheType {
    /// Half precision.
    F16,
    /// Eight bits.
    #[serde(rename = "q8_0")]
    Q8,
    /// Four bits.
    #[serde(rename = "q4_0")]
    Q4,
}

impl Vendor {
    /// The resource of a whole GPU.
    #[must_use]
    pub fn resource(self) -> &'static str {
        match self {
            Self::Nvidia => "nvidia.com/gpu",
            Self::Amd => "amd.com/gpu",
        }
    }
}

impl Gpu {
    /// The extended resource.
    #[must_use]
    pub fn resource(&self) -> &str {
        self.resource_name.as_deref().unwrap_or(self.vendor.resource())
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> i32 {
        self.count.unwrap_or(1)
    }
}

impl OllamaSpec {
    /// Writes constant defaults into the block.
    pub fn fill(block: &mut Map<String, Value>) {
        set(block, "replicas", 1);
        set(block, "drainSeconds", DRAIN);
        fill_service(block, PORT);
        fill_persistence(block, SIZE);
    }

    /// Number of servers, where the manifest decides.
    fn replicas(&self) -> i32 {
        self.replicas.unwrap_or(1)
    }

    /// The autoscaler, where load decides.
    #[must_use]
    pub fn scaling(&self) -> Option<&AutoscalingSpec> {
        AutoscalingSpec::on(self.autoscaling.as_ref())
    }

    /// The most servers there may be.
    #[must_use]
    pub fn most(&self) -> i32 {
        self.scaling().map_or(self.replicas(), AutoscalingSpec::most)
    }

    /// Servers that are asked for now, given the workload.
    #[must_use]
    pub fn count(&self, live: Option<&DynamicObject>) -> i32 {
        self.scaling().map_or(self.replicas(), |scaling| scaling.count(live))
    }

    /// The image that runs.
    #[must_use]
    pub fn image(&self, seen: &Seen<'_>) -> String {
        let plain = &seen.settings.defaults.images.ollama;
        let amd = self.gpu.as_ref().is_some_and(|g| g.vendor == Vendor::Amd);
        if amd {
            self.common.effective_image(seen, &image::variant(plain, "rocm"))
        } else {
            self.common.effective_image(seen, plain)
        }
    }

    /// Where the models are kept, where they are kept.
    #[must_use]
    pub fn volume(&self) -> Option<Volume<'_>> {
        Volume::of(self.persistence.as_ref(), &self.common, SIZE)
    }

    /// True when each server needs something of which a node has few: then no spare one is to be counted on.
    #[must_use]
    pub fn is_accelerated(&self) -> bool {
        self.gpu.is_some() || self.common.resource_names().any(|name| name.contains('/'))
    }
}

fn set(block: &mut Map<String, Value>, field: &str, value: impl Into<Value>) {
    block.entry(field).or_insert_with(|| value.into());
}
