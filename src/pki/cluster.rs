//! The three objects of the cluster that certificates are about: read, watched and written.

use crate::pki::book::{Book, Certificate};
use crate::pki::configuration::Configuration;
use crate::pki::secret;
use crate::pki::x509::Service;
use futures::stream::{BoxStream, select_all};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// Owner of the bundles alone, so that people can tell their tools to leave them to it.
const FIELD_MANAGER: &str = "llm-operator-ca";

/// Where the three objects are.
#[derive(Clone, Debug)]
pub struct Names {
    /// The Service that the API server calls; the Secret is in its namespace.
    pub service: Service,
    /// The Secret.
    pub secret: String,
    /// The validating webhook configuration.
    pub validating: String,
    /// The mutating webhook configuration.
    pub mutating: String,
}

/// The three objects at one moment.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The Secret.
    pub secret: Option<Secret>,
    /// The validating configuration.
    pub validating: Option<Configuration>,
    /// The mutating configuration.
    pub mutating: Option<Configuration>,
}

impl Seen {
    /// The configurations that exist.
    pub fn configurations(&self) -> impl Iterator<Item = &Configuration> {
        self.validating.iter().chain(&self.mutating)
    }

    /// The bundle of each webhook of ours.
    #[must_use]
    pub fn live(&self) -> Vec<Vec<Certificate>> {
        self.configurations()
            .flat_map(|c| &c.webhooks)
            .map(|w| w.trusted.clone())
            .collect()
    }
}

/// The three objects, by name.
#[derive(Clone)]
pub struct Cluster {
    names: Names,
    secrets: Api<Secret>,
    validating: Api<ValidatingWebhookConfiguration>,
    mutating: Api<MutatingWebhookConfiguration>,
}

/// News of one of them.
pub enum News {
    /// The Secret.
    Secret(Event<Secret>),
    /// The validating configuration.
    Validating(Event<ValidatingWebhookConfiguration>),
    /// The mutating configuration.
    Mutating(Event<MutatingWebhookConfiguration>),
}

impl Cluster {
    /// The objects of these names.
    #[must_use]
    pub fn new(client: Client, names: Names) -> Self {
        let secrets = Api::namespaced(client.clone(), &names.service.namespace);
        Self {
            names,
            secrets,
            validating: Api::all(client.clone()),
            mutating: Api::all(client),
        }
    }

    /// Reads all three. The configurations first: a bundle written by their resourceVersion is then never older than
    /// one that another replica wrote.
    ///
    /// # Errors
    /// Those of the API server.
    pub async fn read(&self) -> kube::Result<Seen> {
        let service = &self.names.service;
        let validating = self.validating.get_opt(&self.names.validating).await?;
        let mutating = self.mutating.get_opt(&self.names.mutating).await?;
        Ok(Seen {
            validating: validating.map(|object| Configuration::validating(&object, service)),
            mutating: mutating.map(|object| Configuration::mutating(&object, service)),
            secret: self.secrets.get_opt(&self.names.secret).await?,
        })
    }

    /// Writes the book over the Secret as it was read, or makes the Secret. False when someone was faster.
    ///
    /// # Errors
    /// Those of the API server.
    pub async fn write(&self, existing: Option<Secret>, book: &Book) -> kube::Result<bool> {
        let exists = existing.is_some();
        let secret = secret::write(existing, &self.names.secret, &self.names.service, book);
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.into()),
            ..PostParams::default()
        };
        accepted(if exists {
            self.secrets.replace(&self.names.secret, &params, &secret).await
        } else {
            self.secrets.create(&params, &secret).await
        })
    }

    /// Makes the API server trust these when it calls a webhook of this configuration, beside the guests that are there.
    /// False when the configuration has changed since it was read.
    ///
    /// # Errors
    /// Those of the API server.
    pub async fn inject(
        &self,
        configuration: &Configuration,
        trusted: &[Certificate],
        guests: &[Certificate],
    ) -> kube::Result<bool> {
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let patch = Patch::Apply(configuration.injection(trusted, guests));
        if configuration.kind == "ValidatingWebhookConfiguration" {
            accepted(self.validating.patch(&configuration.name, &params, &patch).await)
        } else {
            accepted(self.mutating.patch(&configuration.name, &params, &patch).await)
        }
    }

    /// News of all three, for ever; errors are said and then tried over.
    #[must_use]
    pub fn watch(&self) -> BoxStream<'static, watcher::Result<News>> {
        let Self {
            names,
            secrets,
            validating,
            mutating,
        } = self.clone();
        select_all([
            one(secrets, &names.secret).map_ok(News::Secret).boxed(),
            one(validating, &names.validating).map_ok(News::Validating).boxed(),
            one(mutating, &names.mutating).map_ok(News::Mutating).boxed(),
        ])
        .boxed()
    }
}

/// One object by name, which is as much as our rights allow.
fn one<K>(api: Api<K>, name: &str) -> BoxStream<'static, watcher::Result<Event<K>>>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    watcher(api, config).default_backoff().boxed()
}

/// Whether a write was accepted: not when someone was faster, whose work the next read shows.
fn accepted<T>(result: kube::Result<T>) -> kube::Result<bool> {
    match result {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => Ok(false),
        Err(error) => Err(error),
    }
}
