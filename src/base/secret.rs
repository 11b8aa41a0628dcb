//! What Secrets of users hold, as far as deciding needs it: whether a key is there, its text, and a mark of its content.

use super::hash;
use base64::Engine;
use hmac::{Hmac, Mac};
use kube::ResourceExt;
use kube::core::DynamicObject;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;

/// The annotation of pods that read Secrets at their start.
const ANNOTATION: &str = "llm.geeper.io/secrets-hash";

/// Secrets of one namespace, by name; `None` for one that does not exist.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(BTreeMap<String, Option<Content>>);

/// What a Secret holds.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// These keys and their bytes.
    Keys(BTreeMap<String, Vec<u8>>),
    /// Every key, with a word of no meaning: for showing what a manifest becomes without a cluster.
    Any,
}

impl Content {
    fn get(&self, key: &str) -> Option<&[u8]> {
        match self {
            Self::Keys(keys) => keys.get(key).map(Vec::as_slice),
            Self::Any => Some(b"REDACTED"),
        }
    }
}

/// What is known of a key of a Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is there.
    Key,
    /// The Secret is there without it, or with nothing under it.
    NoKey,
    /// There is no such Secret.
    NoSecret,
    /// Nobody has looked yet.
    Unknown,
}

impl Secrets {
    /// Notes what a Secret holds; `None` when it does not exist.
    pub fn put(&mut self, name: impl Into<String>, content: Option<Content>) {
        self.0.insert(name.into(), content);
    }

    /// What is known of the key.
    #[must_use]
    pub fn find(&self, name: &str, key: &str) -> Found {
        match self.0.get(name) {
            None => Found::Unknown,
            Some(None) => Found::NoSecret,
            Some(Some(content)) if content.get(key).is_some_and(|v| !v.is_empty()) => Found::Key,
            Some(Some(_)) => Found::NoKey,
        }
    }

    /// True where there is something under the key that no variable can hold: it is no UTF-8, or has a zero byte.
    #[must_use]
    pub fn is_binary(&self, name: &str, key: &str) -> bool {
        let bytes = || self.0.get(name)?.as_ref()?.get(key);
        bytes().is_some_and(|bytes| bytes.contains(&0) || std::str::from_utf8(bytes).is_err())
    }

    /// The text without any value that these Secrets hold: what a program says at its end may repeat one.
    #[must_use]
    pub fn redacted(&self, text: &str) -> String {
        let contents = self.0.values().flatten().filter_map(|content| match content {
            Content::Keys(keys) => Some(keys.values()),
            Content::Any => None,
        });
        let texts = contents.flatten().filter_map(|bytes| std::str::from_utf8(bytes).ok());
        let mut told = text.to_string();
        // A shorter one is a word that anybody may use.
        for secret in texts.map(str::trim).filter(|secret| secret.len() >= 4) {
            told = told.replace(secret, "[redacted]");
        }
        told
    }

    /// The text under the key.
    #[must_use]
    pub fn text(&self, name: &str, key: &str) -> Option<&str> {
        let bytes = self.0.get(name)?.as_ref()?.get(key)?;
        std::str::from_utf8(bytes).ok().filter(|text| !text.is_empty())
    }

    /// A mark of the content of these keys, made with a secret of our own: a plain hash would let its readers guess weak
    /// passwords.
    #[must_use]
    pub fn mark(&self, salt: (&str, &str), keys: &[(String, String)]) -> Mark {
        if keys.is_empty() {
            return Mark::Needless;
        }
        self.marked(salt, keys).map_or(Mark::Unknown, Mark::Known)
    }

    fn marked(&self, salt: (&str, &str), keys: &[(String, String)]) -> Option<String> {
        let salt = self.0.get(salt.0)?.as_ref()?.get(salt.1)?;
        let mut message = vec![];
        for (name, key) in keys {
            let value = self.0.get(name)?.as_ref()?.get(key)?;
            message.extend(Sha256::digest(name));
            message.extend(Sha256::digest(key));
            message.extend(Sha256::digest(value));
        }
        let mut mark = hash::plain(&hmac(salt, &message));
        mark.truncate(16);
        Some(mark)
    }
}

/// What stands for the content of the Secrets that pods read at their start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Mark {
    /// They read none that can change.
    #[default]
    Needless,
    /// It changes with the content.
    Known(String),
    /// Something of it is not there, or is about to be made.
    Unknown,
}

impl Mark {
    /// True when the workload should not be made yet: it would be rolled as soon as the mark is known.
    #[must_use]
    pub fn is_awaited(&self, live: Option<&DynamicObject>) -> bool {
        *self == Self::Unknown && live.is_none()
    }

    /// The annotation of the pods. While something cannot be read, the one that the workload has: its pods keep running.
    #[must_use]
    pub fn annotation(&self, live: Option<&DynamicObject>) -> Option<(String, Value)> {
        let mark = match self {
            Self::Needless => None,
            Self::Known(mark) => Some(mark),
            Self::Unknown => live?.annotations().get(ANNOTATION),
        };
        mark.map(|mark| (ANNOTATION.to_string(), mark.as_str().into()))
    }
}

/// Never the content.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// HMAC-SHA-256 (RFC 2104).
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.chain_update(message).finalize().into_bytes().to_vec()
}

/// The mark among these annotations of pods, as an annotation of the workload itself, where it can be read back.
#[must_use]
pub fn noted(annotations: &Map<String, Value>) -> Option<Value> {
    annotations.get(ANNOTATION).map(|mark| json!({ANNOTATION: mark}))
}

/// The text as it stands in the data of a Secret.
#[must_use]
pub fn coded(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test cases 2 and 6.
    #[test]
    fn the_mark_is_the_standard_one() {
        assert_eq!(
            hash::plain(&hmac(b"Jefe", b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            hash::plain(&hmac(
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First"
            )),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn what_is_missing_is_told_apart() {
        let mut secrets = Secrets::default();
        let content = |key: &str, value: &str| {
            let keys = BTreeMap::from([(key.to_string(), value.as_bytes().to_vec())]);
            Some(Content::Keys(keys))
        };
        secrets.put("a", content("k", "v"));
        secrets.put("empty", content("k", ""));
        secrets.put("gone", None);
        let found = ["a", "empty", "gone", "new"].map(|name| secrets.find(name, "k"));
        assert_eq!(found, [Found::Key, Found::NoKey, Found::NoSecret, Found::Unknown]);
        assert_eq!(secrets.find("a", "other"), Found::NoKey);
        let keys = [("a".to_string(), "k".to_string())];
        let mark = secrets.mark(("a", "k"), &keys);
        assert!(matches!(&mark, Mark::Known(mark) if mark.len() == 16), "{mark:?}");
        secrets.put("salt", content("s", "other"));
        assert_ne!(secrets.mark(("salt", "s"), &keys), mark);
        assert_eq!(secrets.mark(("gone", "s"), &keys), Mark::Unknown);
        assert_eq!(secrets.mark(("gone", "s"), &[]), Mark::Needless);
        assert!(!format!("{secrets:?}").contains('v'), "{secrets:?}");
    }

    #[test]
    fn what_no_variable_can_hold_is_told_apart_and_no_value_is_repeated() {
        let mut secrets = Secrets::default();
        let keys = |value: &[u8]| Some(Content::Keys(BTreeMap::from([("k".to_string(), value.to_vec())])));
        secrets.put("good", keys(b"swordfish\n"));
        secrets.put("short", keys(b"no"));
        secrets.put("bytes", keys(&[0xff, 0xfe]));
        secrets.put("zero", keys(b"a\0b"));
        let binary = ["good", "short", "bytes", "zero", "gone"].map(|name| secrets.is_binary(name, "k"));
        assert_eq!(binary, [false, false, true, true, false]);
        assert_eq!(
            secrets.redacted("no way in with swordfish"),
            "no way in with [redacted]"
        );
    }
}
