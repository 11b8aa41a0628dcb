//! Derived models: what Ollama is told to make of another model, and whether what a server has is that.

use super::{OllamaModelSpec, plan::Held};
use crate::base::hash;
use crate::base::issue::{Concern, Issue, Review};
use crate::base::model::ModelName;
use crate::base::names;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use validator::Validate;

/// The parameters that Ollama reads; any other it takes without a word and ignores (facts, testbed-ollama 4).
const PARAMETERS: [&str; 17] = [
    "draft_num_predict",
    "min_p",
    "num_batch",
    "num_ctx",
    "num_gpu",
    "num_keep",
    "num_predict",
    "num_thread",
    "presence_penalty",
    "frequency_penalty",
    "repeat_last_n",
    "repeat_penalty",
    "seed",
    "stop",
    "temperature",
    "top_k",
    "top_p",
];

/// A line of the conversation that a derived model begins with.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    #[validate(length(max = 32768))]
    pub content: String,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(transform = crate::base::crd::choice)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The system.
    System,
    /// The user.
    User,
    /// The model.
    Assistant,
}

/// A model that is made on the server from another one.
#[derive(Clone, Debug, PartialEq)]
pub struct Derived {
    /// The model it is made from.
    pub base: ModelName,
    /// The fields of `/api/create` besides the two names; empty for a mere second name.
    pub fields: Map<String, Value>,
}

impl Derived {
    /// The derived model of a spec; `None` for one that is pulled, and for a base that is no name.
    #[must_use]
    pub fn of(spec: &OllamaModelSpec) -> Option<Self> {
        let base = ModelName::parse(spec.from.as_deref()?).ok()?;
        let all = json!({
            "system": spec.system, "template": spec.template, "parameters": spec.parameters,
            "messages": spec.messages, "license": spec.license, "adapters": spec.adapters,
        });
        let given = |(_, value): &(String, Value)| !value.is_null();
        let fields = all.as_object().cloned().unwrap_or_default().into_iter().filter(given);
        Some(Self {
            base,
            fields: fields.collect(),
        })
    }

    /// Changes with the definition.
    #[must_use]
    pub fn hash(&self) -> String {
        hash::of(&json!([self.base.key(), self.fields]))
    }

    /// True when nothing is changed: the model is the base under another name.
    #[must_use]
    pub fn is_copy(&self) -> bool {
        self.fields.is_empty()
    }

    /// True when a copy has the digest of its base; `None` for what must be looked at closer.
    #[must_use]
    pub fn is_made(&self, held: &Held, base: &Held) -> Option<bool> {
        self.is_copy().then(|| held.digest == base.digest)
    }

    /// True when what the server shows of the model is what the definition and the base make of it.
    #[must_use]
    pub fn is_shown(&self, model: &Shown, base: &Shown) -> bool {
        let text = |field: &str| self.fields.get(field).and_then(Value::as_str).map(str::trim);
        let same =
            |wanted: Option<&str>, shown: &str, inherited: &str| wanted.unwrap_or(inherited.trim()) == shown.trim();
        let mut parameters = base.parameters();
        for (name, value) in self
            .fields
            .get("parameters")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            parameters.insert(name.clone(), spoken(value));
        }
        let messages = self.fields.get("messages");
        model.weights() == base.weights()
            && same(text("system"), &model.system, &base.system)
            && same(text("template"), &model.template, &base.template)
            && text("license").is_none_or(|license| model.license.contains(license))
            && messages.is_none_or(|m| *m == json!(model.messages))
            && parameters == model.parameters()
    }
}

/// What a server shows of a model (`/api/show`), as far as a definition can say it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Shown {
    /// The instructions.
    pub system: String,
    /// How a conversation becomes a text.
    pub template: String,
    /// A parameter a line, in any order.
    pub parameters: String,
    /// All licences.
    pub license: String,
    /// The conversation it begins with.
    pub messages: Vec<Value>,
    /// The whole definition, with the files of its weights.
    pub modelfile: String,
}

impl Shown {
    fn parameters(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for line in self.parameters.lines() {
            if let Some((name, value)) = line.trim().split_once(char::is_whitespace) {
                let value = value.trim().trim_matches('"').to_string();
                found.entry(name.to_string()).or_default().insert(value);
            }
        }
        found
    }

    /// The names of the files that it is made of.
    fn weights(&self) -> BTreeSet<&str> {
        let files = self.modelfile.lines().filter_map(|line| line.strip_prefix("FROM "));
        files.filter_map(|path| path.rsplit('/').next()).collect()
    }
}

/// A value as `/api/show` prints it.
fn spoken(value: &Value) -> BTreeSet<String> {
    let one = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_string);
    match value {
        Value::Array(items) => items.iter().map(one).collect(),
        other => BTreeSet::from([one(other)]),
    }
}

pub(super) fn check(spec: &OllamaModelSpec, own: Option<&ModelName>, review: &mut Review) {
    let fields = [
        ("system", spec.system.is_some()),
        ("template", spec.template.is_some()),
        ("parameters", spec.parameters.is_some()),
        ("messages", spec.messages.is_some()),
        ("license", spec.license.is_some()),
        ("adapters", spec.adapters.is_some()),
    ];
    let Some(from) = &spec.from else {
        let alone = fields.into_iter().filter(|(_, given)| *given);
        let issue = |(field, _)| Issue::forbidden(format!("spec.{field}"), "derived", NEEDS_FROM).fatal();
        review.issues.extend(alone.map(issue));
        return;
    };
    match ModelName::parse(from) {
        Err(why) => review
            .issues
            .push(Issue::invalid("spec.from", "model-name", from.as_str(), why).fatal()),
        Ok(base) if own.is_some_and(|own| own.key() == base.key()) => {
            let detail = "is the model itself; name the model that it is made from";
            review
                .issues
                .push(Issue::invalid("spec.from", "derived", from.as_str(), detail).fatal());
        }
        Ok(_) => {}
    }
    if spec.digest.is_some() {
        let detail = "a derived model is made here and has no digest to expect; give it to an OllamaModel of its base";
        review
            .issues
            .push(Issue::forbidden("spec.digest", "derived", detail).fatal());
    }
    check_parameters(spec, review);
    for (name, digest) in spec.adapters.iter().flatten() {
        let hex = digest.strip_prefix("sha256:").unwrap_or_default();
        if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            let detail = "must be sha256: and 64 digits, of a file that the servers have (POST /api/blobs)";
            let path = format!("spec.adapters[{name}]");
            review
                .issues
                .push(Issue::invalid(path, "adapter", digest.as_str(), detail).fatal());
        }
    }
}

const NEEDS_FROM: &str = "only a derived model has it; name the model that it is made from in spec.from";

fn check_parameters(spec: &OllamaModelSpec, review: &mut Review) {
    for (name, value) in spec.parameters.iter().flatten() {
        let plain = |v: &Value| v.is_string() || v.is_number() || v.is_boolean();
        let list = value.as_array().is_some_and(|items| items.iter().all(Value::is_string));
        if !plain(value) && !list {
            let detail = "must be a number, a text, true or false, or a list of texts";
            review
                .issues
                .push(Issue::invalid(format!("spec.parameters[{name}]"), "parameter", value.clone(), detail).fatal());
        } else if !PARAMETERS.contains(&name.as_str()) {
            review.warn(
                Concern::NoEffect,
                format!("spec.parameters[{name}] is no parameter that Ollama reads"),
            );
        }
    }
}

/// The duration that a model stays loaded, as Ollama takes it: a text with a unit, or a number of seconds.
pub(super) fn check_keep_alive(value: &Value) -> Option<Issue> {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_string);
    let good = (value.is_string() || value.is_i64()) && names::is_duration(&text);
    let detail = "is not a duration such as 10m, a number of seconds, or -1 for ever";
    (!good).then(|| Issue::invalid("spec.keepAlive", "keep-alive", value.clone(), detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(parameters: &str, system: &str, blob: &str) -> Shown {
        Shown {
            parameters: parameters.into(),
            system: system.into(),
            modelfile: format!("# made\nFROM /data/models/blobs/sha256-{blob}\n"),
            ..Shown::default()
        }
    }

    fn derived(spec: Value) -> Derived {
        Derived::of(&serde_json::from_value(spec).unwrap()).unwrap()
    }

    #[test]
    fn a_model_is_made_when_it_shows_what_was_asked_for() {
        let wanted = derived(json!({
            "name": "small", "from": "tiny", "system": "You are small.",
            "parameters": {"num_ctx": 256, "stop": ["a", "b"], "temperature": 0.5},
        }));
        let base = shown("top_k                          40", "", "5a");
        let lines = "stop                           \"b\"\nnum_ctx                        256\nstop  \"a\"\ntemperature   0.5\ntop_k 40";
        assert!(wanted.is_shown(&shown(lines, "You are small.", "5a"), &base));
        assert!(!wanted.is_shown(&shown(lines, "You are big.", "5a"), &base));
        assert!(
            !wanted.is_shown(&shown(lines, "You are small.", "5b"), &base),
            "the base has changed"
        );
        assert!(!wanted.is_shown(&shown("num_ctx 256", "You are small.", "5a"), &base));
    }

    #[test]
    fn a_second_name_is_the_same_model() {
        let wanted = derived(json!({"name": "alias", "from": "tiny"}));
        let held = |digest: &str| Held {
            name: "x".into(),
            digest: digest.into(),
            size: 1,
            modified: String::new(),
        };
        assert_eq!(wanted.is_made(&held("a"), &held("a")), Some(true));
        assert_eq!(wanted.is_made(&held("a"), &held("b")), Some(false));
        let other = derived(json!({"name": "alias", "from": "tiny", "system": "x"}));
        assert_eq!(other.is_made(&held("a"), &held("a")), None);
        assert_ne!(wanted.hash(), other.hash());
    }
}
