//! What is said when something was done to the certificates: a line in the log, an event, a count.

use crate::base::condition;
use crate::pki::book::{Book, Certificate};
use crate::pki::cluster::Names;
use crate::pki::configuration::Configuration;
use crate::pki::metrics::{Done, Metrics};
use crate::pki::plan::{Action, Stored};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter as Reported};
use std::time::Duration;
use tokio::time::timeout;

/// An event that cannot be published must not hold up what it is about.
const PATIENCE: Duration = Duration::from_secs(5);

/// Says what was done.
pub struct Reporter {
    recorder: Recorder,
    secret: ObjectReference,
    metrics: Metrics,
}

impl Reporter {
    /// Events are about the Secret.
    #[must_use]
    pub fn new(client: Client, names: &Names, pod: &str, metrics: Metrics) -> Self {
        let reported = Reported {
            controller: "llm-operator".into(),
            instance: Some(pod.into()),
        };
        let secret = ObjectReference {
            api_version: Some("v1".into()),
            kind: Some("Secret".into()),
            name: Some(names.secret.clone()),
            namespace: Some(names.service.namespace.clone()),
            ..ObjectReference::default()
        };
        Self {
            recorder: Recorder::new(client, reported),
            secret,
            metrics,
        }
    }

    /// The book was written.
    pub async fn wrote(&self, action: Action, stored: &Stored, book: &Book) {
        let until = book.active.certificate.not_after;
        let generation = book.generation;
        let trusted = book.trusted.len();
        let (reason, note) = match action {
            Action::Open => (
                "AuthorityMade",
                format!("made authority {generation}, valid until {until}{}", cause(stored)),
            ),
            Action::Restore => (
                "AuthorityRestored",
                format!("wrote the authority back{}", cause(stored)),
            ),
            Action::Stage => (
                "AuthorityStaged",
                format!("made authority {generation}, to sign after a day"),
            ),
            Action::Promote => (
                "AuthorityPromoted",
                format!("the next authority signs now, valid until {until}"),
            ),
            Action::Tidy => ("TrustTidied", format!("the bundle holds {trusted} authorities now")),
            Action::Rest | Action::Hold | Action::Inject => return,
        };
        let alarming = action == Action::Restore || !matches!((action, stored), (_, Stored::Blank | Stored::Ours(_)));
        self.say(
            if alarming {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason,
            note,
        )
        .await;
    }

    /// A certificate that somebody else keeps is served now.
    pub async fn taken(&self, until: Timestamp) {
        let note = format!("the certificate of the Secret is served, valid until {until}");
        self.say(EventType::Normal, "CertificateTaken", note).await;
    }

    /// The Secret that somebody else keeps cannot be used.
    pub async fn unusable(&self, why: &str, serving: bool) {
        let meanwhile = if serving {
            "the former one is served on"
        } else {
            "nothing is served"
        };
        let note = format!("{why}; {meanwhile}");
        self.say(EventType::Warning, "CertificateUnusable", note).await;
    }

    /// A configuration trusts these now.
    pub async fn injected(&self, configuration: &Configuration, trusted: &[Certificate]) {
        let Configuration { kind, name, .. } = configuration;
        let note = format!("{kind} {name} trusts {} authorities now", trusted.len());
        self.say(EventType::Normal, "TrustInjected", note).await;
    }

    async fn say(&self, type_: EventType, reason: &'static str, note: String) {
        tracing::info!(reason, note, "certificates");
        self.metrics.actions.get_or_create(&Done { action: reason }).inc();
        let action = condition::action("Certificates", &note);
        let event = Event {
            type_,
            reason: reason.into(),
            note: Some(note),
            action,
            secondary: None,
        };
        match timeout(PATIENCE, self.recorder.publish(&event, &self.secret)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, reason, "cannot publish an event"),
            Err(_) => tracing::warn!(reason, "cannot publish an event: no answer"),
        }
    }
}

/// Why there was nothing to go on with, where that was anybody's doing.
fn cause(stored: &Stored) -> String {
    match stored {
        Stored::Broken { why, .. } => format!(", since the Secret could not be used: {why}"),
        Stored::Ours(_) => ", since the one in the Secret had ended".into(),
        Stored::Blank | Stored::Foreign { .. } => String::new(),
    }
}
