//! The annotation that asks for a model to be pulled again.

use super::OllamaModel;
use crate::base::seen::Replica;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

/// `"true"`, or any token.
pub const REFRESH: &str = "ollama.smithforge.dev/refresh";

/// `"true"` acts at most once in this time: a tool that puts it back must not pull for ever.
const PAUSE: SignedDuration = SignedDuration::from_mins(10);

impl OllamaModel {
    /// The refresh that is asked for and has not been carried out, by a name of its own. `"true"` is replaced by the
    /// time once it is done; any other token acts once and stays.
    #[must_use]
    pub fn refresh(&self, now: Timestamp) -> Option<String> {
        let asked = self.annotations().get(REFRESH)?.trim();
        let last = self.status.as_ref().and_then(|s| s.refresh_token.as_deref());
        if asked.is_empty() || asked == "false" || asked.parse::<Timestamp>().is_ok() {
            return None;
        }
        if asked == TRUE {
            let before = last.and_then(|l| l.parse::<Timestamp>().ok());
            let rests = before.is_some_and(|before| now.duration_since(before) < PAUSE);
            return (!rests).then(|| format!("{TRUE}/{}", last.unwrap_or_default()));
        }
        (last != Some(asked)).then(|| asked.to_string())
    }

    /// What to record once the refresh that is asked for was carried out on every server.
    pub(super) fn refreshed(&self, replicas: &[Replica], now: Timestamp) -> Option<String> {
        let asked = self.refresh(now)?;
        let done = |r: &Replica| r.refreshed.as_ref() == Some(&asked);
        let over = !replicas.is_empty() && replicas.iter().all(done);
        over.then(|| {
            if asked.starts_with("true/") {
                now.to_string()
            } else {
                asked
            }
        })
    }

    /// What the annotation is to be replaced by, when this status tells of a refresh that the one before did not.
    #[must_use]
    pub fn stamp(&self, new: Option<&str>) -> Option<String> {
        let old = self.status.as_ref().and_then(|s| s.refresh_token.as_deref());
        let asked = self.annotations().get(REFRESH)?.trim();
        new.filter(|new| asked == TRUE && old != Some(new)).map(str::to_string)
    }
}

const TRUE: &str = "true";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::ollamamodel::{OllamaModelSpec, OllamaModelStatus};
    use std::collections::BTreeMap;

    fn model(annotation: &str, token: Option<&str>) -> OllamaModel {
        let mut model = OllamaModel::new("m", OllamaModelSpec::default());
        model.metadata.annotations = Some(BTreeMap::from([(REFRESH.to_string(), annotation.to_string())]));
        model.status = Some(OllamaModelStatus {
            refresh_token: token.map(str::to_string),
            ..OllamaModelStatus::default()
        });
        model
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn true_acts_once_in_ten_minutes() {
        let now = at("2026-01-01T00:20:00Z");
        assert_eq!(model("true", None).refresh(now).as_deref(), Some("true/"));
        assert_eq!(model("true", Some("2026-01-01T00:15:00Z")).refresh(now), None);
        assert!(model("true", Some("2026-01-01T00:05:00Z")).refresh(now).is_some());
        assert_eq!(model("2026-01-01T00:15:00Z", None).refresh(now), None);
        assert_eq!(model("false", None).refresh(now), None);
    }

    #[test]
    fn a_token_acts_once() {
        let now = at("2026-01-01T00:20:00Z");
        assert_eq!(model("v2", Some("v1")).refresh(now).as_deref(), Some("v2"));
        assert_eq!(model("v2", Some("v2")).refresh(now), None);
    }

    #[test]
    fn only_true_is_replaced() {
        let time = "2026-01-01T00:20:00Z";
        assert_eq!(model("true", None).stamp(Some(time)).as_deref(), Some(time));
        assert_eq!(model("true", Some(time)).stamp(Some(time)), None, "put back by a tool");
        assert_eq!(model("v2", Some("v1")).stamp(Some("v2")), None);
    }
}
