//! The two webhook configurations: what they make the API server trust, and telling it to trust something else.
//! They belong to the chart; nothing here ever creates one.

use crate::pki::book::Certificate;
use crate::pki::guests;
use crate::pki::x509::{self, Service};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use kube::ResourceExt;
use serde_json::{Value, json};

/// One webhook configuration, as far as it is about us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// `ValidatingWebhookConfiguration` or `MutatingWebhookConfiguration`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Its resourceVersion.
    pub version: String,
    /// Its webhooks that call our Service.
    pub webhooks: Vec<Webhook>,
}

/// One webhook of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Its name.
    pub name: String,
    /// What the API server trusts when it calls it.
    pub trusted: Vec<Certificate>,
}

impl Configuration {
    /// Reads one kind.
    #[must_use]
    pub fn validating(object: &ValidatingWebhookConfiguration, service: &Service) -> Self {
        let webhooks = object.webhooks.iter().flatten().map(|w| (&w.name, &w.client_config));
        let webhooks = webhooks
            .filter_map(|(name, client)| webhook(name, client, service))
            .collect();
        let kind = "ValidatingWebhookConfiguration";
        Self {
            kind,
            name: object.name_any(),
            version: object.resource_version().unwrap_or_default(),
            webhooks,
        }
    }

    /// Reads the other kind.
    #[must_use]
    pub fn mutating(object: &MutatingWebhookConfiguration, service: &Service) -> Self {
        let webhooks = object.webhooks.iter().flatten().map(|w| (&w.name, &w.client_config));
        let webhooks = webhooks
            .filter_map(|(name, client)| webhook(name, client, service))
            .collect();
        let kind = "MutatingWebhookConfiguration";
        Self {
            kind,
            name: object.name_any(),
            version: object.resource_version().unwrap_or_default(),
            webhooks,
        }
    }

    /// Whether every webhook of ours trusts exactly these, and guests that may stay.
    #[must_use]
    pub fn trusts(&self, trusted: &[Certificate], guests: &[Certificate]) -> bool {
        let mut bundles = self.webhooks.iter().map(|webhook| &webhook.trusted);
        bundles.all(|bundle| guests::settled(bundle, trusted, guests))
    }

    /// What to apply so that every webhook of ours trusts these and keeps its guests: the bundles and nothing else. With the
    /// resourceVersion, since an entry that was removed meanwhile must not come back as a stump, and a bundle that
    /// another replica wrote meanwhile may be newer than ours.
    #[must_use]
    pub fn injection(&self, trusted: &[Certificate], guests: &[Certificate]) -> Value {
        let entry = |webhook: &Webhook| {
            let bundle = x509::write_bundle(&guests::bundle(&webhook.trusted, trusted, guests));
            json!({ "name": webhook.name, "clientConfig": { "caBundle": STANDARD.encode(bundle) } })
        };
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": self.kind,
            "metadata": { "name": self.name, "resourceVersion": self.version },
            "webhooks": self.webhooks.iter().map(entry).collect::<Vec<_>>(),
        })
    }
}

fn webhook(name: &str, client: &WebhookClientConfig, service: &Service) -> Option<Webhook> {
    let called = client.service.as_ref()?;
    let ours = called.name == service.name && called.namespace == service.namespace;
    let trusted = client
        .ca_bundle
        .as_ref()
        .map(|ByteString(pem)| x509::read_bundle(pem))
        .unwrap_or_default();
    ours.then(|| Webhook {
        name: name.into(),
        trusted,
    })
}
