//! Runs a program inside a cluster's namespaces.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, setns};

use crate::packages::SYSTEM_PATH;
use crate::state::State;

/// User first: it gives the rights to enter the others.
const NAMESPACES: [(&str, CloneFlags); 6] = [
    ("user", CloneFlags::CLONE_NEWUSER),
    ("net", CloneFlags::CLONE_NEWNET),
    ("uts", CloneFlags::CLONE_NEWUTS),
    ("ipc", CloneFlags::CLONE_NEWIPC),
    ("pid", CloneFlags::CLONE_NEWPID),
    ("mnt", CloneFlags::CLONE_NEWNS),
];

/// Runs `command` inside and returns how it ended. Only for a process with a single thread.
///
/// # Errors
/// When the cluster is not running or the command cannot be started.
pub fn enter(state: &State, command: &[OsString]) -> Result<ExitCode> {
    let (program, arguments) = command
        .split_first()
        .context("say which command to run inside the cluster")?;
    let folder = std::env::current_dir();
    join(state)?;
    let status = Command::new(program)
        .args(arguments)
        .env("PATH", path())
        .env("KUBECONFIG", state.kubeconfig())
        .current_dir(folder.unwrap_or_else(|_| "/".into()))
        .status()
        .with_context(|| format!("cannot run {} inside the cluster", program.to_string_lossy()))?;
    let code = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
}

fn path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":");
    path.push(SYSTEM_PATH);
    path
}

/// Enters all namespaces that differ from this process' own.
fn join(state: &State) -> Result<()> {
    let name = state.name();
    let init = state
        .init()
        .with_context(|| format!("cluster {name:?} is not running"))?;
    let open = |(kind, flag): (&str, CloneFlags)| -> Result<Option<(File, CloneFlags)>> {
        let theirs = format!("/proc/{}/ns/{kind}", init.pid);
        let same = fs::metadata(&theirs)?.ino() == fs::metadata(format!("/proc/self/ns/{kind}"))?.ino();
        Ok(if same { None } else { Some((File::open(theirs)?, flag)) })
    };
    // All are opened before the first is entered: afterwards the paths mean something else.
    let opened = NAMESPACES.into_iter().map(open).collect::<Result<Vec<_>>>()?;
    for (file, flag) in opened.into_iter().flatten() {
        setns(file, flag).with_context(|| format!("cannot enter the namespaces of cluster {name:?}"))?;
    }
    Ok(())
}
