//! The rules on the block of Redis, in Rust and, as far as it can say them, in CEL.

use super::{NAME, RedisSpec};
use crate::base::issue::{Concern, Issue, Review};
use crate::base::url;
use crate::component::common::check::{self, Subject};
use crate::component::common::persistence;
use serde_json::Value;

impl RedisSpec {
    /// Every rule on the block itself, given whether a Redis of the stack runs; `old` is the block before the change,
    /// where it ran.
    #[must_use]
    pub fn check(&self, path: &str, old: Option<&Self>, runs: bool) -> Review {
        let common = self.common();
        let mut review = check::component(&Subject::inner(path, &common, NAME), self);
        if let Some(volume) = self.volume(&common).filter(|_| runs) {
            let before = old.map(Self::common);
            let before = old.zip(before.as_ref()).and_then(|(old, common)| old.volume(common));
            review.issues.extend(volume.check(path, before));
        }
        self.check_address(path, runs, &mut review);
        self.check_password(path, runs, &mut review);
        review
    }

    fn check_address(&self, path: &str, runs: bool, review: &mut Review) {
        if let Some(reference) = &self.url_secret_ref {
            review.issues.extend(reference.check(&format!("{path}.urlSecretRef")));
        }
        if let Some(address) = self.url.as_deref().filter(|u| !u.is_empty()) {
            let at = format!("{path}.url");
            if url::has_password(address) {
                let text = format!("{at} holds a password that every reader of this object sees; use urlSecretRef");
                review.warn(Concern::Security, text);
            }
            if !url::is_redis(address) {
                // The address may hold a password, so it is not repeated.
                let detail = "is no address such as redis://cache:6379/0 (or rediss://)";
                review.issues.push(Issue::invalid(at, "redis-url", "…", detail).fatal());
            }
        }
        if self.url.is_some() && self.url_secret_ref.is_some() {
            let detail = "must not stand beside url; keep one of the two";
            let issue = Issue::forbidden(format!("{path}.urlSecretRef"), "redis-twice", detail);
            review.issues.push(issue.fatal());
        }
        if runs && self.is_elsewhere() {
            let detail = "must not be true beside the address of another Redis; remove one of the two";
            let issue = Issue::invalid(format!("{path}.enabled"), "redis-twice", true, detail);
            review.issues.push(issue.fatal());
        }
    }

    fn check_password(&self, path: &str, runs: bool, review: &mut Review) {
        if let Some(reference) = &self.password_secret_ref {
            review
                .issues
                .extend(reference.check(&format!("{path}.passwordSecretRef")));
        }
        let at = format!("{path}.password");
        if self.password.is_some() && self.password_secret_ref.is_some() {
            let detail = "must not stand beside password; keep one of the two";
            let issue = Issue::forbidden(format!("{path}.passwordSecretRef"), "redis-password-twice", detail);
            review.issues.push(issue.fatal());
        }
        let Some(password) = &self.password else { return };
        if password.chars().any(char::is_control) {
            let detail = "must not hold control characters such as line breaks";
            review
                .issues
                .push(Issue::invalid(at, "redis-password", "…", detail).fatal());
        } else if !runs {
            review.warn(
                Concern::NoEffect,
                format!("{at} does nothing: no Redis of this stack runs"),
            );
        } else {
            let text = format!("{at} can be read by every reader of this object; use passwordSecretRef");
            review.warn(Concern::Security, text);
        }
    }
}

/// What CEL can say of it.
pub(super) fn schema() -> Value {
    persistence::rules(false).into()
}
