//! The image of a real S3 server: VersityGW over a folder, each bucket a folder in it.

use std::path::Path;

use serde_json::json;

use super::{Image, S3, archive, busybox, busybox::Busybox, cache, needs};

/// The server behind a shell that makes the buckets first.
pub(super) fn image(program: &Path) -> anyhow::Result<Image> {
    let program = needs::statically_linked(program, "build it with CGO_ENABLED=0")?;
    let busybox = Busybox::find()?;
    let config = json!({
        "Entrypoint": ["/bin/versitygw"], "Env": ["PATH=/bin"], "ExposedPorts": {"7070/tcp": {}},
    });
    let archive = cache::archive(
        "versitygw",
        include_str!("s3.rs"),
        &[&program, busybox.program(), busybox::RECIPE.as_bytes()],
        |out| {
            archive::write(&[S3], &config, out, |layer| {
                busybox.system(layer)?;
                layer.folder("data", 0o755)?;
                layer.file("bin/versitygw", 0o755, &program)
            })
        },
    )?;
    Ok(Image {
        name: S3.to_owned(),
        archive,
    })
}
