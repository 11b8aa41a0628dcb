//! What a registry holds for one model: layers, configuration and manifest, as `ollama push` makes them.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::gguf::Model;

/// The media type of a manifest.
pub(super) const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// A model with the texts that go with it. It is a description; the bytes are made when a registry gets it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Package {
    model: Model,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    layers: BTreeMap<String, String>,
}

impl From<Model> for Package {
    fn from(model: Model) -> Self {
        Self {
            model,
            layers: BTreeMap::new(),
        }
    }
}

impl Package {
    /// Adds a layer by the last word of its media type: `template`, `system`, `license`, or `params` (a JSON object).
    #[must_use]
    pub fn with(mut self, kind: &str, text: &str) -> Self {
        self.layers.insert(kind.to_owned(), text.to_owned());
        self
    }

    /// The bytes to serve; this takes a while for a padded model.
    pub(super) fn build(&self) -> Built {
        let file = self.model.file();
        let size = human(file.parameters);
        let mut built = Built {
            blobs: Vec::new(),
            manifest: Bytes::new(),
        };
        let mut layers = vec![built.blob("application/vnd.ollama.image.model", file.bytes)];
        for (kind, text) in &self.layers {
            layers.push(built.blob(
                &format!("application/vnd.ollama.image.{kind}"),
                text.clone().into_bytes(),
            ));
        }
        let config = built.blob(CONFIG, self.config(&size, &layers).into_bytes());
        let manifest = Manifest {
            schema_version: 2,
            media_type: MANIFEST,
            config,
            layers,
        };
        built.manifest = serde_json::to_vec(&manifest)
            .expect("a manifest has only texts and numbers")
            .into();
        built
    }

    /// The fields Ollama reads back into `/api/tags` and `/api/show`.
    fn config(&self, size: &str, layers: &[Descriptor]) -> String {
        let family = self.model.architecture().name();
        let digests: Vec<_> = layers.iter().map(|layer| &layer.digest).collect();
        json!({
            "model_format": "gguf", "model_family": family, "model_families": [family],
            "model_type": size, "file_type": "F32", "architecture": "amd64", "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": digests},
        })
        .to_string()
    }
}

/// The bytes of a package.
pub(super) struct Built {
    /// Digest and content of each.
    pub(super) blobs: Vec<(String, Bytes)>,
    pub(super) manifest: Bytes,
}

impl Built {
    fn blob(&mut self, media_type: &str, bytes: Vec<u8>) -> Descriptor {
        let descriptor = Descriptor {
            media_type: media_type.to_owned(),
            digest: digest(&bytes),
            size: bytes.len(),
        };
        self.blobs.push((descriptor.digest.clone(), bytes.into()));
        descriptor
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u8,
    media_type: &'static str,
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: usize,
}

/// `sha256:` and the hash in hexadecimal.
pub(super) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(bytes))
}

/// A number of parameters as Ollama writes it: `124K`, `21.04M`.
fn human(parameters: u64) -> String {
    if parameters < 1_000_000 {
        return format!("{}K", (parameters + 500) / 1000);
    }
    let hundredths = (parameters + 5_000) / 10_000;
    format!("{}.{:02}M", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_names_every_blob_with_its_size() {
        let built = Package::from(Model::llama()).with("template", "{{ .Prompt }}").build();
        let manifest: serde_json::Value = serde_json::from_slice(&built.manifest).unwrap();
        let named = [&manifest["layers"][0], &manifest["layers"][1], &manifest["config"]];
        for (descriptor, (digest, bytes)) in named.into_iter().zip(&built.blobs) {
            assert_eq!(descriptor["digest"], *digest);
            assert_eq!(descriptor["size"], bytes.len());
        }
        assert_eq!(
            manifest["layers"][1]["mediaType"],
            "application/vnd.ollama.image.template"
        );
    }

    #[test]
    fn parameters_are_written_as_ollama_writes_them() {
        assert_eq!(human(124_480), "124K");
        assert_eq!(human(21_037_120), "21.04M");
    }
}
