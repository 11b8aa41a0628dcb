//! The rules between the blocks of chat, in Rust and, as far as it can say them, in CEL.

use super::super::LMDeployment;
use super::{ChatSpec, Database, PATH};
use crate::base::crd;
use crate::base::issue::{Concern, Issue, Review};
use crate::base::model::ModelName;
use crate::component::common::autoscaling;
use crate::component::openwebui;
use kube::ResourceExt;
use serde_json::Value;

/// Families of models that embed.
const EMBEDDERS: [&str; 9] = [
    "nomic-embed",
    "mxbai-embed",
    "all-minilm",
    "bge-",
    "snowflake-arctic-embed",
    "embeddinggemma",
    "qwen3-embedding",
    "granite-embedding",
    "paraphrase-",
];
/// The one to take where none is listed.
const EMBEDDER: &str = "nomic-embed-text";

const SEVERAL_REDIS: &str = "several Open WebUI share their sessions through Redis: leave redis.enabled away, give \
                             redis.url or redis.urlSecretRef, or set replicas to 1";
const SEVERAL_DATABASE: &str = "several Open WebUI need one PostgreSQL: leave database.enabled away, give \
                                database.urlSecretRef, or set replicas to 1";
const STARTED_ON_SQLITE: &str = "must be 1: this stack has its accounts in SQLite, which one server may write; with \
                                 database.enabled true it moves to an empty PostgreSQL";
const PIPELINES: &str = "must not be false beside langfuse, which works through Pipelines; remove it";

impl LMDeployment {
    /// Every rule on chat.
    pub(in crate::kind::lmdeployment) fn check_chat(
        &self,
        chat: &ChatSpec,
        old: Option<&Self>,
        allow_unsafe: bool,
    ) -> Review {
        let before = old.and_then(Self::chat);
        let pipelines = chat.pipelines().is_some();
        let mut review = chat.web.check(PATH, before.map(|b| &b.web), pipelines, allow_unsafe);
        if let Some(redis) = &chat.redis {
            let runs = chat.redis().is_some();
            review.extend(redis.check(&format!("{PATH}.redis"), before.and_then(ChatSpec::redis), runs));
        }
        self.check_database(chat, old, &mut review);
        if let Some(pipelines) = chat.pipelines() {
            let langfuse = chat.langfuse().is_some();
            let old = before.and_then(ChatSpec::pipelines);
            review.extend(pipelines.check(&format!("{PATH}.pipelines"), old, langfuse, allow_unsafe));
        }
        if let Some(langfuse) = chat.langfuse() {
            review.extend(langfuse.check(&format!("{PATH}.langfuse"), self.namespace().as_deref()));
            if chat.pipelines.as_ref().is_some_and(|p| p.common.enabled == Some(false)) {
                let at = format!("{PATH}.pipelines.enabled");
                review
                    .issues
                    .push(Issue::invalid(at, "langfuse-pipelines", false, PIPELINES).fatal());
            }
        }
        if chat.is_several() && chat.redis_block().is_none() {
            let at = format!("{PATH}.redis.enabled");
            review
                .issues
                .push(Issue::invalid(at, "several-redis", false, SEVERAL_REDIS).fatal());
        }
        self.warn_of_engines(chat, &mut review);
        review
    }

    fn check_database(&self, chat: &ChatSpec, old: Option<&Self>, review: &mut Review) {
        let known = self.known_database();
        let choice = chat.database(known);
        let block = chat.database_block();
        let runs = choice == Database::Postgres;
        let before = old.and_then(|old| {
            let chat = old.chat().filter(|chat| chat.database(known) == Database::Postgres)?;
            chat.database.as_ref()
        });
        review.extend(block.check(&format!("{PATH}.database"), before, runs));
        if chat.is_several() && choice == Database::Sqlite {
            let issue = if block.enabled == Some(false) {
                Issue::invalid(
                    format!("{PATH}.database.enabled"),
                    "several-database",
                    false,
                    SEVERAL_DATABASE,
                )
            } else {
                let (most, field) = chat.web.most();
                Issue::invalid(format!("{PATH}.{field}"), "started-on-sqlite", most, STARTED_ON_SQLITE)
            };
            review.issues.push(issue.fatal());
        }
        if let Some(known) = known.filter(|known| *known != choice) {
            let text = format!(
                "{PATH}.database: accounts and chats stay in {}; {} starts empty",
                known.title(),
                choice.title()
            );
            review.warn(Concern::DataLoss, text);
        }
    }

    fn warn_of_engines(&self, chat: &ChatSpec, review: &mut Review) {
        let own = chat.web.ollama_urls.is_none();
        if own && self.ollama().is_none() {
            let text = format!("{PATH} has no Ollama to ask: give {PATH}.ollamaUrls");
            review.warn(Concern::NoEffect, text);
        } else if own && !self.listed_names().iter().any(embeds) {
            let text =
                format!("{EMBEDDER} (or another that embeds) is not in spec.ollama.models: no search in documents");
            review.warn(Concern::NoEffect, text);
        }
    }

    /// The model with which Open WebUI embeds documents: the first listed one that can.
    pub(super) fn embedder(&self) -> String {
        let listed = self.listed_names();
        listed
            .iter()
            .find(|name| embeds(name))
            .map_or_else(|| EMBEDDER.to_string(), ModelName::short)
    }
}

fn embeds(name: &ModelName) -> bool {
    let family = name.family();
    EMBEDDERS.iter().any(|known| family.starts_with(known)) || family.ends_with("embed")
}

/// What CEL can say of it.
pub(super) fn schema() -> Value {
    let several = autoscaling::several("has(self.enabled) && self.enabled");
    let off = |block: &str| format!("has(self.{block}) && has(self.{block}.enabled) && !self.{block}.enabled");
    let redis = format!(
        "{several} && {} && !has(self.redis.url) && !has(self.redis.urlSecretRef)",
        off("redis")
    );
    let database = format!("{several} && {} && !has(self.database.urlSecretRef)", off("database"));
    let langfuse = "has(self.enabled) && self.enabled && has(self.langfuse) && has(self.langfuse.enabled) && self.langfuse.enabled";
    let pipelines = format!("{langfuse} && {}", off("pipelines"));
    let url = format!("{langfuse} && (!has(self.langfuse.url) || self.langfuse.url == '')");
    let mut rules = openwebui::schema();
    rules.extend([
        crd::rule(&redis, ".redis", SEVERAL_REDIS),
        crd::rule(&database, ".database", SEVERAL_DATABASE),
        crd::rule(&pipelines, ".pipelines", &format!("pipelines.enabled {PIPELINES}")),
        crd::rule(&url, ".langfuse", "langfuse needs a url"),
    ]);
    rules.into()
}
