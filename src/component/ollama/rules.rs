//! The rules on the block of Ollama, in Rust and, as far as it can say them, in CEL.

use super::{DATA, GATE, Gpu, HIGHEST, KvCacheType, NAME, OllamaSpec, models};
use crate::base::crd;
use crate::base::issue::{Concern, Issue, Review};
use crate::base::names;
use crate::base::quantity::Quantity;
use crate::component::common::check::{self, Subject};
use crate::component::common::{AccessMode, AutoscalingSpec, Common, autoscaling, persistence};
use serde_json::{Value, json};

/// Variables that older documents print and Ollama does not read (facts, products 1.2).
const USELESS: [&str; 1] = ["OLLAMA_REGISTRIES"];

impl OllamaSpec {
    /// Every rule on the block itself; `old` is the block before the change, where it was on.
    #[must_use]
    pub fn check(&self, path: &str, old: Option<&Self>, allow_unsafe: bool) -> Review {
        let subject = Subject {
            path,
            common: &self.common,
            component: NAME,
            variables: &self.variables(),
            useless: &USELESS,
            volumes: &[("data", DATA), ("models", GATE), ("tmp", "/tmp")],
            allow_unsafe,
        };
        let mut review = check::component(&subject, self);
        let listed = self.models.as_deref().unwrap_or_default();
        review.issues.extend(models::check(path, listed));
        review
            .issues
            .extend(AutoscalingSpec::check(self.autoscaling.as_ref(), path, HIGHEST));
        if self.is_accelerated() && self.scaling().is_some_and(|scaling| scaling.metrics.is_none()) {
            let text = format!("{path}.autoscaling measures CPU while a GPU does the work; give metrics");
            review.warn(Concern::NoEffect, text);
        }
        self.check_storage(path, old, &mut review);
        self.check_typed(path, &mut review);
        if let Some(gpu) = &self.gpu {
            check_gpu(path, gpu, &self.common, &mut review);
        }
        if self.common.ingress_enabled == Some(true) || self.common.ingress_host.is_some() {
            let text = format!("{path} gets no Ingress: Ollama asks nobody for a password");
            review.warn(Concern::NoEffect, text);
        }
        review
    }

    fn check_storage(&self, path: &str, old: Option<&Self>, review: &mut Review) {
        let Some(volume) = self.volume() else {
            if self.models.as_ref().is_some_and(|m| !m.is_empty()) {
                let text = format!("{path}.persistence is off: every new pod pulls all models again");
                review.warn(Concern::DataLoss, text);
            }
            return;
        };
        review.issues.extend(volume.check(path, old.and_then(Self::volume)));
        let shared = volume.spec.modes().contains(&AccessMode::ReadWriteMany);
        if let (Some(claim), true, false) = (&volume.spec.existing_claim, self.most() > 1, shared) {
            let at = format!("{path}.persistence.existingClaim");
            review
                .issues
                .push(Issue::invalid(at, "shared-claim", claim.as_str(), SHARED).fatal());
        }
    }

    fn check_typed(&self, path: &str, review: &mut Review) {
        if let Some(value) = &self.keep_alive {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_string);
            let good = (value.is_string() || value.is_i64()) && names::is_duration(&text);
            let detail = "is not a duration such as 10m, a number of seconds, or -1 for ever";
            let issue = || Issue::invalid(format!("{path}.keepAlive"), "keep-alive", value.clone(), detail);
            review.issues.extend((!good).then(issue));
        }
        let small = self.kv_cache_type.is_some_and(|t| t != KvCacheType::F16);
        if small && self.flash_attention == Some(false) {
            let text = format!("{path}.kvCacheType does nothing without flashAttention");
            review.warn(Concern::NoEffect, text);
        }
    }
}

/// The extended resource is one, and the container's resources say the same of it where they name it.
fn check_gpu(path: &str, gpu: &Gpu, common: &Common, review: &mut Review) {
    let name = gpu.resource();
    if !name.contains('/') || !names::is_qualified(name) {
        let at = format!("{path}.gpu.resourceName");
        let detail = "is not an extended resource such as nvidia.com/gpu";
        review.issues.push(Issue::invalid(at, "gpu", name, detail).fatal());
    }
    let Some(resources) = &common.resources else {
        return;
    };
    let count = Quantity::parse(&json!(gpu.count())).ok();
    for (list, values) in [("requests", &resources.requests), ("limits", &resources.limits)] {
        let Some(value) = values.as_ref().and_then(|v| v.get(name)) else {
            continue;
        };
        if Quantity::parse(value).ok() != count {
            let at = format!("{path}.resources.{list}[{name}]");
            let detail = format!("must equal {path}.gpu.count, which is {}; leave it away", gpu.count());
            review
                .issues
                .push(Issue::invalid(at, "gpu", value.clone(), detail).fatal());
        }
    }
}

const SHARED: &str = "several replicas need a claim that many nodes can write: set accessModes to [ReadWriteMany] if it is \
                      one, or leave existingClaim away and each replica gets a claim of its own";

/// What CEL can say of it.
pub(super) fn schema() -> Value {
    let on = "!(has(self.enabled) && !self.enabled)";
    let kept = "has(self.persistence) && has(self.persistence.enabled) && self.persistence.enabled";
    let modes = "(has(self.persistence.accessModes) && self.persistence.accessModes.exists(m, m == 'ReadWriteMany'))";
    let several = autoscaling::several(&format!("{on} && {kept} && has(self.persistence.existingClaim)"));
    // Access modes do not change, so the old ones need not be looked at.
    let violation = format!("{several} && !{modes}");
    let shared = crd::rule_unless(&violation, &several, ".persistence.existingClaim", SHARED);
    let mut rules = persistence::rules(true);
    rules.extend([shared, crate::component::common::service::rule(on)]);
    rules.extend(autoscaling::rules(on, HIGHEST));
    rules.into()
}
