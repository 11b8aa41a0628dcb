//! Objects that name one model on one server: the oldest says what it is, and the last one takes it away.

use super::{OllamaModel, OllamaModelSpec};
use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::{Value, json};

impl OllamaModel {
    /// The older object that defines the model in another way; `others` name the same model on the same servers.
    #[must_use]
    pub fn elder<'a>(&self, others: impl Iterator<Item = &'a Self>) -> Option<&'a Self> {
        let oldest = others.filter(|o| o.uid() != self.uid()).min_by_key(|o| o.age())?;
        let differs = definition(&oldest.spec) != definition(&self.spec);
        (oldest.age() < self.age() && differs).then_some(oldest)
    }

    fn age(&self) -> (Option<Timestamp>, Option<String>) {
        (self.creation_timestamp().map(|t| t.0), self.uid())
    }

    /// Whom to ask about a model that is defined otherwise.
    #[must_use]
    pub fn conflict(&self, elder: &Self) -> String {
        let model = self.spec.model().map(|m| m.short()).unwrap_or_default();
        let whose = if elder.namespace() == self.namespace() {
            format!("the older OllamaModel {}", elder.name_any())
        } else {
            "an older OllamaModel of another namespace".into()
        };
        let (mine, its) = (definition(&self.spec), definition(&elder.spec));
        let fields = mine
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(name, value)| its[name.as_str()] != **value);
        let fields: Vec<&str> = fields.map(|(name, _)| name.as_str()).collect();
        format!(
            "{whose} defines {model} on the same servers with another {}: make both the same, or remove one",
            fields.join(", ")
        )
    }
}

/// What makes a model what it is; when it is pulled and what becomes of it later may differ.
fn definition(spec: &OllamaModelSpec) -> Value {
    let digest = spec
        .digest
        .as_ref()
        .map(|d| d.trim_start_matches("sha256:").to_lowercase());
    json!({
        "insecure": spec.insecure.unwrap_or(false), "digest": digest,
        "from": spec.from.as_ref().map(|f| f.to_lowercase()), "system": spec.system, "template": spec.template,
        "parameters": spec.parameters, "messages": spec.messages, "license": spec.license, "adapters": spec.adapters,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    fn model(uid: &str, second: i64, insecure: bool) -> OllamaModel {
        let spec = OllamaModelSpec {
            name: "tiny".into(),
            insecure: insecure.then_some(true),
            ..OllamaModelSpec::default()
        };
        let mut model = OllamaModel::new(uid, spec);
        model.metadata.uid = Some(uid.into());
        model.metadata.creation_timestamp = Some(Time(Timestamp::from_second(second).unwrap()));
        model
    }

    #[test]
    fn the_oldest_defines_the_model() {
        let (old, other, same) = (model("a", 1, false), model("b", 2, true), model("c", 3, false));
        let all = [old.clone(), other.clone(), same.clone()];
        assert!(old.elder(all.iter()).is_none());
        assert!(same.elder(all.iter()).is_none());
        let elder = other.elder(all.iter()).unwrap();
        assert_eq!(elder.name_any(), "a");
        assert!(
            other.conflict(elder).contains("OllamaModel a defines tiny:latest")
                && other.conflict(elder).contains("insecure")
        );
    }
}
