//! Container images for tests and the demo, made on this machine without a registry or a daemon.
//!
//! Each function returns an archive that `ctr images import`, `docker load` or `kind load image-archive` takes. It is
//! made once and then found under `${XDG_CACHE_HOME:-~/.cache}/llm-operator/images`, by what went into it. What the
//! machine lacks for it (root, a Debian package) the error says in a sentence.

use std::path::{Path, PathBuf};

mod archive;
mod busybox;
mod cache;
mod debian;
mod layer;
pub(crate) mod needs;
mod openwebui;
mod operator;
mod pause;
mod pipelines;
mod python;
mod s3;
mod servers;
mod tabby;

/// The name of the image behind every pod sandbox.
pub const PAUSE: &str = "localhost/pause:1";
/// The name of the image with a shell and the usual tools.
pub const BUSYBOX: &str = "localhost/busybox:1";
/// The name of the Ollama image; its tag is the version of the server in it.
pub const OLLAMA: &str = "localhost/ollama:0.24.0";

/// The name of the stand-in for Tabby; its tag is the version of Tabby that it is as strict as.
pub const TABBY: &str = "localhost/tabby:0.32.0";

/// The name of the Redis image; its tag is the version of Debian's package, as far as it matters.
pub const REDIS: &str = "localhost/redis:7.0";

/// The name of the image of PostgreSQL with pgvector.
pub const POSTGRES: &str = "localhost/pgvector:pg17";

/// The name of the Open WebUI image: the real server, less what only reads documents, pictures and sound.
pub const OPENWEBUI: &str = "localhost/open-webui:0.12.4";

/// The same image under another tag, which is another version to whoever reads tags.
pub const OPENWEBUI_NEXT: &str = "localhost/open-webui:0.12.5";

/// The name of the stand-in for Pipelines, which loads real pipelines.
pub const PIPELINES: &str = "localhost/pipelines:stand-in";

/// The name of the image of a server that speaks S3.
pub const S3: &str = "localhost/versitygw:1.8.0";

/// An image in an archive.
#[derive(Clone, Debug)]
pub struct Image {
    /// The name it has once it is loaded.
    pub name: String,
    /// The archive: an OCI layout, a docker archive, or both.
    pub archive: PathBuf,
}

/// [`PAUSE`] around a static program that waits and reaps.
///
/// # Errors
/// If the program is not static, or the archive cannot be written.
pub fn pause(program: &Path) -> anyhow::Result<Image> {
    pause::image(program)
}

/// [`BUSYBOX`]; needs the package busybox-static.
///
/// # Errors
/// If busybox is missing or not static, or the archive cannot be written.
pub fn busybox() -> anyhow::Result<Image> {
    busybox::system(BUSYBOX)
}

/// [`OLLAMA`] around the given server binary; needs root, the package mmdebstrap and Debian's archive.
///
/// # Errors
/// If one of these is missing, or the archive cannot be written.
pub fn ollama(binary: &Path) -> anyhow::Result<Image> {
    debian::ollama(binary)
}

/// [`TABBY`] around the stand-in's static program; needs the package busybox-static.
///
/// # Errors
/// If busybox or the program is missing or not static, or the archive cannot be written.
pub fn tabby(program: &Path) -> anyhow::Result<Image> {
    tabby::image(program)
}

/// [`S3`] around the static program; needs the package busybox-static.
///
/// # Errors
/// If busybox or the program is missing or not static, or the archive cannot be written.
pub fn s3(program: &Path) -> anyhow::Result<Image> {
    s3::image(program)
}

/// [`REDIS`] of Debian's package; needs root and the package mmdebstrap.
///
/// # Errors
/// If one of these is missing, or the archive cannot be written.
pub fn redis() -> anyhow::Result<Image> {
    servers::redis()
}

/// [`POSTGRES`] of Debian's packages; needs root and the package mmdebstrap.
///
/// # Errors
/// If one of these is missing, or the archive cannot be written.
pub fn postgres() -> anyhow::Result<Image> {
    servers::postgres()
}

/// [`OPENWEBUI`] of PyPI's package: about two minutes the first time; needs root, the package mmdebstrap and a Python
/// with pip, of any version.
///
/// # Errors
/// If one of these is missing, or the archive cannot be written.
pub fn openwebui() -> anyhow::Result<Image> {
    openwebui::image()
}

/// [`PIPELINES`]; needs what [`openwebui`] needs.
///
/// # Errors
/// If one of these is missing, or the archive cannot be written.
pub fn pipelines() -> anyhow::Result<Image> {
    pipelines::image()
}

/// The operator's image under `name`, from the stage `prebuilt` of its Dockerfile around a static binary; needs root
/// and the package buildah.
///
/// # Errors
/// If one of these is missing, the binary is not static, or the build fails; the error then quotes it.
pub fn operator_image(name: &str, binary: &Path, dockerfile: &Path) -> anyhow::Result<Image> {
    operator::build(name, binary, dockerfile)
}
