//! Tabby on an Ollama that is not the stack's own: it dies where that has not got its models, so its first start waits
//! for them, but not for ever, since nobody here can bring them.

use super::LMDeployment;
use super::trouble::Trouble;
use crate::base::condition::Reason;
use crate::base::model::ModelName;
use crate::base::object::find;
use crate::base::seen::{Other, Seen};
use crate::component::tabby::{self, TabbySpec};
use jiff::SignedDuration;
use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;
use kube::core::DynamicObject;

/// It is started without its models after this.
const PATIENCE: SignedDuration = SignedDuration::from_secs(600);

impl LMDeployment {
    /// The Service of another Ollama, which Tabby asks in place of the stack's own.
    pub(super) fn other_ollama(&self) -> Option<&str> {
        self.tabby()?.elsewhere(&self.ollama_service())
    }

    /// The Service of another Ollama, and its port, for as long as Tabby has not been ready with it.
    #[must_use]
    pub fn asks(&self, live: &[DynamicObject]) -> Option<(String, Option<i32>)> {
        let service = self.other_ollama()?;
        let deployment = find::<Deployment>(live, &format!("{}-{}", self.name_any(), tabby::NAME));
        let ready = deployment.is_some_and(|d| d.data["status"]["readyReplicas"].as_i64() > Some(0));
        let port = self.tabby().and_then(|t| t.ollama_service_port);
        (!ready && !self.is_suspended()).then(|| (service.to_string(), port))
    }

    /// What that Ollama lacks, as far as it was asked.
    fn lacks(&self, seen: &Seen<'_>) -> Option<Trouble> {
        let service = self.other_ollama()?;
        match seen.other? {
            Other::Unasked => Some((Reason::NoServer, format!("Service {service} was not asked yet"))),
            Other::Silent(failure) => Some((failure.reason, failure.message.clone())),
            Other::Holds(keys) => {
                let models = self.tabby_models()?;
                let mut missing: Vec<String> = [&models.chat, &models.completion, &models.embedding]
                    .into_iter()
                    .filter(|name| !keys.contains(&name.key()))
                    .map(ModelName::short)
                    .collect();
                missing.sort();
                missing.dedup();
                let names = missing.join(", ");
                let text = format!("Service {service} has not got {names}; pull it there, or name another model");
                (!missing.is_empty()).then_some((Reason::NotPulled, text))
            }
        }
    }

    /// True when Tabby may start for the first time.
    pub(super) fn other_serves(&self, seen: &Seen<'_>) -> bool {
        self.lacks(seen).is_none() || self.has_waited(seen)
    }

    /// Since its absence was told for the first time.
    fn has_waited(&self, seen: &Seen<'_>) -> bool {
        let told = || {
            let conditions = self.status.as_ref()?.tabby_status.as_ref()?.conditions.as_ref()?;
            let absent = conditions
                .iter()
                .find(|c| c.type_ == "Available" && c.status == "False")?;
            Some(absent.last_transition_time.0)
        };
        told().is_some_and(|since| seen.now.duration_since(since) >= PATIENCE)
    }

    /// What Tabby waits for, before its first start.
    pub(super) fn tabby_waits(&self, seen: &Seen<'_>) -> Option<Trouble> {
        let (reason, text) = self.lacks(seen)?;
        Some((
            reason,
            format!("Tabby waits: {text}; after 10 minutes it is started all the same"),
        ))
    }

    /// What is to be said of that Ollama: Tabby waits for it, or was started although it cannot work there.
    pub(super) fn other_trouble(&self, seen: &Seen<'_>) -> Option<Trouble> {
        if !TabbySpec::exists(seen) {
            return self.tabby_waits(seen);
        }
        let (reason, text) = self.lacks(seen)?;
        Some((reason, format!("Tabby is not ready: {text}")))
    }
}
