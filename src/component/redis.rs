//! Redis: what several Open WebUI share while they run: sessions, sockets, locks.

mod objects;
mod rules;

use super::common::persistence::{Volume, fill_persistence};
use super::common::{Common, Persistence, Resources, SecretKey};
use crate::base::seen::Seen;
pub use objects::{Keys, is_ready};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use validator::Validate;

/// The component's name; also that of its container.
pub const NAME: &str = "redis";
/// Where the server listens.
pub const PORT: i32 = 6379;
/// The size of a claim where the manifest gives none.
pub const SIZE: &str = "1Gi";
/// The key of the password in a Secret, ours or the manifest's.
const PASSWORD: &str = "password";
/// The key of an address in a Secret, ours or the manifest's.
const URL: &str = "url";

/// Redis, for Open WebUI.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::schema()))]
pub struct RedisSpec {
    /// Whether a Redis of the stack runs. Default: true when there are several Open WebUI and no url is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The container image. Default: the built-in image of the installation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 512))]
    pub image: Option<String>,
    /// The password, for all readers of this object; `passwordSecretRef` keeps it from them. Default: a generated one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 512))]
    pub password: Option<String>,
    /// The password in a Secret, by default under the key password. Default: a generated one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    pub password_secret_ref: Option<SecretKey>,
    /// Another Redis, such as redis://cache:6379/0. Default: the stack's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 2048))]
    pub url: Option<String>,
    /// The address of another Redis in a Secret, by default under the key url. Default: the stack's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    pub url_secret_ref: Option<SecretKey>,
    /// Requests and limits of the container. Default: 50m and 64Mi are requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Whether its content outlives the pod; nothing of value is lost without. Default: off, size 1Gi.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    pub persistence: Option<Persistence>,
}

impl RedisSpec {
    /// Writes constant defaults into the block.
    pub fn fill(block: &mut Map<String, Value>) {
        fill_persistence(block, SIZE);
    }

    /// True when the manifest gives the address of another Redis.
    #[must_use]
    pub fn is_elsewhere(&self) -> bool {
        self.url.is_some() || self.url_secret_ref.is_some()
    }

    /// True when the stack runs a Redis, given whether it needs one by itself.
    #[must_use]
    pub fn is_on(&self, needed: bool) -> bool {
        self.enabled.unwrap_or(needed && !self.is_elsewhere())
    }

    /// The image that runs.
    #[must_use]
    pub fn image(&self, seen: &Seen<'_>) -> String {
        self.common()
            .effective_image(seen, &seen.settings.defaults.images.redis)
    }

    /// The fields that it shares with every component.
    fn common(&self) -> Common {
        Common::inner(self.image.as_ref(), self.resources.as_ref())
    }

    fn volume<'a>(&'a self, common: &'a Common) -> Option<Volume<'a>> {
        Volume::of(self.persistence.as_ref(), common, SIZE)
    }
}
