//! The operator's own image, from the project's Dockerfile, around a binary that was built before.

use std::{
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;

use super::{Image, cache, needs};

/// Builds the Dockerfile's stage `prebuilt` under `name`: it copies `llm-operator` from its context, and stands before
/// every stage that would compile.
pub(super) fn build(name: &str, binary: &Path, dockerfile: &Path) -> anyhow::Result<Image> {
    let way_out = "build it with RUSTFLAGS='-C target-feature=+crt-static' and an explicit --target";
    let program = needs::statically_linked(binary, way_out)?;
    let recipe = fs::read(dockerfile).with_context(|| format!("reading {}", dockerfile.display()))?;
    let archive = cache::archive(
        "llm-operator",
        include_str!("operator.rs"),
        &[name.as_bytes(), &program, &recipe],
        |out| {
            needs::root("building an image from a Dockerfile")?;
            let buildah = Buildah::find(out)?;
            let context = out.with_file_name("context");
            fs::create_dir(&context)?;
            fs::copy(binary, context.join("llm-operator"))?;
            buildah.build(name, dockerfile, &context)?;
            buildah.export(name, out)
        },
    )?;
    Ok(Image {
        name: name.to_owned(),
        archive,
    })
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

    fn build(&self, name: &str, dockerfile: &Path, context: &Path) -> anyhow::Result<()> {
        let how = [
            "bud",
            "--quiet",
            "--isolation=chroot",
            "--pull-never",
            "--timestamp=0",
            "--target=prebuilt",
        ];
        let options = how.into_iter().chain(["--tag", name, "--file"]).map(OsStr::new);
        self.run(options.chain([dockerfile.as_os_str(), context.as_os_str()]))
    }

    fn export(&self, name: &str, out: &Path) -> anyhow::Result<()> {
        let target: OsString = ["docker-archive:".as_ref(), out.as_os_str(), ":".as_ref(), name.as_ref()]
            .into_iter()
            .collect();
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
