//! The process that holds a cluster up: it makes the namespaces, starts their first process, carries the API
//! server's port out of them, and hands sockets through. It ends with the cluster, and the cluster with it.

mod forward;
pub mod sockets;
mod users;

pub use users::USERS;

use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::process::Stdio;

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid, setsid};
use tokio::process::{Child, Command};

use crate::state::{Process, Spec, State};

/// Runs until the cluster goes down. Stdin is the listening socket of the API server's port outside.
///
/// # Errors
/// When the namespaces cannot be made or their first process cannot be started.
pub fn run(state: &State) -> Result<()> {
    setsid().context("cannot leave the terminal")?;
    let spec = state.spec()?;
    // A socket stays in the network namespace it was made in, so this one remains outside.
    let outside = TcpListener::from(io::stdin().as_fd().try_clone_to_owned()?);
    outside.set_nonblocking(true)?;
    make_namespaces()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(keep(state, &spec, outside))
}

async fn keep(state: &State, spec: &Spec, outside: TcpListener) -> Result<()> {
    let mut init = start_init(state, spec)?;
    let _open_while_this_lives = init.stdin.take(); // waiting for a child closes the stdin it still has
    let outside = tokio::net::TcpListener::from_std(outside)?;
    let sockets = sockets::listen(state)?;
    let me = Process::of(std::process::id().cast_signed())?;
    state.write("keeper.json", &me)?;
    tokio::select! {
        status = init.wait() => eprintln!("the first process of the cluster ended: {}", status?),
        error = forward::serve(outside, spec.port) => return error,
        error = sockets::serve(sockets) => return error,
        done = users::go_when_unused(state, spec) => return done,
    }
    Ok(())
}

/// A network namespace for this process, and a process namespace for its first child. An ordinary user gets
/// a user namespace first, in which to be root. From here on the kernel refuses this process any thread, since
/// a thread cannot live in its children's process namespace.
fn make_namespaces() -> Result<()> {
    let (uid, gid) = (geteuid(), getegid());
    if !uid.is_root() {
        unshare(CloneFlags::CLONE_NEWUSER).with_context(|| refused("user"))?;
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
        fs::write("/proc/self/gid_map", format!("0 {gid} 1"))?;
    }
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWPID).with_context(|| refused("network"))
}

fn refused(kind: &str) -> String {
    format!(
        "this machine does not let this user make a {kind} namespace; run as root, or in a container with \
         --privileged; on Ubuntu `sysctl kernel.apparmor_restrict_unprivileged_userns=0` allows it to everyone"
    )
}

fn start_init(state: &State, spec: &Spec) -> Result<Child> {
    let init = Command::new(&spec.program)
        .args(["--name", state.name(), "__init"])
        .stdin(Stdio::piped())
        .spawn()
        .context("cannot start the first process of the namespaces")?;
    let pid = init.id().context("the first process of the namespaces ended at once")?;
    state.write("init.json", &Process::of(pid.cast_signed())?)?;
    Ok(init)
}
