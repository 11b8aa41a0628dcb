//! Tiny models are real: Ollama loads them, generates with them and embeds with them.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests, too")]

mod server;

use cluster::{gguf::Model, registry::Registry};
use serde_json::json;
use server::Ollama;

/// Pulls `model` into Ollama and returns its name there.
async fn pulled(ollama: &Ollama, model: Model) -> String {
    let registry = Registry::default();
    registry.add("library/tiny", model).unwrap();
    let running = registry.start_local().await.unwrap();
    let name = format!("{}/library/tiny:latest", running.host());
    assert_eq!(ollama.pull(&name).await.end().await, json!({"status": "success"}));
    name
}

#[tokio::test]
async fn a_llama_generates_as_many_tokens_as_asked_for() {
    let ollama = Ollama::start().await;
    for model in [
        Model::llama(),
        Model::llama().seed(2),
        Model::llama().seed(3).pad_mib(3),
    ] {
        let name = pulled(&ollama, model).await;
        let options = json!({"num_predict": 24, "seed": 1});
        let ask = json!({"model": name, "prompt": "hello", "stream": false, "options": options});
        let (status, answer) = ollama.post("/api/generate", &ask).await;
        assert_eq!(
            (status, &answer["done_reason"], &answer["eval_count"]),
            (200, &json!("length"), &json!(24)),
            "{answer}"
        );
        let text = answer["response"].as_str().unwrap();
        assert!(!text.is_empty(), "{model} says nothing");
        assert_eq!(
            ollama.post("/api/generate", &ask).await.1["response"],
            text,
            "the same seed says the same"
        );
    }
}

#[tokio::test]
async fn a_llama_chats() {
    let ollama = Ollama::start().await;
    let name = pulled(&ollama, Model::llama()).await;
    let messages = json!([{"role": "user", "content": "hello"}]);
    let ask = json!({"model": name, "messages": messages, "stream": false, "options": {"num_predict": 8}});
    let (status, answer) = ollama.post("/api/chat", &ask).await;
    assert_eq!(status, 200, "{answer}");
    assert!(!answer["message"]["content"].as_str().unwrap().is_empty(), "{answer}");
}

#[tokio::test]
async fn a_bert_embeds_and_does_not_generate() {
    let ollama = Ollama::start().await;
    let name = pulled(&ollama, Model::bert()).await;
    assert_eq!(
        ollama.tag(&name).await.expect("the model is listed")["details"]["family"],
        "bert"
    );
    let (status, answer) = ollama
        .post("/api/embed", &json!({"model": name, "input": ["hello", "a b"]}))
        .await;
    assert_eq!(status, 200, "{answer}");
    let vectors = answer["embeddings"].as_array().unwrap();
    assert_eq!((vectors.len(), vectors[0].as_array().unwrap().len()), (2, 64));
    assert_ne!(vectors[0], vectors[1], "different texts have different embeddings");
    let (status, answer) = ollama
        .post("/api/generate", &json!({"model": name, "prompt": "hello"}))
        .await;
    assert_eq!(status, 400);
    assert!(
        answer["error"].as_str().unwrap().contains("does not support generate"),
        "{answer}"
    );
}
