//! Which engine a stack has.

use super::*;

const NONE: &str = "spec.ollama.enabled: Invalid value: false: the stack has no engine: leave spec.ollama.enabled away, or give spec.openwebui.ollamaUrls or spec.tabby.ollamaServiceName";

#[test]
fn a_stack_without_any() {
    refused("ollama: {enabled: false}", &[NONE]);
    refused(
        "{ollama: {enabled: false}, tabby: {enabled: true}}",
        &[
            "spec.tabby.chatModel: Required value: Tabby has no model to use; list one in spec.ollama.models, or name chatModel and completionModel of the Ollama that ollamaServiceName names",
            NONE,
        ],
    );
    accepted("{ollama: {enabled: false}, tabby: {enabled: true, ollamaServiceName: other, modelName: codellama}}");
}

#[test]
fn the_stacks_own_service_is_no_other_engine() {
    refused(
        "{ollama: {enabled: false}, tabby: {enabled: true, ollamaServiceName: chat-ollama, embeddingModel: x}}",
        &[
            "spec.tabby.chatModel: Required value: Tabby has no model to use; list one in spec.ollama.models, or name chatModel and completionModel of the Ollama that ollamaServiceName names",
            NONE,
        ],
    );
    refused(
        "{ollama: {models: [codellama]}, tabby: {enabled: true, ollamaServiceName: chat-ollama, chatModel: x}}",
        &[
            r#"spec.tabby.chatModel: Invalid value: "x": is not in spec.ollama.models; use one of codellama:latest, or add it there"#,
        ],
    );
}
