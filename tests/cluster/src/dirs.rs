//! Where clusters keep their state and where built tools are kept.

use std::env;
use std::path::PathBuf;

use anyhow::{Context, Result};

/// The folder of all clusters' state: `$XDG_STATE_HOME/llm-operator`, by default `~/.local/state/llm-operator`.
///
/// # Errors
/// When neither `XDG_STATE_HOME` nor `HOME` is set.
pub fn state_home() -> Result<PathBuf> {
    base("XDG_STATE_HOME", ".local/state")
}

/// The folder of everything that may be deleted and made again: `$XDG_CACHE_HOME/llm-operator`, by default
/// `~/.cache/llm-operator`.
///
/// # Errors
/// When neither `XDG_CACHE_HOME` nor `HOME` is set.
pub fn cache_home() -> Result<PathBuf> {
    base("XDG_CACHE_HOME", ".cache")
}

fn base(variable: &str, under_home: &str) -> Result<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    // The XDG specification says that a relative path is to be ignored.
    let base = set(variable)
        .filter(|p| p.is_absolute())
        .or_else(|| Some(set("HOME")?.join(under_home)));
    Ok(base
        .with_context(|| format!("neither {variable} nor HOME is set; set one of them"))?
        .join("llm-operator"))
}
