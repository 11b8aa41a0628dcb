//! The manifests in the documents of the older operators; they are in `tests/seeds`.

/// Every manifest that is printed whole.
pub const PRINTED: [&str; 9] = [
    "full-ollama",
    "llama",
    "llama-refresh",
    "minimal-ollama",
    "ollama-example",
    "openwebui-secure",
    "production-ollama",
    "production-tabby",
    "tabby-example",
];
