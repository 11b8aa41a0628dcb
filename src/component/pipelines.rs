//! Pipelines: code of the user's that Open WebUI passes questions and answers through, and tracing to Langfuse.

pub mod langfuse;
mod objects;
mod rules;

use super::common::persistence::{Volume, fill_persistence};
use super::common::service::fill_service;
use super::common::{Common, Persistence, SecretKey};
use crate::base::seen::Seen;
pub use langfuse::LangfuseSpec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use validator::Validate;

/// The component's name; also that of its container.
pub const NAME: &str = "pipelines";
/// Where the server listens, whatever the Service says.
pub const PORT: i32 = 9099;
/// The size of the claim where the manifest gives none.
pub const SIZE: &str = "10Gi";
/// Where the pipelines are, where the manifest does not say.
const FOLDER: &str = "/app/pipelines";
/// The variable of the key, and its name in the Secret of ours.
const KEY: &str = "PIPELINES_API_KEY";
/// The key in a Secret of the manifest.
const KEY_THERE: &str = "apiKey";

/// Pipelines, beside Open WebUI.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::schema()))]
pub struct PipelinesSpec {
    /// The fields that every component has. Pipelines is off unless `enabled` is true or Langfuse is on.
    #[serde(flatten)]
    #[validate(nested)]
    pub common: Common,
    /// Number of servers. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(range(min = 1, max = 3))]
    pub replicas: Option<i32>,
    /// Addresses of pipelines (Python files, also as GitHub shows them), fetched at each start. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 64))]
    pub urls: Option<Vec<String>>,
    /// The older name of `urls`; both lists count. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 64))]
    pub pipeline_urls: Option<Vec<String>>,
    /// The folder of the pipelines in the container. Default: /app/pipelines.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 2, max = 255))]
    pub dir: Option<String>,
    /// The key that Open WebUI shows it in a Secret, by default under the key apiKey. Default: a generated one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    pub api_key_secret_ref: Option<SecretKey>,
    /// Where pipelines and their settings are kept. Default: off, size 10Gi.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    pub persistence: Option<Persistence>,
}

impl PipelinesSpec {
    /// Writes constant defaults into the block.
    pub fn fill(block: &mut Map<String, Value>) {
        block.entry("replicas").or_insert(1.into());
        fill_service(block, PORT);
        fill_persistence(block, SIZE);
    }

    /// Number of servers.
    #[must_use]
    pub fn replicas(&self) -> i32 {
        self.replicas.unwrap_or(1)
    }

    /// The image that runs.
    #[must_use]
    pub fn image(&self, seen: &Seen<'_>) -> String {
        self.common
            .effective_image(seen, &seen.settings.defaults.images.pipelines)
    }

    /// The addresses of pipelines, with the path of each in the block.
    pub fn addresses(&self) -> impl Iterator<Item = (String, &str)> {
        let lists = [("urls", &self.urls), ("pipelineUrls", &self.pipeline_urls)];
        lists.into_iter().flat_map(|(field, list)| {
            let items = list.iter().flatten().enumerate();
            items.map(move |(i, url)| (format!("{field}[{i}]"), url.as_str()))
        })
    }

    fn folder(&self) -> &str {
        self.dir.as_deref().unwrap_or(FOLDER).trim_end_matches('/')
    }

    fn volume(&self) -> Option<Volume<'_>> {
        Volume::of(self.persistence.as_ref(), &self.common, SIZE)
    }
}
