//! The operator's image for clusters on this machine.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::images::{self, Image};
use crate::packages::{self, Need};

/// The name of the image, without its tag.
const REPOSITORY: &str = "localhost/llm-operator";

/// The image around a static program, from the project's own Dockerfile. Another program is another tag, so that a
/// release that is upgraded to it rolls its pods.
///
/// # Errors
/// If the program is not static, or the machine cannot build images.
pub fn image(program: &Path) -> Result<Image> {
    packages::require(Need::Images)?;
    let bytes = std::fs::read(program).with_context(|| format!("cannot read the operator, {}", program.display()))?;
    let hash = Sha256::digest(bytes)
        .iter()
        .take(6)
        .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    let dockerfile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Dockerfile");
    images::operator_image(&format!("{REPOSITORY}:{hash}"), program, &dockerfile)
}

/// What the chart has to be told to run an image that is in the node and nowhere else.
#[must_use]
pub fn values(image: &Image) -> Value {
    let (repository, tag) = image.name.rsplit_once(':').unwrap_or((&image.name, "latest"));
    json!({"image": {"registry": "", "repository": repository, "tag": tag, "pullPolicy": "Never"}})
}
