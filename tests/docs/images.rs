//! Every image that an installation can start, as the code has them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests, too")]

use llm_operator::base::settings::Settings;
use serde_json::Value;
use std::fmt::Write;
use std::fs;

/// The table of the page on installations without the internet.
pub fn table() -> String {
    let read = |file: &str| -> Value {
        let path = super::blocks::root().join("charts/llm-operator").join(file);
        serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    };
    let (values, chart) = (read("values.yaml"), read("Chart.yaml"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let image = &values["image"];
    let operator = format!(
        "{}/{}:{}",
        text(&image["registry"]),
        text(&image["repository"]),
        text(&chart["appVersion"])
    );
    let built_in = Settings::default().defaults.images;
    let rocm = format!("{}-rocm", built_in.ollama);
    let rows = [
        (operator, "`image`", "always"),
        (
            built_in.ollama,
            "`defaults.images.ollama`",
            "every stack with an Ollama of its own",
        ),
        (rocm, "`defaults.images.ollama`", "the same with `gpu.vendor: amd`"),
        (built_in.openwebui, "`defaults.images.openwebui`", "`openwebui`"),
        (
            built_in.redis,
            "`defaults.images.redis`",
            "several Open WebUI, or `openwebui.redis.enabled`",
        ),
        (
            built_in.postgres,
            "`defaults.images.postgres`",
            "several Open WebUI, or `openwebui.database.enabled`",
        ),
        (
            built_in.pipelines,
            "`defaults.images.pipelines`",
            "`openwebui.pipelines`, `openwebui.langfuse`",
        ),
        (built_in.tabby, "`defaults.images.tabby`", "`tabby`"),
    ];
    let mut out = String::from("| image | chart value | needed for |\n|---|---|---|\n");
    for (image, value, of) in rows {
        let _ = writeln!(out, "| `{image}` | {value} | {of} |");
    }
    out
}

/// The images of the objects that the operator makes of a stack which has everything.
pub fn started() -> Vec<String> {
    fn walk(value: &Value, out: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                out.extend(fields.get("image").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|inner| walk(inner, out));
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, out)),
            _ => {}
        }
    }
    let secret = serde_json::json!({"name": "s"});
    let spec = |gpu: Value| {
        serde_json::json!({
            "ollama": {"models": ["llama3", "nomic-embed-text"], "gpu": gpu},
            "openwebui": {"enabled": true, "replicas": 2, "persistence": {"accessModes": ["ReadWriteMany"]},
                "langfuse": {"enabled": true, "url": "https://a.example.com", "secretRef": secret}},
            "tabby": {"enabled": true, "chatModel": "llama3", "completionModel": "llama3"},
        })
    };
    let mut out = vec![];
    for vendor in ["nvidia", "amd"] {
        let object = serde_json::json!({"apiVersion": "llm.geeper.io/v1alpha1", "kind": "LMDeployment",
            "metadata": {"name": "all", "namespace": "n", "uid": "u"}, "spec": spec(serde_json::json!({"vendor": vendor}))});
        let form = llm_operator::kind::of(&object).unwrap();
        let mut filled = object.clone();
        (form.fill)(&mut filled);
        let objects = (form.render)(&filled, &Settings::default()).unwrap();
        for object in objects {
            walk(&object.body, &mut out);
        }
    }
    out.sort();
    out.dedup();
    out
}
