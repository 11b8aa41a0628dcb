//! The arrows of the design: which part may name which, what the pure half must not name, and how large a file may be.
//! Change this and the drawing of the design together, and on purpose.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that panics says why

#[path = "architecture/planted.rs"]
mod planted;
#[path = "architecture/source.rs"]
mod source;
mod support;

use std::fs;
use std::path::Path;

/// Each part and the parts that it may name besides itself. `cli` is the one that knows every part.
const ARROWS: [(&str, &[&str]); 12] = [
    ("base", &[]),
    ("component", &["base"]),
    ("kind", &["base", "component"]),
    ("ollama", &["base", "component", "kind"]),
    ("controller", &["base", "clock", "component", "kind", "ollama"]),
    ("webhook", &["base", "component", "kind"]),
    ("pki", &["base", "clock", "health"]),
    ("lease", &["base"]),
    ("server", &[]),
    ("metrics", &["base"]),
    ("health", &[]),
    ("clock", &[]),
];
/// Values in, values out.
const PURE: [&str; 3] = ["base", "component", "kind"];
/// What a component may name among the components, besides itself.
const SHARED: &str = "common";

/// Crates that do something, and the parts of others that do.
const EFFECTS: [&str; 18] = [
    "tokio",
    "tokio_util",
    "futures",
    "axum",
    "hyper",
    "hyper_util",
    "reqwest",
    "rand",
    "rcgen",
    "rustls",
    "tracing",
    "std::fs",
    "std::env",
    "std::time",
    "std::process",
    "std::thread",
    "std::io",
    "std::sync::mpsc",
];
/// All of kube that is only types; the rest asks an API server.
const TYPES_OF_KUBE: [&str; 6] = [
    "core",
    "discovery",
    "Resource",
    "ResourceExt",
    "CustomResource",
    "CustomResourceExt",
];
/// The part of kube that asks an API server, under its usual names.
const CLIENT: [&str; 7] = ["Client", "Api", "api", "client", "runtime", "Config", "config"];
/// Names that read a clock, wherever they come from.
const CLOCKS: [&str; 4] = ["Instant", "SystemTime", "Zoned", "now"];

/// A file is read in one go.
const LONGEST: usize = 250;
/// Files that may be longer, and why.
const LONGER: [(&str, &str); 0] = [];

/// What a file of `src/` names that it must not.
fn strays(path: &str, text: &str) -> Vec<String> {
    let module = module(path);
    let part = module.first().cloned().unwrap_or_default();
    if ["main", "test_clock", "cli"].contains(&part.as_str()) || module.is_empty() {
        return vec![];
    }
    let bare = source::bare(source::before_tests(text));
    let mut found = vec![];
    for named in source::paths(&bare) {
        let shown = named.join("::");
        let fault = match source::resolved(&module, &named) {
            Some(inner) => inner_fault(&module, &inner),
            None => outer_fault(&part, &named),
        };
        found.extend(fault.map(|why| format!("{path} names {shown}: {why}")));
    }
    found
}

/// The module of a file, from the crate's root.
fn module(path: &str) -> Vec<String> {
    let bare = path.trim_start_matches("src/").trim_end_matches(".rs");
    let steps = bare.split('/').map(str::to_string);
    steps.filter(|step| step != "lib").collect()
}

fn inner_fault(module: &[String], named: &[String]) -> Option<String> {
    let (from, to) = (module.first()?, named.first()?);
    if from != to {
        let arrows = ARROWS.iter().find(|(part, _)| part == from);
        let drawn = arrows.is_some_and(|(_, to_parts)| to_parts.contains(&to.as_str()));
        return (!drawn).then(|| format!("no arrow leads from {from} to {to}"));
    }
    let own = module.get(1);
    let other = named.get(1).filter(|_| from == "component" && own.is_some());
    let foreign = other.is_some_and(|other| Some(other) != own && (other != SHARED || own.is_none()));
    foreign.then(|| "a component knows no other; the kind passes what it must know".to_string())
}

fn outer_fault(part: &str, named: &[String]) -> Option<String> {
    let begins = |with: &str| {
        let with: Vec<&str> = with.split("::").collect();
        named.len() >= with.len() && named.iter().zip(&with).all(|(a, b)| a == b)
    };
    let client = named[0] == "kube" && named.iter().skip(1).any(|name| CLIENT.contains(&name.as_str()));
    if part == "webhook" && client {
        return Some("the webhooks ask no API server".into());
    }
    if !PURE.contains(&part) {
        return None;
    }
    if let Some(effect) = EFFECTS.iter().find(|effect| begins(effect)) {
        return Some(format!("the pure half names no {effect}"));
    }
    if named.iter().any(|name| CLOCKS.contains(&name.as_str())) {
        return Some("the pure half has no clock".into());
    }
    let typed = named[0] != "kube" || TYPES_OF_KUBE.contains(&named[1].as_str());
    (!typed).then(|| "the pure half has only the types of kube".into())
}

/// What is wrong with the form of a file.
fn misshapen(path: &str, text: &str) -> Vec<String> {
    let mut found = vec![];
    if !text.starts_with("//! ") {
        found.push(format!("{path} does not open with a //! sentence"));
    }
    let lines = source::lines_of_code(text);
    let longest = LONGER.iter().any(|(file, _)| *file == path);
    if lines > LONGEST && !longest && !is_test(path) {
        found.push(format!(
            "{path} has {lines} lines of code, {LONGEST} are enough; give a part of it a file of its own"
        ));
    }
    found
}

/// True for files that hold nothing but tests: modules that only `cfg(test)` names, and everything under `tests/` but
/// the library of clusters.
fn is_test(path: &str) -> bool {
    let (folder, file) = path.rsplit_once('/').unwrap_or_default();
    let name = file.trim_end_matches(".rs");
    let parent = fs::read_to_string(support::path(&format!("{folder}.rs"))).unwrap_or_default();
    let in_tests = path.starts_with("tests/") && !path.starts_with("tests/cluster/src/");
    in_tests || parent.contains(&format!("#[cfg(test)]\nmod {name};"))
}

/// Every source file of the workspace, by its path from the root.
fn files() -> Vec<(String, String)> {
    fn walk(folder: &Path, root: &Path, out: &mut Vec<(String, String)>) {
        let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                walk(&path, root, out);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_string();
                out.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let root = support::path("");
    let mut out = vec![];
    for folder in ["src", "tests", "benches"] {
        if root.join(folder).is_dir() {
            walk(&root.join(folder), &root, &mut out);
        }
    }
    out
}

#[test]
fn every_arrow_is_drawn() {
    let files = files();
    let found: Vec<String> = files
        .iter()
        .filter(|(path, _)| path.starts_with("src/") && !is_test(path))
        .flat_map(|(path, text)| strays(path, text))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_part_is_in_the_drawing() {
    let parts = fs::read_dir(support::path("src")).unwrap();
    for entry in parts {
        let name = entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_string();
        let drawn = ["lib", "main", "test_clock", "cli"].contains(&name.as_str())
            || ARROWS.iter().any(|(part, _)| *part == name);
        assert!(drawn, "src/{name} is in no drawing");
    }
}

#[test]
fn every_file_has_its_form() {
    let found: Vec<String> = files().iter().flat_map(|(path, text)| misshapen(path, text)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}
