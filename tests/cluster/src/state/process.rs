//! Processes told apart from later ones with the same number.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// A process on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number as seen outside of every cluster.
    pub pid: i32,
    /// When it started, in clock ticks since the machine did: numbers are used again, pairs are not.
    start: u64,
}

impl Process {
    /// The process that has this number now.
    ///
    /// # Errors
    /// When there is none.
    pub fn of(pid: i32) -> Result<Self> {
        let (_, start) = stat(pid).with_context(|| format!("there is no process {pid}"))?;
        Ok(Self { pid, start })
    }

    /// Whether it is still running. A zombie whose last thread is gone is not: its memory, sockets and
    /// namespaces are free.
    #[must_use]
    pub fn alive(&self) -> bool {
        let Some((state, start)) = stat(self.pid) else {
            return false;
        };
        let threads = || fs::read_dir(format!("/proc/{}/task", self.pid)).map_or(0, Iterator::count);
        start == self.start && (!matches!(state, 'Z' | 'X') || threads() > 1)
    }

    /// Sends a signal, unless it is gone already.
    ///
    /// # Errors
    /// When this user may not.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        if !self.alive() {
            return Ok(());
        }
        match kill(Pid::from_raw(self.pid), signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("cannot send {signal} to process {}", self.pid)),
        }
    }

    /// Waits until it is gone.
    ///
    /// # Errors
    /// When it is still there after `limit`.
    pub fn wait_gone(&self, limit: Duration) -> Result<()> {
        let end = Instant::now() + limit;
        while self.alive() {
            if Instant::now() > end {
                bail!("process {} is still running after {limit:?}", self.pid);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// State letter and start time out of `/proc/PID/stat`.
fn stat(pid: i32) -> Option<(char, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses and may itself contain spaces and parentheses.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_killed_process_is_gone_even_before_it_is_reaped() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::of(child.id().cast_signed()).unwrap();
        assert!(process.alive());
        process.signal(Signal::SIGKILL).unwrap();
        process.wait_gone(Duration::from_secs(5)).unwrap();
        assert!(!process.alive());
        child.wait().unwrap();
        assert!(Process::of(process.pid).is_err());
    }

    #[test]
    fn a_number_that_was_used_again_is_another_process() {
        let me = Process::of(std::process::id().cast_signed()).unwrap();
        assert!(me.alive());
        assert!(
            !Process {
                start: me.start - 1,
                ..me
            }
            .alive()
        );
    }
}
