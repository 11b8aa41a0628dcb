//! Open WebUI: chat in the browser, on the models of one or more Ollama.

mod env;
mod objects;
mod rules;

use super::common::persistence::{Volume, fill_kept};
use super::common::service::fill_service;
use super::common::{AutoscalingSpec, Common, GatewaySpec, IngressSpec, Persistence, SecretKey, gateway, ingress};
use crate::base::seen::Seen;
use kube::core::DynamicObject;
pub use objects::{Wiring, exists, secret_name};
pub use rules::schema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use validator::Validate;

/// The component's name; also that of its container.
pub const NAME: &str = "openwebui";
/// Where the server listens, whatever the Service says.
pub const PORT: i32 = 8080;
/// The size of the claim where the manifest gives none.
pub const SIZE: &str = "2Gi";
/// The most servers of a stack.
const HIGHEST: i32 = 5;
/// The variable, and the key of the Secret, that signs sessions and encrypts tokens.
pub const KEY: &str = "WEBUI_SECRET_KEY";
/// Uploads and caches; with SQLite also accounts and chats.
const DATA: &str = "/app/backend/data";

/// Open WebUI.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct OpenWebuiSpec {
    /// The fields that every component has. Open WebUI is off unless `enabled` is true.
    #[serde(flatten)]
    #[validate(nested)]
    pub common: Common,
    /// Number of servers; several bring Redis and PostgreSQL by themselves. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(range(min = 1, max = 5))]
    pub replicas: Option<i32>,
    /// Where uploads are kept, and with SQLite accounts and chats. Default: on, size 2Gi.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    pub persistence: Option<Persistence>,
    /// Whether load decides how many servers run. Default: off.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    pub autoscaling: Option<AutoscalingSpec>,
    /// How it is reached from outside. Default: not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    pub ingress: Option<IngressSpec>,
    /// How it is reached from outside through a Gateway of the Gateway API. Default: not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    pub gateway: Option<GatewaySpec>,
    /// Addresses of the Ollama that it asks, such as http://ollama.other.svc:11434. Default: the stack's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 16))]
    pub ollama_urls: Option<Vec<String>>,
    /// The address that browsers use. Default: from the host of the Ingress.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 2048))]
    pub url: Option<String>,
    /// Whether this manifest rules at every start, or the admin page after the first one. Default: declarative.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_mode: Option<ConfigMode>,
    /// The first administrator, made while there is no account. Default: the first visitor.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    pub admin: Option<Admin>,
    /// Who may make an account. Default: everyone, or nobody once `admin` is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signup: Option<Signup>,
    /// Where uploads go in place of the volume. Default: the volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    pub storage: Option<Storage>,
}

/// Which configuration counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(transform = crate::base::crd::choice)]
#[serde(rename_all = "lowercase")]
pub enum ConfigMode {
    /// The manifest, at every start.
    #[default]
    Declarative,
    /// The admin page, after the first start.
    Ui,
}

/// The first administrator.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct Admin {
    /// The address that signs in.
    #[validate(length(min = 3, max = 254))]
    pub email: String,
    /// The name that others see. Default: Admin.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 128))]
    pub name: Option<String>,
    /// The password in a Secret, by default under the key password.
    #[validate(nested)]
    pub secret_ref: SecretKey,
}

/// Who may make an account.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Signup {
    /// Whether visitors may make accounts. Default: true, or false once `admin` is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// What a new account may do. Default: pending, until an administrator lets it in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_role: Option<Role>,
}

/// Roles of accounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(transform = crate::base::crd::choice)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Nothing yet.
    #[default]
    Pending,
    /// Chat.
    User,
    /// Everything.
    Admin,
}

/// Where uploads go.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// A bucket that speaks S3. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    pub s3: Option<S3>,
}

/// A bucket.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct S3 {
    /// The address of the server, such as https://minio.example.com. Default: Amazon's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 2048))]
    pub endpoint: Option<String>,
    /// The name of the bucket, which exists.
    #[validate(length(min = 3, max = 63))]
    pub bucket: String,
    /// The region. Default: us-east-1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 64))]
    pub region: Option<String>,
    /// The Secret with the keys accessKeyId and secretAccessKey. Default: what the pod's ServiceAccount may do.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    pub secret_ref: Option<S3Secret>,
}

/// The Secret with the keys of a bucket.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct S3Secret {
    /// Its name.
    #[validate(length(min = 1, max = 253))]
    pub name: String,
}

impl OpenWebuiSpec {
    /// Writes constant defaults into the block.
    pub fn fill(block: &mut Map<String, Value>) {
        block.entry("replicas").or_insert(1.into());
        block.entry("configMode").or_insert("declarative".into());
        fill_service(block, PORT);
        fill_kept(block, SIZE);
    }

    /// True when Open WebUI runs.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.common.enabled == Some(true)
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

    /// The most servers there may be, and the field that says so.
    #[must_use]
    pub fn most(&self) -> (i32, &'static str) {
        match self.scaling() {
            Some(scaling) => (scaling.most(), "autoscaling.maxReplicas"),
            None => (self.replicas(), "replicas"),
        }
    }

    /// Servers that are asked for now, given the workload.
    #[must_use]
    pub fn count(&self, live: Option<&DynamicObject>) -> i32 {
        self.scaling().map_or(self.replicas(), |scaling| scaling.count(live))
    }

    /// The image that runs.
    #[must_use]
    pub fn image(&self, seen: &Seen<'_>) -> String {
        self.common
            .effective_image(seen, &seen.settings.defaults.images.openwebui)
    }

    /// The address that browsers use, where it is known.
    #[must_use]
    pub fn address(&self) -> Option<String> {
        let ingress = ingress::exposure(&self.common, self.ingress.as_ref());
        let exposed = || gateway::address(ingress, self.gateway.as_ref());
        self.url.clone().or_else(exposed)
    }

    /// Whether visitors may make accounts.
    #[must_use]
    pub fn takes_signups(&self) -> bool {
        let said = self.signup.as_ref().and_then(|s| s.enabled);
        said.unwrap_or(self.admin.is_none())
    }

    fn volume(&self) -> Option<Volume<'_>> {
        Volume::unless_off(self.persistence.as_ref(), &self.common, SIZE)
    }

    fn s3(&self) -> Option<&S3> {
        self.storage.as_ref()?.s3.as_ref()
    }
}
