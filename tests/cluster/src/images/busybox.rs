//! Images of the machine's own static busybox.

use std::process::Command;

use serde_json::json;

use super::{Image, archive, cache, layer::Layer, needs};

/// This recipe, which is part of every image that is made of it.
pub(super) const RECIPE: &str = include_str!("busybox.rs");

/// The machine's busybox and the names of its applets.
pub(super) struct Busybox {
    program: Vec<u8>,
    applets: String,
}

impl Busybox {
    pub(super) fn find() -> anyhow::Result<Self> {
        let path = needs::program("busybox", "busybox-static")?;
        let way_out = "install the static one with: apt-get install -y --no-install-recommends busybox-static";
        let program = needs::statically_linked(&path, way_out)?;
        let applets = needs::run(Command::new(&path).arg("--list"))?;
        Ok(Self { program, applets })
    }

    /// The program itself.
    pub(super) fn program(&self) -> &[u8] {
        &self.program
    }

    /// A small system: every applet in `/bin`, users, a temporary folder.
    pub(super) fn system(&self, layer: &mut Layer) -> anyhow::Result<()> {
        for folder in ["bin", "dev", "etc", "proc", "root", "run", "sys", "var"] {
            layer.folder(folder, 0o755)?;
        }
        layer.folder("tmp", 0o1777)?;
        layer.file("bin/busybox", 0o755, &self.program)?;
        for applet in self.applets.lines().filter(|applet| *applet != "busybox") {
            layer.symlink(&format!("bin/{applet}"), "busybox")?;
        }
        layer.file(
            "etc/passwd",
            0o644,
            b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
        )?;
        layer.file("etc/group", 0o644, b"root:x:0:\nnogroup:x:65534:\n")
    }
}

/// A shell and the usual tools under this name.
pub(super) fn system(name: &str) -> anyhow::Result<Image> {
    let busybox = Busybox::find()?;
    let config = json!({"Cmd": ["sh"], "Env": ["PATH=/bin"]});
    let archive = cache::archive("busybox", RECIPE, &[&busybox.program, name.as_bytes()], |out| {
        archive::write(&[name], &config, out, |layer| busybox.system(layer))
    })?;
    Ok(Image {
        name: name.to_owned(),
        archive,
    })
}
