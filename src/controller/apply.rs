//! One loop that applies what should exist.

mod counts;
mod refusal;

use super::{Context, cache, inherit, memory};
use crate::base::condition::Reason;
use crate::base::hash;
use crate::base::object::{Form, Generated, Object, Owner, Treatment};
use crate::kind::Refusal;
use base64::Engine;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::DynamicObject;
use kube::{Api, ResourceExt};
use rand::TryRngCore;
use rand::rngs::OsRng;
use std::collections::BTreeSet;

/// Why a reconcile did not come to its end; it is tried again.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The API server could not be asked, or answered with an error of its own.
    #[error("{what}: {source}")]
    Api {
        /// What was being done.
        what: String,
        /// What went wrong.
        source: Box<kube::Error>,
    },
    /// The operating system gave no random numbers; nothing weaker is used instead.
    #[error("no random numbers for Secret {0}: {1}")]
    Random(String, rand::rand_core::OsError),
    /// A Secret that the manifest names could not be read.
    #[error("Secret {0} could not be read: the API server has not answered its watch")]
    Unread(String),
    /// The object could not be written as JSON.
    #[error("{0} cannot be written as JSON: {1}")]
    Json(String, serde_json::Error),
    /// The API server refused children; what it said is in the status already.
    #[error("{0} objects were refused")]
    Refused(usize),
}

impl Error {
    /// The reason, of the one list.
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::Api { .. } | Self::Random(..) | Self::Unread(_) => Reason::ApiError,
            Self::Json(..) => Reason::Undecodable,
            Self::Refused(_) => Reason::Refused,
        }
    }
}

/// What became of one object.
enum Applied {
    /// As it was: nothing was sent.
    Unchanged,
    /// What the API server made of it.
    Live(Box<DynamicObject>),
    Refused(Refusal),
    /// The namespace is going: nothing can be made in it any more.
    Terminating,
}

/// What became of all objects.
#[derive(Default)]
pub(super) struct Done {
    pub(super) refused: Vec<Refusal>,
    /// What the cluster does not serve, as titles of objects.
    pub(super) missing: Vec<String>,
    pub(super) terminating: bool,
}

/// Applies what differs and is not held back, in order, and lays the answers over `live`.
pub(super) async fn apply(
    context: &Context,
    manager: &str,
    owner: &Owner,
    desired: &[Object],
    held: &BTreeSet<String>,
    live: &mut Vec<DynamicObject>,
) -> Result<Done, Error> {
    let mut result = Done::default();
    for object in desired.iter().filter(|object| !held.contains(&object.title())) {
        if context.cache.lacks(&object.resource) {
            result.missing.push(object.title());
            continue;
        }
        let before = live.iter().position(|l| is(l, object));
        let job = Job {
            context,
            manager,
            owner,
            object,
        };
        match job.run(before.map(|i| &live[i])).await? {
            Applied::Unchanged => {}
            Applied::Refused(refusal) => result.refused.push(refusal),
            Applied::Terminating => {
                result.terminating = true;
                return Ok(result);
            }
            Applied::Live(answer) => {
                let answer = cache::live(*answer, &object.resource);
                context
                    .memory
                    .sent(&key(owner), object, before.map(|i| &live[i]), &answer);
                match before {
                    Some(i) => live[i] = answer,
                    None => live.push(answer),
                }
            }
        }
    }
    Ok(result)
}

struct Job<'a> {
    context: &'a Context,
    manager: &'a str,
    owner: &'a Owner,
    object: &'a Object,
}

impl Job<'_> {
    async fn run(&self, live: Option<&DynamicObject>) -> Result<Applied, Error> {
        if self.object.treatment == Treatment::Kept || self.context.memory.is_sent(&key(self.owner), self.object, live)
        {
            return Ok(Applied::Unchanged);
        }
        // What the watch has not is not ours, or does not exist, or was made a moment ago.
        let found = match live {
            Some(live) => Some(live.metadata.clone()),
            None => self
                .api()
                .get_metadata_opt(&self.object.name)
                .await
                .map_err(|e| self.failed("read", e))?
                .map(|m| m.metadata),
        };
        if live.is_none()
            && let Some(meta) = found
                .as_ref()
                .filter(|meta| inherit::is_left(self.owner, self.object, meta))
            && inherit::adopt(&self.api(), self.owner, self.object, meta).await?
        {
            // As it is now, it comes with the watch.
            return Ok(Applied::Unchanged);
        }
        let uid = match found {
            Some(meta) if !inherit::is_ours(self.owner, self.object, &meta) => {
                return Ok(Applied::Refused(refusal::conflict(self.owner, self.object)));
            }
            Some(meta) => meta.uid,
            None => None,
        };
        match (&self.object.treatment, uid) {
            (Treatment::Generated(_), Some(_)) => Ok(Applied::Unchanged),
            (Treatment::Generated(values), None) => self.generate(values).await,
            (_, uid) => self.patch(uid).await,
        }
    }

    /// Forced, under our own manager: whoever else writes these fields loses. The uid makes sure that the object is
    /// still the one that was found to be ours; it is left away where there was none, since an apply that creates
    /// gives every field to our manager, so that it can also be taken away again later.
    async fn patch(&self, uid: Option<String>) -> Result<Applied, Error> {
        let mut body = self.object.body.clone();
        match (self.object.counted, &uid) {
            (Some(counted), Some(_)) => self.hand_over(counted).await?,
            (Some(counted), None) => body["spec"]["replicas"] = counted.start.into(),
            (None, _) => {}
        }
        if let Some(uid) = uid {
            body["metadata"]["uid"] = uid.into();
        }
        let parameters = PatchParams::apply(self.manager).force();
        self.answer(
            "apply",
            self.api()
                .patch(&self.object.name, &parameters, &Patch::Apply(&body))
                .await,
        )
    }

    async fn generate(&self, values: &[Generated]) -> Result<Applied, Error> {
        let mut body = self.object.body.clone();
        for value in values {
            let text = made(value.form).map_err(|e| Error::Random(self.object.name.clone(), e))?;
            body["data"][value.key] = base64::engine::general_purpose::STANDARD.encode(text).into();
        }
        let object: DynamicObject = serde_json::from_value(body).map_err(|e| Error::Json(self.object.title(), e))?;
        let parameters = PostParams {
            dry_run: false,
            field_manager: Some(self.manager.to_string()),
        };
        self.answer("create", self.api().create(&parameters, &object).await)
    }

    /// Sorts what the API server says: a no that stays is told in the status, anything else is tried again.
    fn answer(&self, what: &str, answer: kube::Result<DynamicObject>) -> Result<Applied, Error> {
        match answer {
            Ok(live) => Ok(Applied::Live(Box::new(live))),
            Err(kube::Error::Api(status)) if is_terminating(&status) => Ok(Applied::Terminating),
            Err(kube::Error::Api(status)) if refusal::is_final(&status) => {
                let message = format!(
                    "{} was refused by the API server: {}{}",
                    self.object.title(),
                    status.message,
                    way_out(&status.message)
                );
                Ok(Applied::Refused(Refusal {
                    conflict: false,
                    message,
                }))
            }
            Err(error) => Err(self.failed(what, error)),
        }
    }

    fn failed(&self, what: &str, source: kube::Error) -> Error {
        Error::Api {
            what: format!("{what} {}", self.object.title()),
            source: Box::new(source),
        }
    }

    fn api(&self) -> Api<DynamicObject> {
        Api::namespaced_with(
            self.context.client.clone(),
            &self.owner.namespace,
            &self.object.resource,
        )
    }
}

/// What to do where the API server does not say it.
fn way_out(message: &str) -> &'static str {
    if message.contains("must support resize") {
        "; set allowVolumeExpansion on that StorageClass, or move the data to a new object"
    } else {
        ""
    }
}

fn key(owner: &Owner) -> String {
    memory::key(&owner.kind, &owner.namespace, &owner.name)
}

pub(super) fn is(live: &DynamicObject, object: &Object) -> bool {
    live.name_any() == object.name
        && live
            .types
            .as_ref()
            .is_some_and(|t| t.kind == object.resource.kind && t.api_version == object.resource.api_version)
}

pub(super) fn is_terminating(status: &kube::core::Status) -> bool {
    let causes = status.details.iter().flat_map(|d| &d.causes);
    let gone = status.code == 404 && status.details.as_ref().is_some_and(|d| d.kind == "namespaces");
    gone || status.code == 403 && causes.into_iter().any(|c| c.reason == "NamespaceTerminating")
}

/// A new value.
pub(super) fn made(form: Form) -> Result<String, rand::rand_core::OsError> {
    match form {
        Form::Uuid => uuid(),
        Form::Key => key_of_256_bits(),
    }
}

/// 256 random bits, from the operating system's generator.
fn key_of_256_bits() -> Result<String, rand::rand_core::OsError> {
    let mut bytes = [0_u8; 32];
    OsRng.try_fill_bytes(&mut bytes)?;
    Ok(hash::plain(&bytes))
}

/// A random UUID (RFC 9562, version 4), from the operating system's generator.
fn uuid() -> Result<String, rand::rand_core::OsError> {
    let mut bytes = [0_u8; 16];
    OsRng.try_fill_bytes(&mut bytes)?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hash::plain(&bytes);
    Ok([&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_have_their_version_and_differ() {
        let (one, other) = (uuid().unwrap(), uuid().unwrap());
        assert_eq!(one.len(), 36);
        assert_eq!(&one[14..15], "4");
        assert!("89ab".contains(&one[19..20]));
        assert_ne!(one, other);
    }

    #[test]
    fn keys_have_their_length_and_differ() {
        let (one, other) = (key_of_256_bits().unwrap(), key_of_256_bits().unwrap());
        assert!(one.len() == 64 && one.bytes().all(|b| b.is_ascii_hexdigit()), "{one}");
        assert_ne!(one, other);
    }
}
