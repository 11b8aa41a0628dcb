//! Tabby and its models.

use super::*;

#[test]
fn models_are_compared_as_ollama_compares_them() {
    accepted(
        "
        ollama: {models: ['codellama:7b', {name: llama3.2, tag: latest}]}
        tabby: {enabled: true, completionModel: CodeLlama:7b, chatModel: library/llama3.2}
        ",
    );
    accepted("{ollama: {models: ['codellama:7b']}, tabby: {enabled: true}}");
    accepted("{ollama: {models: ['codellama:7b']}, tabby: {enabled: true, embeddingModel: mxbai-embed-large}}");
}

#[test]
fn a_model_that_is_not_listed() {
    refused(
        "{ollama: {models: ['codellama:7b']}, tabby: {enabled: true, modelName: codellama}}",
        &[
            r#"spec.tabby.modelName: Invalid value: "codellama": is not in spec.ollama.models; use one of codellama:7b, or add it there"#,
        ],
    );
    refused(
        "{ollama: {models: []}, tabby: {enabled: true, chatModel: a, completionModel: a}}",
        &[
            r#"spec.tabby.chatModel: Invalid value: "a": is not in spec.ollama.models, which is empty; add it there"#,
            r#"spec.tabby.completionModel: Invalid value: "a": is not in spec.ollama.models, which is empty; add it there"#,
        ],
    );
}

#[test]
fn a_model_that_is_no_name() {
    refused(
        "{ollama: {models: [codellama]}, tabby: {enabled: true, chatModel: 'a b', embeddingModel: '-x'}}",
        &[
            r#"spec.tabby.chatModel: Invalid value: "a b": the model "a b" must not hold ' '"#,
            r#"spec.tabby.embeddingModel: Invalid value: "-x": the model "-x" must begin with a letter, a digit or _"#,
        ],
    );
}

#[test]
fn no_model_at_all() {
    refused(
        "{ollama: {}, tabby: {enabled: true}}",
        &[
            "spec.tabby.chatModel: Required value: Tabby has no model to use; list one in spec.ollama.models, or name chatModel and completionModel of the Ollama that ollamaServiceName names",
        ],
    );
}

#[test]
fn models_of_another_ollama_are_not_checked() {
    accepted(
        "{ollama: {models: [a]}, tabby: {enabled: true, ollamaServiceName: other, chatModel: x, completionModel: z}}",
    );
    refused(
        "{ollama: {models: [a]}, tabby: {enabled: true, ollamaServiceName: other.ns}}",
        &[r#"spec.tabby.ollamaServiceName: Invalid value: "other.ns": is not the name of a Service of this namespace"#],
    );
}

#[test]
fn sqlite_has_one_writer() {
    refused(
        "{ollama: {models: [codellama]}, tabby: {enabled: true, replicas: 2, persistence: {enabled: true}}}",
        &[
            "spec.tabby.replicas: Invalid value: 2: must be 1 with persistence: Tabby keeps its data in SQLite, which one server may write",
        ],
    );
}
