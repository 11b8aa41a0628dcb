//! The image behind every pod sandbox: one static program.

use std::path::Path;

use serde_json::json;

use super::{Image, PAUSE, archive, cache, needs};

/// The image around the program that holds a pod's namespaces.
pub(super) fn image(program: &Path) -> anyhow::Result<Image> {
    let program = needs::statically_linked(program, "build it with CGO_ENABLED=0")?;
    let config = json!({"Entrypoint": ["/pause"], "User": "65535:65535"});
    let archive = cache::archive("pause", include_str!("pause.rs"), &[&program], |out| {
        archive::write(&[PAUSE], &config, out, |layer| layer.file("pause", 0o755, &program))
    })?;
    Ok(Image {
        name: PAUSE.to_owned(),
        archive,
    })
}
