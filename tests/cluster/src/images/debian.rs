//! Images of Debian packages: the files of the packages and nothing that a maintainer script would add.

use std::{fs, path::Path, process::Command};

use anyhow::Context;
use serde_json::json;

use super::{Image, OLLAMA, archive, cache, layer::Layer, needs};

/// What the real image has and its users rely on: the C++ libraries of the binary, a shell with the usual tools, the
/// certificate authorities.
const PACKAGES: &str = "base-files,ca-certificates,coreutils,dash,findutils,grep,libc6,libgcc-s1,libstdc++6,sed";
const NSSWITCH: &[u8] = b"hosts: files dns\npasswd: files\ngroup: files\n";
/// Where programs are found.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// This recipe, which is part of every image that is made of packages.
pub(super) const RECIPE: &str = include_str!("debian.rs");

/// A user of an image.
pub(super) struct User {
    pub(super) name: &'static str,
    pub(super) id: u32,
    pub(super) home: &'static str,
}

/// Ollama around a binary that was built on this machine, in the manner of the project's own image: entry point
/// `/bin/ollama`, port 11434 on all addresses.
pub(super) fn ollama(binary: &Path) -> anyhow::Result<Image> {
    let program = fs::read(binary).with_context(|| format!("reading the ollama binary {}", binary.display()))?;
    let suite = suite()?;
    let config = json!({
        "Entrypoint": ["/bin/ollama"], "Cmd": ["serve"], "Env": [format!("PATH={PATH}"), "OLLAMA_HOST=0.0.0.0:11434"],
        "ExposedPorts": {"11434/tcp": {}},
    });
    let user = User {
        name: "ubuntu",
        id: 1000,
        home: "/home/ubuntu",
    };
    let archive = cache::archive("ollama", RECIPE, &[&program, suite.as_bytes()], |out| {
        let scratch = tempfile::tempdir_in(out.parent().unwrap_or(Path::new(".")))?;
        unpack(&suite, PACKAGES, scratch.path())?;
        archive::write(&[OLLAMA], &config, out, |layer| {
            layer.tree(scratch.path(), &needed)?;
            complete(layer, scratch.path(), &user)?;
            layer.file(&format!("{}/ollama", bin(scratch.path())), 0o755, &program)
        })
    })?;
    Ok(Image {
        name: OLLAMA.to_owned(),
        archive,
    })
}

/// The suite of this machine: the binary was linked with its C library, and an older one would not do.
fn suite() -> anyhow::Result<String> {
    let release = fs::read_to_string("/etc/os-release").context("finding out which Debian this is")?;
    let codename = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let codename = codename.context("/etc/os-release has no VERSION_CODENAME: images need Debian or Ubuntu")?;
    Ok(codename.trim_matches('"').to_owned())
}

/// The files of the packages, and of those that they need, in a folder.
pub(super) fn unpack(suite: &str, packages: &str, folder: &Path) -> anyhow::Result<()> {
    needs::root("unpacking Debian packages into an image")?;
    let mmdebstrap = needs::program("mmdebstrap", "mmdebstrap")?;
    let mut command = Command::new(mmdebstrap);
    command
        .args(["--quiet", "--variant=extract", "--include", packages, suite])
        .arg(folder);
    needs::run(&mut command).map(drop)
}

/// Whether a file of the packages is wanted in a container.
pub(super) fn needed(path: &str) -> bool {
    const UNNEEDED: [&str; 12] = [
        "dev/",
        "usr/share/bash-completion",
        "usr/share/bug",
        "usr/share/doc",
        "usr/share/info",
        "usr/share/lintian",
        "usr/share/locale",
        "usr/share/man",
        "usr/share/zoneinfo",
        "var/cache",
        "var/lib",
        "var/log",
    ];
    let name = path.rsplit('/').next().unwrap_or(path);
    let interpreter = name.starts_with("perl") || name.contains("openssl"); // ca-certificates only needs them to install
    !interpreter && name != "gconv" && !UNNEEDED.iter().any(|unneeded| path.starts_with(unneeded))
}

/// What the packages' scripts would have made.
pub(super) fn complete(layer: &mut Layer, unpacked: &Path, user: &User) -> anyhow::Result<()> {
    let User { name, id, home } = user;
    let passwd = format!(
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/sh\n{name}:x:{id}:{id}::{home}:/bin/sh\n"
    );
    layer.file("etc/passwd", 0o644, passwd.as_bytes())?;
    let group = format!("root:x:0:\nnogroup:x:65534:\n{name}:x:{id}:\n");
    layer.file("etc/group", 0o644, group.as_bytes())?;
    layer.file("etc/nsswitch.conf", 0o644, NSSWITCH)?;
    if unpacked.join("usr/share/ca-certificates/mozilla").exists() {
        layer.file("etc/ssl/certs/ca-certificates.crt", 0o644, &authorities(unpacked)?)?;
    }
    if !unpacked.join("bin/sh").exists() {
        layer.symlink(&format!("{}/sh", bin(unpacked)), "dash")?;
    }
    Ok(())
}

/// Where files of `/bin` lie in a layer: newer suites have a link there.
pub(super) fn bin(unpacked: &Path) -> &'static str {
    if unpacked.join("bin").is_symlink() {
        "usr/bin"
    } else {
        "bin"
    }
}

fn authorities(unpacked: &Path) -> anyhow::Result<Vec<u8>> {
    let folder = unpacked.join("usr/share/ca-certificates/mozilla");
    let entries = fs::read_dir(&folder).context("reading the certificate authorities")?;
    let mut files = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<Vec<_>>>()?;
    files.sort();
    let files = files.iter().map(fs::read).collect::<std::io::Result<Vec<_>>>()?;
    Ok(files.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_and_authorities_stay_and_documents_go() {
        for path in [
            "usr/lib/x86_64-linux-gnu/libstdc++.so.6",
            "usr/share/ca-certificates/mozilla/a.crt",
            "etc",
            "dev",
        ] {
            assert!(needed(path), "{path}");
        }
        for path in [
            "usr/share/doc",
            "usr/bin/perl5.36",
            "usr/lib/x86_64-linux-gnu/gconv",
            "dev/null",
            "usr/bin/openssl",
        ] {
            assert!(!needed(path), "{path}");
        }
    }
}
