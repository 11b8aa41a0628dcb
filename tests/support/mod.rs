//! What the tests of the pure half share: committed files that generated ones are compared with.
#![allow(dead_code)] // each test binary compiles this file for itself, and uses a part of it
#![allow(clippy::unwrap_used, clippy::panic)] // a test that panics says why

use llm_operator::base::object::{Object, Treatment};
use llm_operator::base::settings::Settings;
use llm_operator::kind::of;
use serde_json::Value;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// A path of the repository.
pub fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

/// The text of a file of the repository.
pub fn read(relative: &str) -> String {
    let path = path(relative);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Fails where the committed file is not what is generated now; with `UPDATE_GOLDEN=1` it is written instead.
pub fn compare(relative: &str, generated: &str) {
    let path = path(relative);
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().expect("files have folders")).unwrap();
        fs::write(&path, generated).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    if let Some((number, (old, new))) = (1..)
        .zip(lines(&committed, generated))
        .find(|(_, (old, new))| old != new)
    {
        panic!("{relative}:{number} is out of date; run `make generate` and look at the difference\n- {old}\n+ {new}");
    }
}

/// Both texts line by line, as long as the longer one.
fn lines<'a>(one: &'a str, other: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let most = one.lines().count().max(other.lines().count());
    let padded = |text: &'a str| text.lines().chain(std::iter::repeat("<no line>"));
    padded(one).zip(padded(other)).take(most)
}

pub fn settings() -> Settings {
    Settings {
        namespace: "llm-operator-system".into(),
        ..Settings::default()
    }
}

/// What a manifest becomes: its warnings, the object with its defaults, the objects made of it.
pub fn became(name: &str, object: &Value) -> String {
    let mut object = object.clone();
    let form = of(&object).unwrap_or_else(|| panic!("{name} is of no kind of ours"));
    (form.fill)(&mut object);
    let review = (form.review)(&object, None, &settings()).unwrap();
    let issues: Vec<String> = review.issues.iter().map(ToString::to_string).collect();
    assert_eq!(issues, [""; 0], "{name} is refused");
    let mut out = format!("# What {name} becomes, once its models are there.\n");
    for warning in review.spoken() {
        writeln!(out, "# warning: {warning}").unwrap();
    }
    out.push_str(&serde_saphyr::to_string(&object).unwrap());
    if object["metadata"]["namespace"].is_null() {
        object["metadata"]["namespace"] = "default".into();
    }
    object["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000".into();
    for made in (form.render)(&object, &settings()).unwrap() {
        out.push_str("---\n");
        out.push_str(&note(&made));
        out.push_str(&serde_saphyr::to_string(&made.body).unwrap());
    }
    out
}

fn note(object: &Object) -> String {
    match &object.treatment {
        Treatment::Generated(values) => {
            let keys: Vec<&str> = values.iter().map(|v| v.key).collect();
            format!("# created once, with a generated {}\n", keys.join(", "))
        }
        _ => String::new(),
    }
}
