//! What a process has used, out of /proc.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// Processor time of all its threads so far, to the nanosecond. Threads that have ended are not in it; the operator's
/// workers live as long as it does.
///
/// # Errors
/// When there is no such process.
pub fn cpu(pid: u32) -> Result<Duration> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).with_context(|| format!("process {pid} is gone"))?;
    let mut nanoseconds = 0;
    for task in tasks {
        // One that ends meanwhile is no error.
        let text = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
        nanoseconds += text
            .split(' ')
            .next()
            .and_then(|n| n.parse::<u64>().ok())
            .unwrap_or_default();
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// Resident memory in MiB.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Now, with as much of the program's file as is mapped.
    pub now: f64,
    /// The most it ever was.
    pub most: f64,
    /// Now, without the program's file.
    pub own: f64,
}

/// What a process takes.
///
/// # Errors
/// When there is no such process.
pub fn memory(pid: u32) -> Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("process {pid} is gone"))?;
    let field = |name: &str| -> Result<f64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.split_whitespace().next());
        let kib: f64 = kib.with_context(|| format!("no {name} of process {pid}"))?.parse()?;
        Ok(kib / 1024.0)
    };
    Ok(Memory {
        now: field("VmRSS:")?,
        most: field("VmHWM:")?,
        own: field("RssAnon:")?,
    })
}

/// The one child of a process, once it has one.
#[must_use]
pub fn child(pid: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// The name of the program that a process runs, at most 15 bytes of it.
#[must_use]
pub fn program(pid: u32) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_uses_something() {
        let me = std::process::id();
        let memory = memory(me).unwrap();
        assert!(memory.now > 0.5 && memory.most >= memory.now, "{memory:?}");
        assert!(memory.own > 0.1 && memory.own < memory.now, "{memory:?}");
        let before = cpu(me).unwrap();
        let busy = std::time::Instant::now();
        while busy.elapsed() < Duration::from_millis(60) {}
        let used = cpu(me).unwrap().saturating_sub(before);
        assert!(used > Duration::from_millis(10), "{used:?}");
        assert!(cpu(u32::MAX).is_err());
    }
}
