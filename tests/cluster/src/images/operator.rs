//! The operator's own image, from the project's Dockerfile, around a binary that was built before.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;
use serde_json::json;

use super::{Image, archive, busybox::Busybox, cache, needs};

/// The base image that takes the place of the Rust toolchain: a shell, and the binary where the Dockerfile would
/// otherwise build it.
const BUILD_IMAGE: &str = "localhost/llm-operator-build:1";

/// Builds the Dockerfile under `name`. Its build argument `BUILD_IMAGE` becomes an image that already has the binary
/// as `/llm-operator`, in which case the Dockerfile has nothing to compile; the context is the Dockerfile's folder.
pub(super) fn build(name: &str, binary: &Path, dockerfile: &Path) -> anyhow::Result<Image> {
    let way_out = "build it with RUSTFLAGS='-C target-feature=+crt-static' and an explicit --target";
    let program = needs::statically_linked(binary, way_out)?;
    let recipe = fs::read(dockerfile).with_context(|| format!("reading {}", dockerfile.display()))?;
    let archive = cache::archive("llm-operator", &[name.as_bytes(), &program, &recipe], |out| {
        needs::root("building an image from a Dockerfile")?;
        let buildah = Buildah::find(out)?;
        buildah.pull(&base(&program, out)?)?;
        buildah.build(name, dockerfile)?;
        buildah.export(name, out)
    })?;
    Ok(Image {
        name: name.to_owned(),
        archive,
    })
}

fn base(program: &[u8], out: &Path) -> anyhow::Result<PathBuf> {
    let busybox = Busybox::find()?;
    let path = out.with_file_name("base.tar");
    archive::write(BUILD_IMAGE, &json!({"Env": ["PATH=/bin"]}), &path, |layer| {
        busybox.system(layer)?;
        layer.file("llm-operator", 0o755, program)
    })?;
    Ok(path)
}

/// Buildah with a store of its own beside the archive, which goes with the scratch folder. The `vfs` driver copies
/// instead of mounting: for images this small that costs nothing, and a killed build leaves no mount.
struct Buildah {
    program: PathBuf,
    store: PathBuf,
}

impl Buildah {
    fn find(out: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            program: needs::program("buildah", "buildah")?,
            store: out.with_file_name("buildah"),
        })
    }

    fn pull(&self, archive: &Path) -> anyhow::Result<()> {
        self.run([
            "pull".as_ref(),
            "--quiet".as_ref(),
            prefixed("docker-archive:", archive, "").as_os_str(),
        ])
    }

    fn build(&self, name: &str, dockerfile: &Path) -> anyhow::Result<()> {
        let dockerfile = dockerfile.canonicalize()?;
        let context = dockerfile.parent().context("a Dockerfile lies in a folder")?;
        let base = format!("BUILD_IMAGE={BUILD_IMAGE}");
        let options = [
            "bud",
            "--quiet",
            "--isolation=chroot",
            "--pull-never",
            "--timestamp=0",
            "--build-arg",
            &base,
        ];
        let options = options.into_iter().chain(["--tag", name, "--file"]).map(OsStr::new);
        self.run(options.chain([dockerfile.as_os_str(), context.as_os_str()]))
    }

    fn export(&self, name: &str, out: &Path) -> anyhow::Result<()> {
        let target = prefixed("docker-archive:", out, &format!(":{name}"));
        self.run(["push".as_ref(), "--quiet".as_ref(), name.as_ref(), target.as_os_str()])
    }

    fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a OsStr>) -> anyhow::Result<()> {
        let mut command = Command::new(&self.program);
        command
            .arg("--root")
            .arg(self.store.join("images"))
            .arg("--runroot")
            .arg(self.store.join("run"));
        command.args(["--storage-driver", "vfs"]).args(arguments);
        needs::run(&mut command).map(drop)
    }
}

fn prefixed(prefix: &str, path: &Path, suffix: &str) -> std::ffi::OsString {
    [prefix.as_ref(), path.as_os_str(), suffix.as_ref()]
        .into_iter()
        .collect()
}
