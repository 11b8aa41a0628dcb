//! What the watches have told so far.

use crate::pki::cluster::{News, Seen};
use crate::pki::configuration::Configuration;
use crate::pki::x509::Service;
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::watcher::Event;

/// What a watch has told so far of one object.
struct Told<K> {
    listing: Option<K>,
    object: Option<K>,
    /// Whether the first list has ended; before that, no object may only mean no answer.
    complete: bool,
}

impl<K> Default for Told<K> {
    fn default() -> Self {
        Self {
            listing: None,
            object: None,
            complete: false,
        }
    }
}

impl<K> Told<K> {
    fn hear(&mut self, event: Event<K>) {
        match event {
            Event::Init => self.listing = None,
            Event::InitApply(object) => self.listing = Some(object),
            Event::InitDone => {
                self.object = self.listing.take();
                self.complete = true;
            }
            Event::Apply(object) => self.object = Some(object),
            Event::Delete(_) => self.object = None,
        }
    }
}

/// What the watches have told so far.
#[derive(Default)]
pub struct Hearsay {
    secret: Told<Secret>,
    validating: Told<ValidatingWebhookConfiguration>,
    mutating: Told<MutatingWebhookConfiguration>,
}

impl Hearsay {
    /// Takes note.
    pub fn hear(&mut self, news: News) {
        match news {
            News::Secret(event) => self.secret.hear(event),
            News::Validating(event) => self.validating.hear(event),
            News::Mutating(event) => self.mutating.hear(event),
        }
    }

    /// The three objects; `None` until every watch has told whether its object exists.
    #[must_use]
    pub fn seen(&self, service: &Service) -> Option<Seen> {
        let Self {
            secret,
            validating,
            mutating,
        } = self;
        let complete = secret.complete && validating.complete && mutating.complete;
        complete.then(|| Seen {
            secret: secret.object.clone(),
            validating: validating
                .object
                .as_ref()
                .map(|object| Configuration::validating(object, service)),
            mutating: mutating
                .object
                .as_ref()
                .map(|object| Configuration::mutating(object, service)),
        })
    }
}
