//! The table of components: who runs, who was stopped, who died.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, wait};
use nix::unistd::Pid;

use crate::components::Component;
use crate::control::{Condition, Request, Status};
use crate::packages::SYSTEM_PATH;
use crate::state::State;

/// How long a component may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(10);

struct Entry {
    component: Component,
    pid: Option<Pid>,
    condition: Condition,
}

type Entries = BTreeMap<String, Entry>;

/// All components by name.
pub(super) struct Table {
    state: State,
    entries: Mutex<Entries>,
    changed: Condvar,
}

impl Table {
    pub fn new(state: State) -> Self {
        Self {
            state,
            entries: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what is asked for and lists all components.
    pub fn handle(&self, request: Request) -> Result<Vec<Status>> {
        match request {
            Request::Run { component } => self.run(component, &[])?,
            Request::Start { name, extra } => {
                let component = self.find(&self.entries(), &name)?.component.clone();
                self.run(component, &extra)?;
            }
            Request::Stop { name, kill } => self.stop(&name, kill)?,
            Request::Pause { name } => self.send(&name, Signal::SIGSTOP, Condition::Paused)?,
            Request::Resume { name } => self.send(&name, Signal::SIGCONT, Condition::Running)?,
            Request::List => {}
        }
        let entries = self.entries();
        Ok(entries
            .iter()
            .map(|(name, e)| Status {
                name: name.clone(),
                pid: e.pid.map(Pid::as_raw),
                condition: e.condition.clone(),
            })
            .collect())
    }

    fn find<'a>(&self, entries: &'a Entries, name: &str) -> Result<&'a Entry> {
        let known = || entries.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        entries.get(name).with_context(|| {
            format!(
                "cluster {:?} has no component {name:?}; it has {}",
                self.state.name(),
                known()
            )
        })
    }

    fn run(&self, component: Component, extra: &[String]) -> Result<()> {
        let mut entries = self.entries();
        ensure!(
            entries.get(&component.name).is_none_or(|e| e.pid.is_none()),
            "{} is already running",
            component.name
        );
        // Under the lock: the reaper must not meet the process before it is in the table.
        let pid = self.spawn(&component, extra)?;
        let name = component.name.clone();
        entries.insert(
            name,
            Entry {
                component,
                pid: Some(pid),
                condition: Condition::Running,
            },
        );
        self.changed.notify_all();
        Ok(())
    }

    fn spawn(&self, component: &Component, extra: &[String]) -> Result<Pid> {
        let log = self.state.log(&component.name);
        let output = File::options().create(true).append(true).open(&log)?;
        // A clean environment: a proxy of the user's would be asked for the cluster's own addresses.
        let child = Command::new(&component.program)
            .args(&component.args)
            .args(extra)
            .env_clear()
            .env("PATH", SYSTEM_PATH)
            .env("HOME", self.state.dir())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot run {}", component.program.display()))?;
        Ok(Pid::from_raw(child.id().cast_signed()))
    }

    fn send(&self, name: &str, signal: Signal, then: Condition) -> Result<()> {
        let mut entries = self.entries();
        let Some(pid) = self.find(&entries, name)?.pid else {
            bail!("{name} is not running")
        };
        kill(pid, signal)?;
        if let Some(entry) = entries.get_mut(name) {
            entry.condition = then;
        }
        Ok(())
    }

    fn stop(&self, name: &str, at_once: bool) -> Result<()> {
        let mut entries = self.entries();
        let Some(pid) = self.find(&entries, name)?.pid else {
            return Ok(());
        };
        if let Some(entry) = entries.get_mut(name) {
            entry.condition = Condition::Stopped;
        }
        kill(pid, if at_once { Signal::SIGKILL } else { Signal::SIGTERM })?;
        kill(pid, Signal::SIGCONT)?; // a paused process takes SIGTERM only when it goes on
        let running = |entries: &mut Entries| entries.get(name).is_some_and(|e| e.pid == Some(pid));
        let (entries, waited) = self
            .changed
            .wait_timeout_while(entries, PATIENCE, running)
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            kill(pid, Signal::SIGKILL)?;
            drop(
                self.changed
                    .wait_while(entries, running)
                    .unwrap_or_else(PoisonError::into_inner),
            );
        }
        Ok(())
    }

    /// Reaps every process that ends, the components and whatever they leave behind. Never returns.
    pub fn reap(&self) -> Result<()> {
        loop {
            match wait() {
                Ok(status) => self.ended(status),
                Err(Errno::EINTR) => {}
                Err(Errno::ECHILD) => {
                    let none = |entries: &mut Entries| entries.values().all(|e| e.pid.is_none());
                    drop(
                        self.changed
                            .wait_while(self.entries(), none)
                            .unwrap_or_else(PoisonError::into_inner),
                    );
                }
                Err(error) => return Err(error).context("cannot wait for the components"),
            }
        }
    }

    fn ended(&self, status: WaitStatus) {
        let (pid, how) = match status {
            WaitStatus::Exited(pid, code) => (pid, format!("exit code {code}")),
            WaitStatus::Signaled(pid, signal, _) => (pid, signal.to_string()),
            _ => return,
        };
        let mut entries = self.entries();
        let Some((name, entry)) = entries.iter_mut().find(|(_, e)| e.pid == Some(pid)) else {
            return;
        };
        entry.pid = None;
        if entry.condition != Condition::Stopped {
            eprintln!("{name} died: {how}");
            entry.condition = Condition::Died(how);
        }
        self.changed.notify_all();
    }
}
