//! Which database Open WebUI is on. The choice is made once: a stack that has started on one would find its accounts
//! gone on another.

use super::super::LMDeployment;
use super::ChatSpec;
use crate::base::seen::Seen;
use crate::component::openwebui;
use crate::component::postgres::{self, PostgresSpec};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where accounts and chats are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(transform = crate::base::crd::choice)]
#[serde(rename_all = "lowercase")]
pub enum Database {
    /// In a file beside the uploads.
    Sqlite,
    /// In the stack's own PostgreSQL.
    Postgres,
    /// In the PostgreSQL that the manifest names.
    External,
}

impl Database {
    /// The name, for a person.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "the stack's PostgreSQL",
            Self::External => "the PostgreSQL of urlSecretRef",
        }
    }
}

impl ChatSpec {
    /// The database, given the one that the stack is on already.
    pub(in crate::kind::lmdeployment) fn database(&self, known: Option<Database>) -> Database {
        let block = self.database_block();
        match (block.enabled, &block.url_secret_ref) {
            (_, Some(_)) => Database::External,
            (Some(true), None) => Database::Postgres,
            (Some(false), None) => Database::Sqlite,
            (None, None) => match known {
                Some(known @ (Database::Sqlite | Database::Postgres)) => known,
                _ if self.is_several() => Database::Postgres,
                _ => Database::Sqlite,
            },
        }
    }
}

impl LMDeployment {
    /// The database that the status says the stack is on.
    pub(in crate::kind::lmdeployment) fn known_database(&self) -> Option<Database> {
        self.status.as_ref()?.openwebui_status.as_ref()?.database
    }

    /// The PostgreSQL of the stack, where it runs one.
    pub(in crate::kind::lmdeployment) fn postgres<'a>(
        &self,
        chat: &'a ChatSpec,
        seen: &Seen<'_>,
    ) -> Option<&'a PostgresSpec> {
        (self.database(chat, seen) == Database::Postgres).then(|| chat.database_block())
    }

    /// The database of the stack as it is seen: a status may have been lost, as after a restore, and the data not.
    pub(in crate::kind::lmdeployment) fn database(&self, chat: &ChatSpec, seen: &Seen<'_>) -> Database {
        let found = || {
            let data = format!("{}-{}-data", seen.owner.name, openwebui::NAME);
            let files = crate::base::object::find::<PersistentVolumeClaim>(seen.live, &data).is_some();
            match (postgres::has_data(seen), files) {
                (true, _) => Some(Database::Postgres),
                (false, true) => Some(Database::Sqlite),
                (false, false) => None,
            }
        };
        chat.database(self.known_database().or_else(found))
    }
}
