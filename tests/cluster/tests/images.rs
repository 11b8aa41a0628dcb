//! The images are what container tools take: proved with buildah, which reads them with the same code as podman.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests, too")]

use std::{
    ffi::OsString,
    fs,
    path::Path,
    process::{Command, Output},
};

use cluster::images;

fn buildah(store: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("buildah");
    command
        .arg("--root")
        .arg(store.join("images"))
        .arg("--runroot")
        .arg(store.join("run"));
    command
        .args(["--storage-driver", "vfs"])
        .args(arguments)
        .output()
        .expect("buildah starts")
}

fn succeeds(store: &Path, arguments: &[&str]) -> String {
    let output = buildah(store, arguments);
    assert!(
        output.status.success(),
        "buildah {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .expect("buildah prints text")
        .trim()
        .to_owned()
}

/// The names at the root of an image.
fn files(store: &Path, id: &str) -> Vec<OsString> {
    let container = succeeds(store, &["from", id]);
    let mount = succeeds(store, &["mount", &container]);
    fs::read_dir(mount)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect()
}

/// Any static program: what the images hold is not run here.
const STATIC_PROGRAM: &str = "/bin/busybox";

/// Whether this machine can make and read images; says why not.
fn able() -> bool {
    let root = fs::metadata("/proc/self").is_ok_and(|owner| std::os::unix::fs::MetadataExt::uid(&owner) == 0);
    let tools = ["buildah", "busybox", "mmdebstrap"];
    let missing: Vec<_> = tools
        .into_iter()
        .filter(|tool| Command::new(tool).arg("--help").output().is_err())
        .collect();
    if !root || !missing.is_empty() {
        println!("SKIPPED: making images needs root ({root}) and buildah, busybox, mmdebstrap (missing: {missing:?})");
    }
    root && missing.is_empty()
}

#[test]
fn busybox_runs_from_its_archive_in_both_forms() {
    if !able() {
        return;
    }
    let store = tempfile::tempdir().unwrap();
    let image = images::busybox().unwrap();
    for kind in ["docker-archive", "oci-archive"] {
        let id = succeeds(
            store.path(),
            &["pull", "--quiet", &format!("{kind}:{}", image.archive.display())],
        );
        let container = succeeds(store.path(), &["from", &id]);
        let script = "echo hello | sed s/hello/world/ && stat -c %a /tmp";
        let run = ["run", "--isolation", "chroot", &container, "--", "sh", "-c", script];
        assert_eq!(succeeds(store.path(), &run), "world\n1777", "{kind}");
        succeeds(store.path(), &["rm", &container]);
    }
}

#[test]
fn pause_has_its_program_and_nothing_else() {
    if !able() {
        return;
    }
    let store = tempfile::tempdir().unwrap();
    let image = images::pause(Path::new(STATIC_PROGRAM)).unwrap();
    let id = succeeds(
        store.path(),
        &[
            "pull",
            "--quiet",
            &format!("docker-archive:{}", image.archive.display()),
        ],
    );
    assert_eq!(files(store.path(), &id), ["pause"]);
    fs::remove_file(image.archive).unwrap();
}

#[test]
fn a_cached_image_is_not_made_again() {
    if !able() {
        return;
    }
    let first = images::busybox().unwrap();
    let made = fs::metadata(&first.archive).unwrap().modified().unwrap();
    let second = images::busybox().unwrap();
    assert_eq!(first.archive, second.archive);
    assert_eq!(fs::metadata(&second.archive).unwrap().modified().unwrap(), made);
}

#[test]
fn the_ollama_image_starts_its_server_binary() {
    let binary = cluster::tools::path(cluster::tools::Tool::Ollama).expect("Ollama is built from its Go module");
    if !able() {
        return;
    }
    let store = tempfile::tempdir().unwrap();
    let image = images::ollama(Path::new(&binary)).unwrap();
    let id = succeeds(
        store.path(),
        &[
            "pull",
            "--quiet",
            &format!("docker-archive:{}", image.archive.display()),
        ],
    );
    let container = succeeds(store.path(), &["from", &id]);
    let script = "test -s /etc/ssl/certs/ca-certificates.crt && HOME=/tmp /bin/ollama --version 2>&1 | grep -o 'is .*'";
    let version = succeeds(
        store.path(),
        &[
            "run",
            "--isolation",
            "chroot",
            &container,
            "--",
            "/bin/sh",
            "-c",
            script,
        ],
    );
    assert!(version.contains("0.24.0"), "{version}");
}

/// The form of the project's Dockerfile, with a later stage that could not be built here.
const DOCKERFILE: &str = "\
ARG BASE_IMAGE=scratch
FROM ${BASE_IMAGE} AS base
USER 65532:65532
ENTRYPOINT [\"/llm-operator\"]
FROM base AS prebuilt
COPY llm-operator /llm-operator
FROM registry.invalid/rust:1 AS build
RUN cargo build
FROM base
COPY --from=build /llm-operator /llm-operator
";

#[test]
fn a_dockerfile_becomes_an_image_around_a_prebuilt_binary() {
    if !able() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let dockerfile = folder.path().join("Dockerfile");
    fs::write(&dockerfile, DOCKERFILE).unwrap();
    let image = images::operator_image("localhost/operator:test", Path::new(STATIC_PROGRAM), &dockerfile).unwrap();
    let store = tempfile::tempdir().unwrap();
    let id = succeeds(
        store.path(),
        &[
            "pull",
            "--quiet",
            &format!("docker-archive:{}", image.archive.display()),
        ],
    );
    let config = succeeds(
        store.path(),
        &[
            "inspect",
            "--type",
            "image",
            "--format",
            "{{.OCIv1.Config}} {{.FromImage}}",
            &id,
        ],
    );
    assert!(
        config.contains("65532:65532") && config.contains("/llm-operator"),
        "{config}"
    );
    assert_eq!(files(store.path(), &id), ["llm-operator"]);
    fs::remove_file(image.archive).unwrap();
}

#[test]
fn a_dynamic_binary_is_refused_with_the_way_out() {
    let shell = Path::new("/bin/sh");
    let error = images::operator_image("localhost/operator:test", shell, Path::new("Dockerfile")).unwrap_err();
    let message = format!("{error:#}");
    assert!(
        message.contains("linked dynamically") && message.contains("crt-static"),
        "{message}"
    );
}
