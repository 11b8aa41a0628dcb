//! Which models the registry has.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use anyhow::ensure;
use bytes::Bytes;

use super::package::{Built, digest};

/// The content of a registry; clones are the same content.
#[derive(Clone, Default)]
pub(super) struct Store(Arc<RwLock<Content>>);

#[derive(Default)]
struct Content {
    blobs: HashMap<String, Bytes>,
    /// By repository and tag, and by repository and digest.
    manifests: HashMap<(String, String), Bytes>,
}

/// A name without its host, as in `library/tiny:latest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    repository: String,
    tag: String,
}

impl std::str::FromStr for Name {
    type Err = anyhow::Error;

    /// Ollama asks for two path segments and a tag, and takes `latest` where none is given.
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (repository, tag) = text.split_once(':').unwrap_or((text, "latest"));
        let segments = repository.split('/').filter(|segment| !segment.is_empty()).count();
        let whole = segments == 2 && repository.matches('/').count() == 1 && !tag.is_empty() && !tag.contains('/');
        ensure!(
            whole,
            "model name {text:?} is not of the form NAMESPACE/MODEL:TAG, as in \"library/tiny:latest\""
        );
        Ok(Self {
            repository: repository.to_owned(),
            tag: tag.to_owned(),
        })
    }
}

impl Store {
    /// Puts a model under a name, in place of what had that name. Returns the digest of the manifest.
    pub(super) fn add(&self, name: Name, built: Built) -> String {
        let digest = digest(&built.manifest);
        let mut content = self.0.write().unwrap_or_else(PoisonError::into_inner);
        content.blobs.extend(built.blobs);
        content
            .manifests
            .insert((name.repository.clone(), digest.clone()), built.manifest.clone());
        content.manifests.insert((name.repository, name.tag), built.manifest);
        digest
    }

    /// Takes a name away; blobs stay, as in a registry that was not swept. False if nothing had the name.
    pub(super) fn remove(&self, name: &Name) -> bool {
        let key = (name.repository.clone(), name.tag.clone());
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .manifests
            .remove(&key)
            .is_some()
    }

    pub(super) fn blob(&self, digest: &str) -> Option<Bytes> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .blobs
            .get(digest)
            .cloned()
    }

    /// The manifest under a tag or a digest.
    pub(super) fn manifest(&self, repository: &str, reference: &str) -> Option<Bytes> {
        let key = (repository.to_owned(), reference.to_owned());
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .manifests
            .get(&key)
            .cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_two_segments_and_a_tag() {
        let name = |repository: &str, tag: &str| Name {
            repository: repository.into(),
            tag: tag.into(),
        };
        assert_eq!("library/tiny".parse::<Name>().unwrap(), name("library/tiny", "latest"));
        assert_eq!("acme/code:7b".parse::<Name>().unwrap(), name("acme/code", "7b"));
        for wrong in ["tiny", "127.0.0.1:5000/library/tiny", "/tiny", "a/b/c", "library/tiny:"] {
            let message = wrong.parse::<Name>().unwrap_err().to_string();
            assert!(message.contains("NAMESPACE/MODEL:TAG"), "{wrong}: {message}");
        }
    }
}
