//! Runs `go build` for one tool.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::Tool;
use crate::packages::{self, Need};
use crate::text::last_lines;

/// What every go.mod of the tools asks for.
const GO: (u32, u32) = (1, 26);
const GO_HINT: &str = "install Go from https://go.dev/dl/ or your distribution and put its bin folder on PATH";

/// Says in a sentence when there is no Go, or one that is too old.
pub(super) fn check_go() -> Result<()> {
    // Inside a module that asks for a newer Go, the command answers for the toolchain it would switch to.
    let output = Command::new("go")
        .args(["env", "GOVERSION"])
        .current_dir(Tool::Pause.module())
        .output();
    let Ok(output) = output else {
        bail!(
            "the tools of the test clusters are built with Go {}.{} or newer, and there is no `go` on PATH; {GO_HINT}",
            GO.0,
            GO.1
        )
    };
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    ensure!(
        output.status.success() && version_of(&version).is_some_and(|v| v >= GO),
        "the tools of the test clusters need Go {}.{} or newer, but `go` on PATH is {}; {GO_HINT}",
        GO.0,
        GO.1,
        if version.is_empty() {
            String::from_utf8_lossy(&output.stderr).trim().to_owned()
        } else {
            version
        }
    );
    Ok(())
}

fn version_of(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.strip_prefix("go")?.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Builds `tool` into the folder `into`. Go gets the lock as its stdin and so holds it too: if this process is
/// killed, the next one waits until Go has ended.
pub(super) fn build(tool: Tool, into: &Path, lock: File) -> Result<()> {
    let recipe = tool.recipe();
    let log = into.join("build.log");
    let output = File::create(&log)?;
    let mut go = Command::new("go");
    go.arg("build")
        .args(recipe.build_flags())
        .arg("-o")
        .arg(into.join(recipe.binary))
        .arg(recipe.package);
    go.current_dir(tool.module())
        .env("GOFLAGS", "-mod=readonly")
        .env("GOWORK", "off")
        .env("CGO_ENABLED", "0");
    let headers = into.join("include");
    if tool == Tool::Ollama {
        with_c(&mut go, &headers)?;
    }
    let status = go
        .stdin(lock)
        .stdout(output.try_clone()?)
        .stderr(output)
        .status()
        .context("cannot run `go`")?;
    if !status.success() {
        bail!("{}", failure(tool, &log));
    }
    fs::remove_file(log)?;
    if headers.exists() {
        fs::remove_dir_all(headers)?;
    }
    Ok(())
}

fn failure(tool: Tool, log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_else(|error| error.to_string());
    let tail = last_lines(&text, 20);
    let hint = if text.contains("no space left") {
        "The disk is full: free some space (the Go build cache is emptied with `go clean -cache`) and try again."
    } else if text.contains("dial tcp") || text.contains("proxyconnect") || text.contains("i/o timeout") {
        "The Go modules could not be downloaded: check the network and `go env GOPROXY`, and try again."
    } else if text.contains("signal: killed") {
        "The compiler was killed, most likely for want of memory: 4 GiB of free memory are enough."
    } else {
        "Try again; if it fails the same way, `go clean -cache` removes what an interrupted build may have left."
    };
    format!(
        "building {} failed; the end of {}:\n{tail}\n{hint}",
        tool.name(),
        log.display()
    )
}

/// What compiling Ollama's inference engine needs. A Go module archive never contains folders called
/// `vendor`, and Ollama keeps three libraries of C headers in one: two come from Debian, the third from malgo.
fn with_c(go: &mut Command, headers: &Path) -> Result<()> {
    packages::require(Need::CompilingOllama)?;
    fs::create_dir_all(headers.join("miniaudio"))?;
    fs::copy(
        module_dir(&Tool::Ollama.module(), "github.com/gen2brain/malgo")?.join("miniaudio.h"),
        headers.join("miniaudio/miniaudio.h"),
    )?;
    let mut include = OsString::from("-I");
    include.push(headers);
    go.env("CGO_ENABLED", "1")
        .env("CGO_CPPFLAGS", include)
        .env("CGO_CFLAGS", "-O2")
        .env("CGO_CXXFLAGS", "-O2");
    Ok(())
}

/// Where Go keeps the source of a module that the go.mod in a folder pins, downloaded if need be.
pub(super) fn module_dir(folder: &Path, module: &str) -> Result<PathBuf> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Download {
        dir: PathBuf,
    }
    let output = Command::new("go")
        .args(["mod", "download", "-json", module])
        .current_dir(folder)
        .env("GOFLAGS", "-mod=readonly")
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "cannot download the Go module {module}: {text}"
    );
    Ok(serde_json::from_str::<Download>(&text)?.dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_versions_are_compared_by_number() {
        assert_eq!(version_of("go1.26.8"), Some((1, 26)));
        assert_eq!(version_of("go1.27rc1"), Some((1, 27)));
        assert!(version_of("go1.9").unwrap() < GO);
        assert_eq!(version_of("devel"), None);
    }

    #[test]
    fn a_failed_build_names_its_log_and_a_way_out() {
        let log = std::env::temp_dir().join(format!("cluster-build-{}.log", std::process::id()));
        fs::write(&log, "line 1\nwrite: no space left on device\n").unwrap();
        let text = failure(Tool::Etcd, &log);
        fs::remove_file(&log).unwrap();
        assert!(
            text.starts_with("building etcd failed") && text.contains("The disk is full"),
            "{text}"
        );
    }
}
