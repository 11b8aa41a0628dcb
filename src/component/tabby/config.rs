//! Tabby's `config.toml`, and the table of fill-in-the-middle templates by model family.

use crate::base::model::ModelName;
use std::fmt::Write;

/// The models that Tabby uses.
#[derive(Clone, Debug, PartialEq)]
pub struct Models {
    /// For chat.
    pub chat: ModelName,
    /// For completion.
    pub completion: ModelName,
    /// For embeddings.
    pub embedding: ModelName,
}

/// Families, told by the beginning of the model's name, and the prompt each was trained on; longer names first.
/// Source: facts, products 4.2. Add a line to teach a family.
const TEMPLATES: [(&str, &str); 9] = [
    ("codellama", "<PRE> {prefix} <SUF>{suffix} <MID>"),
    (
        "codegemma",
        "<|fim_prefix|>{prefix}<|fim_suffix|>{suffix}<|fim_middle|>",
    ),
    ("codeqwen", "<fim_prefix>{prefix}<fim_suffix>{suffix}<fim_middle>"),
    ("codestral", "[SUFFIX]{suffix}[PREFIX]{prefix}"),
    (
        "deepseek-coder",
        "<｜fim▁begin｜>{prefix}<｜fim▁hole｜>{suffix}<｜fim▁end｜>",
    ),
    (
        "qwen2.5-coder",
        "<|fim_prefix|>{prefix}<|fim_suffix|>{suffix}<|fim_middle|>",
    ),
    (
        "qwen3-coder",
        "<|fim_prefix|>{prefix}<|fim_suffix|>{suffix}<|fim_middle|>",
    ),
    ("starcoder", "<fim_prefix>{prefix}<fim_suffix>{suffix}<fim_middle>"),
    ("stable-code", "<fim_prefix>{prefix}<fim_suffix>{suffix}<fim_middle>"),
];

/// The template of the model's family; `None` where none is known.
#[must_use]
pub fn template(model: &ModelName) -> Option<&'static str> {
    let name = model.family();
    TEMPLATES
        .iter()
        .find(|(family, _)| name.starts_with(family))
        .map(|(_, template)| *template)
}

impl Models {
    /// The file, for an Ollama at `url` (without a path). Chat goes through Ollama's `OpenAI` endpoint, since Tabby has
    /// no chat of its own for Ollama; the embedding section is always there, since the local default needs CUDA.
    #[must_use]
    pub fn toml(&self, url: &str) -> String {
        let mut out = String::new();
        section(&mut out, "completion", "ollama/completion", &self.completion, url);
        if let Some(template) = template(&self.completion) {
            // Writing into a String cannot fail.
            let _ = writeln!(out, "prompt_template = {}", quoted(template));
        }
        section(&mut out, "chat", "openai/chat", &self.chat, &format!("{url}/v1"));
        section(&mut out, "embedding", "ollama/embedding", &self.embedding, url);
        out
    }
}

fn section(out: &mut String, name: &str, kind: &str, model: &ModelName, url: &str) {
    let break_before = if out.is_empty() { "" } else { "\n" };
    let (kind, model, url) = (quoted(kind), quoted(&model.short()), quoted(url));
    // Writing into a String cannot fail.
    let _ = writeln!(
        out,
        "{break_before}[model.{name}.http]\nkind = {kind}\nmodel_name = {model}\napi_endpoint = {url}"
    );
}

/// A TOML basic string; JSON's escapes are TOML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_names_every_model_with_its_endpoint() {
        let name = |n: &str| ModelName::parse(n).unwrap();
        let models = Models {
            chat: name("llama3"),
            completion: name("qwen2.5-coder:1.5b-base"),
            embedding: name("nomic-embed-text"),
        };
        assert_eq!(
            models.toml("http://chat-ollama:11434"),
            r#"[model.completion.http]
kind = "ollama/completion"
model_name = "qwen2.5-coder:1.5b-base"
api_endpoint = "http://chat-ollama:11434"
prompt_template = "<|fim_prefix|>{prefix}<|fim_suffix|>{suffix}<|fim_middle|>"

[model.chat.http]
kind = "openai/chat"
model_name = "llama3:latest"
api_endpoint = "http://chat-ollama:11434/v1"

[model.embedding.http]
kind = "ollama/embedding"
model_name = "nomic-embed-text:latest"
api_endpoint = "http://chat-ollama:11434"
"#
        );
    }

    #[test]
    fn families_are_told_by_the_models_name() {
        let family = |n: &str| template(&ModelName::parse(n).unwrap());
        assert!(family("CodeLlama:7b-code").is_some() && family("hf.co/x/starcoder2-3b:Q4").is_some());
        assert!(family("llama3").is_none() && family("mistral").is_none());
    }
}
