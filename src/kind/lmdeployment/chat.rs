//! Chat: Open WebUI with the database, Redis and Pipelines that it needs, and what it tells each of the others.

mod choice;
mod objects;
mod rules;

use crate::component::openwebui::{self, OpenWebuiSpec};
use crate::component::pipelines::{LangfuseSpec, PipelinesSpec};
use crate::component::postgres::PostgresSpec;
use crate::component::redis::RedisSpec;
pub use choice::Database;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Open WebUI, and the parts of the stack that exist for its sake.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::schema()))]
pub struct ChatSpec {
    /// Open WebUI itself.
    #[serde(flatten)]
    pub web: OpenWebuiSpec,
    /// Redis, which several Open WebUI share. Default: the stack's own where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis: Option<RedisSpec>,
    /// The database. Default: SQLite for one Open WebUI, a PostgreSQL of the stack for several at first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<PostgresSpec>,
    /// Pipelines. Default: off, or on where Langfuse is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipelines: Option<PipelinesSpec>,
    /// Tracing to Langfuse. Default: off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub langfuse: Option<LangfuseSpec>,
}

/// Writes constant defaults into a block.
pub(super) type Fill = fn(&mut Map<String, Value>);

impl ChatSpec {
    /// Writes constant defaults into the block and those of its blocks that are on by the manifest's own word.
    pub(super) fn fill(block: &mut Map<String, Value>) {
        OpenWebuiSpec::fill(block);
        let parts: [(&str, Fill); 4] = [
            ("redis", RedisSpec::fill),
            ("database", PostgresSpec::fill),
            ("pipelines", PipelinesSpec::fill),
            ("langfuse", LangfuseSpec::fill),
        ];
        for (name, fill) in parts {
            if let Some(part) = block.get_mut(name).and_then(Value::as_object_mut)
                && part.get("enabled") == Some(&true.into())
            {
                fill(part);
            }
        }
    }

    /// True when there are, or may be, several Open WebUI.
    fn is_several(&self) -> bool {
        self.web.most().0 > 1
    }

    /// The Redis of the stack, where it runs one.
    pub(super) fn redis(&self) -> Option<&RedisSpec> {
        self.redis_block().filter(|redis| redis.is_on(self.is_several()))
    }

    /// The block of Redis, where Open WebUI uses one at all.
    fn redis_block(&self) -> Option<&RedisSpec> {
        static PLAIN: std::sync::LazyLock<RedisSpec> = std::sync::LazyLock::new(RedisSpec::default);
        let block = self.redis.as_ref().unwrap_or(&PLAIN);
        (block.is_on(self.is_several()) || block.is_elsewhere()).then_some(block)
    }

    /// The block of the database, absent or not.
    fn database_block(&self) -> &PostgresSpec {
        static PLAIN: std::sync::LazyLock<PostgresSpec> = std::sync::LazyLock::new(PostgresSpec::default);
        self.database.as_ref().unwrap_or(&PLAIN)
    }

    /// Langfuse, where it is on.
    pub(super) fn langfuse(&self) -> Option<&LangfuseSpec> {
        self.langfuse.as_ref().filter(|l| l.is_on())
    }

    /// Pipelines, where it runs.
    pub(super) fn pipelines(&self) -> Option<&PipelinesSpec> {
        static PLAIN: std::sync::LazyLock<PipelinesSpec> = std::sync::LazyLock::new(PipelinesSpec::default);
        let block = self.pipelines.as_ref().unwrap_or(&PLAIN);
        (block.common.enabled == Some(true) || self.langfuse().is_some()).then_some(block)
    }
}

/// Where the block is in a manifest.
pub(super) const PATH: &str = "spec.openwebui";

/// The Secret that holds what marks are made with: the key of the stack's own sessions.
fn salt(stack: &str) -> (String, &'static str) {
    (format!("{stack}-{}-secret", openwebui::NAME), openwebui::KEY)
}
