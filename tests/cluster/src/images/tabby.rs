//! The image of the stand-in for Tabby: its program where Tabby's is, on a small system with the shell that Tabby's has.

use std::path::Path;

use serde_json::json;

use super::{Image, TABBY, archive, busybox, busybox::Busybox, cache, needs};

/// The image around the stand-in, with the entry point and the environment of `tabbyml/tabby`.
pub(super) fn image(program: &Path) -> anyhow::Result<Image> {
    let program = needs::statically_linked(program, "build it with CGO_ENABLED=0")?;
    let busybox = Busybox::find()?;
    let config = json!({
        "Entrypoint": ["/opt/tabby/bin/tabby"], "Env": ["PATH=/bin", "TABBY_ROOT=/data"],
        "ExposedPorts": {"8080/tcp": {}},
    });
    let archive = cache::archive(
        "tabby",
        include_str!("tabby.rs"),
        &[&program, busybox.program(), busybox::RECIPE.as_bytes()],
        |out| {
            archive::write(&[TABBY], &config, out, |layer| {
                busybox.system(layer)?;
                for folder in ["opt", "opt/tabby", "opt/tabby/bin", "data"] {
                    layer.folder(folder, 0o755)?;
                }
                layer.file("opt/tabby/bin/tabby", 0o755, &program)
            })
        },
    )?;
    Ok(Image {
        name: TABBY.to_owned(),
        archive,
    })
}
