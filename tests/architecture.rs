//! The arrows of the design: which part may name which, what the pure half must not name, and how large a file may be.
//! Change this and the drawing of the design together, and on purpose.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that panics says why

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

mod planted {
    use super::*;

    #[track_caller]
    fn caught(path: &str, text: &str, why: &str) {
        let found = strays(path, text);
        assert!(found.len() == 1 && found[0].contains(why), "{path}: {text}: {found:?}");
    }

    #[track_caller]
    fn fine(path: &str, text: &str) {
        assert_eq!(strays(path, text), [""; 0], "{path}: {text}");
    }

    #[test]
    fn arrows() {
        caught("src/base/hash.rs", "use crate::kind::Kind;", "from base to kind");
        caught(
            "src/base/hash.rs",
            "use crate::{base::names, component::ollama};",
            "from base to component",
        );
        caught(
            "src/base/hash.rs",
            "fn f() { crate::kind::all(); }",
            "from base to kind",
        );
        caught(
            "src/component/common/pod.rs",
            "use crate::kind::all;",
            "from component to kind",
        );
        caught(
            "src/controller/apply.rs",
            "use crate::webhook::answer;",
            "from controller to webhook",
        );
        caught(
            "src/webhook.rs",
            "use super::controller::run;",
            "from webhook to controller",
        );
        caught(
            "src/kind/lmdeployment/status.rs",
            "use crate::ollama::fleet;",
            "from kind to ollama",
        );
        caught("src/controller.rs", "use crate::cli::main;", "from controller to cli");
        fine("src/cli/run.rs", "use crate::{controller, webhook};");
        fine("src/controller/apply.rs", "use crate::kind::Kind; use super::Context;");
    }

    #[test]
    fn components() {
        let why = "knows no other";
        caught("src/component/tabby.rs", "use super::ollama::PORT;", why);
        caught("src/component/tabby/rules.rs", "use super::super::ollama;", why);
        caught(
            "src/component/tabby/rules.rs",
            "use crate::component::{common, ollama};",
            why,
        );
        caught(
            "src/component/common/pod.rs",
            "use crate::component::ollama::PORT;",
            why,
        );
        fine(
            "src/component/tabby/rules.rs",
            "use super::NAME; use crate::component::common::check;",
        );
        fine(
            "src/component/ollama.rs",
            "mod gate; pub use gate::Gate; use super::common::Common;",
        );
        fine("src/component.rs", "pub mod ollama; pub mod tabby;");
    }

    #[test]
    fn effects() {
        for text in [
            "use std::fs;",
            "use std::{collections::BTreeMap, env};",
            "fn f() { std::time::Duration::ZERO; }",
            "use tokio::sync::watch;",
            "fn f() { let x = rand::random(); }",
            "use futures::StreamExt;",
        ] {
            caught("src/kind/lmdeployment.rs", text, "the pure half names no");
        }
        for text in [
            "use kube::Api;",
            "use kube::{Client, ResourceExt};",
            "use kube::runtime::watcher;",
            "use kube::api::ListParams;",
        ] {
            caught("src/base/object.rs", text, "only the types of kube");
        }
        for text in [
            "fn f() { Timestamp::now(); }",
            "fn f() { jiff::Timestamp::now(); }",
            "use web::Instant;",
        ] {
            caught("src/base/condition.rs", text, "has no clock");
        }
        for text in [
            "use kube::Client;",
            "use kube::{Api, core::DynamicObject};",
            "fn f(c: kube::Client) {}",
            "use kube::runtime::watcher;",
        ] {
            caught("src/webhook/answer.rs", text, "ask no API server");
        }
        fine(
            "src/webhook/answer.rs",
            "use kube::core::DynamicObject; use tokio::sync::watch;",
        );
        fine(
            "src/base/object.rs",
            "use kube::core::{DynamicObject, ObjectMeta}; use kube::{Resource, ResourceExt}; use std::net::IpAddr;",
        );
    }

    #[test]
    fn what_only_looks_like_it() {
        fine(
            "src/base/hash.rs",
            "// use crate::kind::Kind;\n/* tokio::spawn */ const A: &str = \"std::fs::read\";",
        );
        fine(
            "src/base/hash.rs",
            "const A: &str = r#\"crate::kind::all \"quoted\" \"#; const B: char = '\"'; fn f<'a>(x: &'a str) {}",
        );
        fine(
            "src/base/hash.rs",
            "fn f() {}\n#[cfg(test)]\nmod tests { use std::fs; }",
        );
        caught(
            "src/base/hash.rs",
            "const A: char = '\"'; use std::fs; const B: char = '\"';",
            "std::fs",
        );
        caught(
            "src/base/hash.rs",
            "const A: &str = \"a \\\" b\"; use std::fs;",
            "std::fs",
        );
    }

    #[test]
    fn forms() {
        assert_eq!(misshapen("src/base/x.rs", "//! A file.\n"), [""; 0]);
        assert_eq!(
            misshapen("src/base/x.rs", "use a;\n"),
            ["src/base/x.rs does not open with a //! sentence"]
        );
        let long = |lines: usize| {
            format!(
                "//! A file.\n\n{}// no code\n#[cfg(test)]\nmod tests {{}}\n",
                "f();\n".repeat(lines)
            )
        };
        assert_eq!(misshapen("src/base/x.rs", &long(LONGEST)), [""; 0]);
        let found = misshapen("src/base/x.rs", &long(LONGEST + 1));
        assert!(found[0].contains("251 lines of code"), "{found:?}");
        assert_eq!(misshapen("tests/x.rs", &long(LONGEST + 1)), [""; 0]);
        assert_eq!(misshapen("tests/cluster/src/x.rs", &long(LONGEST + 1)).len(), 1);
    }
}
