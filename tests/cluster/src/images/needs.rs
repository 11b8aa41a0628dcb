//! What making an image needs from the machine, said in a sentence before anything is begun.

use std::{fs, os::unix::fs::MetadataExt, path::Path, process::Command};

use anyhow::{Context, bail, ensure};

pub(super) use crate::packages::obtain as program;

/// Fails unless this process is root, naming what for.
pub(super) fn root(purpose: &str) -> anyhow::Result<()> {
    let uid = fs::metadata("/proc/self").context("asking who runs this")?.uid();
    ensure!(
        uid == 0,
        "{purpose} needs root on Linux; this process runs as uid {uid}"
    );
    Ok(())
}

/// Runs a program to its end and returns its output; a failure carries what it wrote to standard error.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("starting {name}"))?;
    if !output.status.success() {
        bail!(
            "{name} failed ({}): {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Fails unless the file is a program that runs without any library, as an image without a system needs it.
pub(super) fn statically_linked(path: &Path, way_out: &str) -> anyhow::Result<Vec<u8>> {
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    match interpreter(&bytes) {
        Some(false) => Ok(bytes),
        Some(true) => bail!(
            "{} is linked dynamically and would not start in an image; {way_out}",
            path.display()
        ),
        None => bail!("{} is not a 64-bit Linux program; {way_out}", path.display()),
    }
}

/// Whether an ELF file (64 bits, little endian) asks for a dynamic loader; `None` if it is no such file.
fn interpreter(elf: &[u8]) -> Option<bool> {
    const INTERPRETER: usize = 3;
    let number = |at: usize, length: usize| {
        let bytes = elf.get(at..at.checked_add(length)?)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0_usize, |value, byte| value << 8 | usize::from(*byte)),
        )
    };
    if !elf.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, size, count) = (number(0x20, 8)?, number(0x36, 2)?, number(0x38, 2)?);
    let mut kinds = (0..count).map(|place| number(table.checked_add(place * size)?, 4));
    kinds.try_fold(false, |found, kind| Some(found || kind? == INTERPRETER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_is_a_dynamic_program_and_a_text_is_none() {
        let shell = fs::read("/bin/sh").unwrap();
        assert_eq!(interpreter(&shell), Some(true));
        assert_eq!(interpreter(b"#!/bin/sh\n"), None);
        assert_eq!(interpreter(&shell[..0x20]), None);
    }

    #[test]
    fn a_failing_program_is_quoted() {
        let message = run(Command::new("sh").args(["-c", "echo told >&2; exit 3"]))
            .unwrap_err()
            .to_string();
        assert!(message.contains("told") && message.contains('3'), "{message}");
    }
}
