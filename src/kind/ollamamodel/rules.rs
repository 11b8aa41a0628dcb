//! The rules on an `OllamaModel`, in Rust and, as far as it can say them, in CEL.

use super::definition::{self, check_keep_alive};
use super::{OllamaModel, OllamaModelSpec, target};
use crate::base::crd;
use crate::base::issue::{Concern, Issue, Review};
use crate::base::model::ModelName;
use crate::base::settings::Settings;
use crate::component::common::{PullPolicy, bounds};
use crate::kind::check_name;
use kube::ResourceExt;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

pub(super) fn check(model: &OllamaModel, old: Option<&OllamaModel>, settings: &Settings) -> Review {
    let spec = &model.spec;
    let mut review = Review {
        issues: check_name(model),
        warnings: vec![],
    };
    let bounds = bounds::check("spec", spec).into_iter().map(Issue::fatal);
    // An empty name and a target that is no name are told by their own rules, in better words.
    review
        .issues
        .extend(bounds.filter(|i| i.path != "spec.name" && !i.path.starts_with("spec.target.d")));
    let own = spec.model();
    if let Err(why) = &own {
        let (path, value) = match &spec.tag {
            Some(tag) if ModelName::parse(&spec.name).is_ok() => ("spec.tag", tag),
            _ => ("spec.name", &spec.name),
        };
        review
            .issues
            .push(Issue::invalid(path, "model-name", value.as_str(), why.as_str()).fatal());
    }
    if spec.pull_policy == Some(PullPolicy::Never) && spec.insecure == Some(true) {
        let detail = "does nothing with pullPolicy Never; remove it";
        review
            .issues
            .push(Issue::forbidden("spec.insecure", "insecure", detail));
    }
    review.issues.extend(check_digest(spec));
    review.issues.extend(model.check_target(settings));
    definition::check(spec, own.as_ref().ok(), &mut review);
    review.issues.extend(check_place(model, settings));
    review
        .issues
        .extend(spec.keep_alive.as_ref().and_then(check_keep_alive));
    if let Some(old) = old {
        review.issues.extend(immutable(model, old));
    }
    let again = spec.pull_policy == Some(PullPolicy::Always) && spec.digest.is_some();
    if again {
        review.warn(
            Concern::NoEffect,
            "pullPolicy Always with a digest: what is pulled again must be the same",
        );
    }
    review
}

fn check_digest(spec: &OllamaModelSpec) -> Option<Issue> {
    let digest = spec.digest.as_deref()?;
    let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
    let good = hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit());
    let detail = "must be the digest of the manifest as /api/tags prints it: 64 digits, perhaps after sha256:";
    // What is too short or too long was said already.
    let told = !(64..=71).contains(&digest.len());
    (!good && !told).then(|| Issue::invalid("spec.digest", "digest", digest, detail).fatal())
}

/// Everyone shares the operator's own Ollama, and a derived model could take a name that others ask for.
fn check_place(model: &OllamaModel, settings: &Settings) -> Option<Issue> {
    let namespace = model.namespace().unwrap_or_default();
    let shared = model.spec.target.is_none() && !settings.models.derived_namespaces.contains(&namespace);
    let detail = "all namespaces share the operator's own Ollama, and this one may make no models there (chart value \
                  models.derivedNamespaces); name a target";
    (shared && model.spec.from.is_some()).then(|| Issue::forbidden("spec.from", "derived-place", detail).fatal())
}

fn immutable(model: &OllamaModel, old: &OllamaModel) -> Vec<Issue> {
    let key = |spec: &OllamaModelSpec| spec.model().map(|m| m.key());
    let target = |spec: &OllamaModelSpec| target::text(spec.target.as_ref());
    let fields = [
        ("spec.name", key(&model.spec) == key(&old.spec)),
        ("spec.target", target(&model.spec) == target(&old.spec)),
    ];
    let issue = |(path, _)| Issue::forbidden(path, "immutable", FIXED).fatal();
    fields.into_iter().filter(|(_, same)| !same).map(issue).collect()
}

const FIXED: &str = "cannot be changed; make another OllamaModel";

/// What CEL can say. The tag may move from its field into the name and back, and Ollama tells no cases apart.
pub(super) fn schema() -> Value {
    let full = |of: &str| format!("({of}.name + (has({of}.tag) ? ':' + {of}.tag : '')).lowerAscii()");
    let name = |of: &str| format!("({0}.endsWith(':latest') ? {0} : {0} + ':latest')", full(of));
    let fixed = |field: &str, rule: &str| json!({"rule": rule, "message": format!("{field} {FIXED}"), "fieldPath": format!(".{field}")});
    // CEL does not see `parameters`, whose values have no type.
    let derived = ["system", "template", "messages", "license", "adapters"];
    let alone = derived.map(|f| format!("has(self.{f})")).join(" || ");
    json!([
        fixed("name", &format!("{} == {}", name("self"), name("oldSelf"))),
        fixed("target", &target::unchanged()),
        target::one_of(),
        crd::rule(
            &format!("!has(self.from) && ({alone})"),
            ".from",
            "system, template, messages, license and adapters belong to a derived model; name its base in from",
        ),
        crd::rule(
            "has(self.from) && has(self.digest)",
            ".digest",
            "a derived model has no digest to expect"
        ),
    ])
}

/// Parameters by name: numbers, texts, lists of texts.
pub(super) fn parameters(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "maxProperties": 32,
        "additionalProperties": {"x-kubernetes-preserve-unknown-fields": true},
    })
}
