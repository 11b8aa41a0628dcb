//! Takes a cluster down that no test process uses any more.

use std::fs::File;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::down;
use crate::state::{Spec, State};

/// Every process that uses the cluster holds a shared lock on this file; the kernel lets go of it however the
/// process ends.
pub const USERS: &str = "users";

/// Waits until nobody has used the cluster for as long as it lingers, and takes it down.
pub(super) async fn go_when_unused(state: &State, spec: &Spec) -> Result<()> {
    let Some(linger) = spec.linger else {
        return std::future::pending().await;
    };
    let users = File::open(state.path(USERS)).context("there is no file of users")?;
    let mut unused = 0;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        unused = if users.try_lock().is_ok() { unused + 1 } else { 0 };
        users.unlock()?;
        if unused > linger && take_down(state, &users)? {
            return Ok(());
        }
    }
}

/// Under both locks nobody can be joining. Not waiting for them: whoever holds one may wait for this process.
fn take_down(state: &State, users: &File) -> Result<bool> {
    let Some(lock) = state.try_lock()? else {
        return Ok(false);
    };
    if users.try_lock().is_err() {
        return Ok(false);
    }
    down::remove(state, &lock)?;
    Ok(true)
}
