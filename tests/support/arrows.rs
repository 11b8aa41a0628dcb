//! Who reaches whom under the network policies of a stack: one list for the page that draws it and the test that asks.

#![allow(dead_code, reason = "the page uses its part, and the test its own")]

/// One part of a stack, and who reaches it.
pub struct Arrows {
    /// The component, as in the names of its objects.
    pub to: &'static str,
    /// Its name in sentences.
    pub title: &'static str,
    /// Where its process listens.
    pub port: u16,
    /// Who reaches it by default, by the names in [`TITLES`].
    pub default: &'static [&'static str],
    /// Who reaches it where `networkPolicy.from` is given.
    pub from: &'static [&'static str],
}

/// Whoever else there is: a pod of the same namespace that no manifest of ours knows.
pub const STRANGER: &str = "stranger";
/// A pod that `networkPolicy.from` names.
pub const GUEST: &str = "guest";
/// The operator.
pub const OPERATOR: &str = "operator";

/// Everyone that is asked about, with the words for a person.
pub const TITLES: [(&str, &str); 9] = [
    ("ollama", "Ollama"),
    ("openwebui", "Open WebUI"),
    ("tabby", "Tabby"),
    ("redis", "Redis"),
    ("postgres", "PostgreSQL"),
    ("pipelines", "Pipelines"),
    (OPERATOR, "the operator"),
    (GUEST, "whom `from` names"),
    (STRANGER, "everyone"),
];

const EVERYONE: &[&str] = &[
    "ollama",
    "openwebui",
    "tabby",
    "redis",
    "postgres",
    "pipelines",
    OPERATOR,
    GUEST,
    STRANGER,
];

/// Every part that listens.
pub const ARROWS: [Arrows; 6] = [
    Arrows {
        to: "ollama",
        title: "Ollama",
        port: 11434,
        default: EVERYONE,
        from: &["openwebui", "tabby", OPERATOR, GUEST],
    },
    Arrows {
        to: "openwebui",
        title: "Open WebUI",
        port: 8080,
        default: EVERYONE,
        from: &[GUEST],
    },
    Arrows {
        to: "tabby",
        title: "Tabby",
        port: 8080,
        default: EVERYONE,
        from: &[GUEST],
    },
    Arrows {
        to: "redis",
        title: "Redis",
        port: 6379,
        default: &["openwebui"],
        from: &["openwebui"],
    },
    Arrows {
        to: "postgres",
        title: "PostgreSQL",
        port: 5432,
        default: &["openwebui"],
        from: &["openwebui"],
    },
    Arrows {
        to: "pipelines",
        title: "Pipelines",
        port: 9099,
        default: &["openwebui"],
        from: &["openwebui"],
    },
];

/// The table of the page.
#[must_use]
pub fn table() -> String {
    let row = |a: &Arrows| {
        let (default, from) = (words(a.default), words(a.from));
        format!("| {}, port {} | {default} | {from} |\n", a.title, a.port)
    };
    let rows: String = ARROWS.iter().map(row).collect();
    format!("| To | by default | where `networkPolicy.from` is given |\n|---|---|---|\n{rows}")
}

fn words(who: &[&str]) -> String {
    if who.contains(&STRANGER) {
        return "everyone".into();
    }
    let titles = TITLES.iter().filter(|(name, _)| who.contains(name));
    titles.map(|(_, title)| *title).collect::<Vec<_>>().join(", ")
}
