//! Runs a command while a cluster is up.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitCode, ExitStatus};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn_blocking;

use crate::cluster::{PROGRAM, VARIABLE};
use crate::down;
use crate::keeper::USERS;
use crate::state::State;
use crate::up::{self, Options};

/// Seconds after which the cluster goes by itself when this process was killed.
const LINGER: u64 = 5;

/// Starts the cluster unless it is up, runs the command with the cluster's name in its environment, takes the cluster
/// down if it was started here, and returns how the command ended.
///
/// # Errors
/// When the cluster cannot be started or the command cannot be run.
pub(crate) async fn with(state: &State, command: &[OsString]) -> Result<ExitCode> {
    let (program, arguments) = command.split_first().context("say which command to run")?;
    let me = std::env::current_exe()?;
    let started = start(state, &me).await?;
    let child = Command::new(program)
        .args(arguments)
        .env(VARIABLE, state.name())
        .env(PROGRAM, me)
        .spawn();
    let status = match child {
        Ok(child) => wait(child).await,
        Err(error) => Err(error).with_context(|| format!("cannot run {}", program.display())),
    };
    if let Some(users) = started {
        drop(users);
        let state = state.clone();
        spawn_blocking(move || down::down(&state)).await??;
    }
    Ok(code(status?))
}

/// The lock by which the keeper knows that the cluster is used; none when somebody else started it.
async fn start(state: &State, me: &Path) -> Result<Option<File>> {
    let lock = {
        let state = state.clone();
        spawn_blocking(move || state.lock()).await??
    };
    if up::is_up(state) {
        return Ok(None);
    }
    let options = Options {
        kind: None,
        kwok_nodes: 0,
        linger: Some(LINGER),
        program: me.to_owned(),
    };
    up::up(state, &lock, &options).await?;
    let users = File::open(state.path(USERS))?;
    users.lock_shared()?;
    Ok(Some(users))
}

/// Waits for the command, also through Ctrl-C, which it gets as well; a SIGTERM is handed on.
async fn wait(mut child: Child) -> Result<ExitStatus> {
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut terminations = signal(SignalKind::terminate())?;
    loop {
        tokio::select! {
            status = child.wait() => return Ok(status?),
            _ = interrupts.recv() => {}
            _ = terminations.recv() => {
                if let Some(pid) = child.id() {
                    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM)?;
                }
            }
        }
    }
}

/// As a shell reports it.
fn code(status: ExitStatus) -> ExitCode {
    let code = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}
