//! Everything that should exist for chat, and what of the cluster it waits for.

use super::super::LMDeployment;
use super::{ChatSpec, Database, salt};
use crate::base::condition::Reason;
use crate::base::object::Object;
use crate::base::secret::{Found, Mark};
use crate::base::seen::Seen;
use crate::base::url;
use crate::component::common::{NetworkPolicySpec, network};
use crate::component::openwebui::{self, Wiring};
use crate::component::{pipelines, postgres, redis};
use std::collections::BTreeSet;

/// A key of a Secret that the manifest names.
type Key = (String, String);

impl LMDeployment {
    pub(in crate::kind::lmdeployment) fn chat_objects(
        &self,
        chat: &ChatSpec,
        seen: &Seen<'_>,
        policy: &NetworkPolicySpec,
    ) -> Vec<Object> {
        let stack = &seen.owner.name;
        let consumers = [network::pods(seen.owner, openwebui::NAME)];
        let mark = |keys: &[Key]| {
            let (name, key) = salt(stack);
            seen.secrets.mark((&name, key), keys)
        };
        let database = self.database(chat, seen);
        let mut objects = vec![];
        if database == Database::Postgres {
            objects.extend(chat.database_block().objects(seen, policy, &consumers));
        }
        if let Some(redis) = chat.redis() {
            objects.extend(redis.objects(seen, policy, &consumers, &mark(&redis.secrets(stack, true).server)));
        } else if let Some(redis) = chat.redis_block() {
            objects.extend(redis.secret(seen));
        }
        if let Some(pipelines) = chat.pipelines() {
            let mut keys = pipelines.secrets();
            keys.extend(chat.langfuse().into_iter().flat_map(pipelines::LangfuseSpec::secrets));
            objects.extend(pipelines.objects(seen, policy, chat.langfuse(), &consumers, &mark(&keys)));
        }
        objects.extend(chat.web.objects(seen, policy, &self.wiring(chat, seen, database, mark)));
        objects
    }

    fn wiring(&self, chat: &ChatSpec, seen: &Seen<'_>, database: Database, mark: impl Fn(&[Key]) -> Mark) -> Wiring {
        let mut variables = vec![];
        if database != Database::Sqlite {
            variables.extend(chat.database_block().variables(seen));
        }
        variables.extend(chat.redis_block().into_iter().flat_map(|r| r.variables(seen)));
        variables.extend(chat.pipelines().into_iter().flat_map(|p| p.variables(seen)));
        let own = || self.ollama().map(|_| self.own_ollama_url()).into_iter().collect();
        Wiring {
            ollama: chat.web.ollama_urls.clone().unwrap_or_else(own),
            embedding: self.embedder(),
            variables,
            database: format!("{database:?} {:?}", chat.database_block().secrets()),
            is_external: database == Database::External,
            outlives: database != Database::Sqlite,
            start: self.chat_waits(chat, seen).is_none(),
            mark: mark(&chat.web_keys(&seen.owner.name, database)),
        }
    }

    /// What Open WebUI waits for before its first start, if anything: it would crash without its database.
    pub(in crate::kind::lmdeployment) fn chat_waits(&self, chat: &ChatSpec, seen: &Seen<'_>) -> Option<&'static str> {
        let database = self.database(chat, seen) == Database::Postgres && !postgres::is_ready(seen);
        let redis = chat.redis().is_some() && !redis::is_ready(seen);
        match (database, redis) {
            _ if self.secret_trouble(seen).is_some() => Some("waits for its Secrets"),
            (true, _) => Some("waits for PostgreSQL"),
            (false, true) => Some("waits for Redis"),
            (false, false) => None,
        }
    }

    /// What is wrong with the Secrets that the manifest names, as far as it is known.
    pub(in crate::kind::lmdeployment) fn secret_trouble(&self, seen: &Seen<'_>) -> Option<(Reason, String)> {
        let chat = self.chat()?;
        let missing = chat
            .all_keys(self.database(chat, seen))
            .into_iter()
            .find_map(|(name, key)| {
                let text = match seen.secrets.find(&name, &key) {
                    Found::Key => return None,
                    Found::NoKey => format!("Secret {name} has no key {key}, or nothing under it"),
                    Found::NoSecret => format!("Secret {name} does not exist; its key {key} is needed"),
                    Found::Unknown => format!("Secret {name} was not read yet"),
                };
                Some((Reason::SecretMissing, text))
            });
        let binary = || chat.binary(self.database(chat, seen), seen);
        missing.or_else(binary).or_else(|| chat.misshapen(seen))
    }

    /// The names of all Secrets that are read.
    pub(in crate::kind::lmdeployment) fn secret_names(&self, stack: &str) -> BTreeSet<String> {
        let Some(chat) = self.chat() else {
            return BTreeSet::new();
        };
        let mut keys = chat.all_keys(Database::External);
        keys.extend(chat.web_keys(stack, Database::External));
        let mut names: BTreeSet<String> = keys.into_iter().map(|(name, _)| name).collect();
        if !names.is_empty() {
            names.insert(salt(stack).0);
        }
        names
    }
}

impl ChatSpec {
    /// The keys whose content Open WebUI reads at its start.
    fn web_keys(&self, stack: &str, database: Database) -> Vec<Key> {
        let mut keys = self.web.secrets();
        if database == Database::External {
            keys.extend(self.database_block().secrets());
        }
        let runs = self.redis().is_some();
        keys.extend(
            self.redis_block()
                .into_iter()
                .flat_map(|r| r.secrets(stack, runs).clients),
        );
        keys.extend(self.pipelines().into_iter().flat_map(pipelines::PipelinesSpec::secrets));
        keys
    }

    /// The keys that the manifest names.
    fn all_keys(&self, database: Database) -> Vec<Key> {
        let mut keys = self.web.secrets();
        if database == Database::External {
            keys.extend(self.database_block().secrets());
        }
        let runs = self.redis().is_some();
        keys.extend(self.redis_block().into_iter().flat_map(|r| r.secrets("", runs).named));
        keys.extend(self.pipelines().into_iter().flat_map(pipelines::PipelinesSpec::secrets));
        keys.extend(self.langfuse().into_iter().flat_map(pipelines::LangfuseSpec::secrets));
        keys
    }

    /// Keys that hold what no variable of a container can.
    fn binary(&self, database: Database, seen: &Seen<'_>) -> Option<(Reason, String)> {
        let keys = self.all_keys(database).into_iter();
        let (name, key) = keys.into_iter().find(|(name, key)| seen.secrets.is_binary(name, key))?;
        let text = format!("Secret {name}: what is under {key} is no text (UTF-8, without a zero byte)");
        Some((Reason::SecretInvalid, text))
    }

    /// Addresses in Secrets that are none.
    fn misshapen(&self, seen: &Seen<'_>) -> Option<(Reason, String)> {
        let wrong = |keys: Vec<Key>, good: fn(&str) -> bool, like: &str| {
            let (name, key) = keys.into_iter().next()?;
            let text = seen.secrets.text(&name, &key);
            let bad = !text.is_some_and(good);
            bad.then(|| {
                (
                    Reason::SecretInvalid,
                    format!("Secret {name}: {key} is no address such as {like}"),
                )
            })
        };
        let redis = self
            .redis_block()
            .filter(|r| r.url_secret_ref.is_some() && self.redis().is_none());
        let redis = redis.and_then(|r| {
            wrong(
                r.secrets("", false).named,
                url::is_redis,
                "redis://:password@host:6379/0",
            )
        });
        redis.or_else(|| {
            let like = "postgresql://user:password@host:5432/database";
            wrong(self.database_block().secrets(), url::is_postgres, like)
        })
    }
}
