//! Images of the machine's own static busybox.

use std::process::Command;

use serde_json::json;

use super::{Image, PAUSE, archive, cache, layer::Layer, needs};

/// The machine's busybox and the names of its applets.
pub(super) struct Busybox {
    pub(super) program: Vec<u8>,
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

/// The container that holds a pod's namespaces: it sleeps for 68 years. Containerd ends it with SIGKILL, so it need
/// not listen to any other signal.
pub(super) fn pause() -> anyhow::Result<Image> {
    let busybox = Busybox::find()?;
    let config = json!({"Entrypoint": ["/bin/busybox", "sleep", "2147483647"], "User": "65535:65535"});
    let archive = cache::archive("pause", &[&busybox.program], |out| {
        archive::write(PAUSE, &config, out, |layer| {
            layer.folder("bin", 0o755)?;
            layer.file("bin/busybox", 0o755, &busybox.program)
        })
    })?;
    Ok(Image {
        name: PAUSE.to_owned(),
        archive,
    })
}

/// A shell and the usual tools under this name.
pub(super) fn system(name: &str) -> anyhow::Result<Image> {
    let busybox = Busybox::find()?;
    let config = json!({"Cmd": ["sh"], "Env": ["PATH=/bin"]});
    let archive = cache::archive("busybox", &[&busybox.program, name.as_bytes()], |out| {
        archive::write(name, &config, out, |layer| busybox.system(layer))
    })?;
    Ok(Image {
        name: name.to_owned(),
        archive,
    })
}
