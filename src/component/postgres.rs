//! PostgreSQL with pgvector: accounts, chats and the index of documents of Open WebUI, where several share them.

mod objects;

use super::common::check::{self, Subject};
use super::common::persistence::{self, Volume, fill_kept};
use super::common::{Common, Persistence, Resources, SecretKey};
use crate::base::issue::{Concern, Issue, Review};
use crate::base::seen::Seen;
pub use objects::{has_data, is_ready};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use validator::Validate;

/// The component's name; also that of its container.
pub const NAME: &str = "postgres";
/// Where the server listens.
pub const PORT: i32 = 5432;
/// The size of the claim where the manifest gives none.
pub const SIZE: &str = "10Gi";
/// The key of an address in a Secret of the manifest.
const URL: &str = "url";

/// The database of Open WebUI. What it is at first stays, unless this block says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = persistence::rules(false)))]
pub struct PostgresSpec {
    /// Whether a PostgreSQL of the stack runs. Default: true when there are several Open WebUI at first and no urlSecretRef is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The container image, with pgvector. Default: the built-in image of the installation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 512))]
    pub image: Option<String>,
    /// The address of another PostgreSQL with pgvector in a Secret, by default under the key url. Default: the stack's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    pub url_secret_ref: Option<SecretKey>,
    /// Requests and limits of the container. Default: 100m and 256Mi are requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Where the data is kept. Default: on, size 10Gi.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    pub persistence: Option<Persistence>,
}

impl PostgresSpec {
    /// Writes constant defaults into the block.
    pub fn fill(block: &mut Map<String, Value>) {
        fill_kept(block, SIZE);
    }

    /// The image that runs.
    #[must_use]
    pub fn image(&self, seen: &Seen<'_>) -> String {
        self.common()
            .effective_image(seen, &seen.settings.defaults.images.postgres)
    }

    /// Every rule on the block itself, given whether a PostgreSQL of the stack runs; `old` is the block before the
    /// change, where it ran.
    #[must_use]
    pub fn check(&self, path: &str, old: Option<&Self>, runs: bool) -> Review {
        let common = self.common();
        let mut review = check::component(&Subject::inner(path, &common, NAME), self);
        if let Some(reference) = &self.url_secret_ref {
            review.issues.extend(reference.check(&format!("{path}.urlSecretRef")));
        }
        if self.enabled == Some(true) && self.url_secret_ref.is_some() {
            let detail = "must not be true beside urlSecretRef, which names another database; remove one of the two";
            let issue = Issue::invalid(format!("{path}.enabled"), "database-twice", true, detail);
            review.issues.push(issue.fatal());
        }
        match self.volume(&common) {
            Some(volume) if runs => {
                let before = old.map(Self::common);
                let before = old.zip(before.as_ref()).and_then(|(old, common)| old.volume(common));
                review.issues.extend(volume.check(path, before));
            }
            None if runs => {
                let text = format!("{path}.persistence is off: accounts and chats go with the pod");
                review.warn(Concern::DataLoss, text);
            }
            _ => {}
        }
        review
    }

    /// The fields that it shares with every component.
    fn common(&self) -> Common {
        Common::inner(self.image.as_ref(), self.resources.as_ref())
    }

    fn volume<'a>(&'a self, common: &'a Common) -> Option<Volume<'a>> {
        Volume::unless_off(self.persistence.as_ref(), common, SIZE)
    }
}
