//! What is planted in files is found, and what only looks like it is not.

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
