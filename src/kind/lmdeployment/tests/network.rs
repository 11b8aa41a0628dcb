//! Who reaches whom.

use super::*;

fn ingress(spec: &str) -> Value {
    let objects = Cluster::default().desired(&stack(spec));
    get(&objects, "NetworkPolicy", "chat-ollama").body["spec"]["ingress"].clone()
}

const FROM: &str = "networkPolicy: {from: [{podSelector: {}}]}";

#[test]
fn those_who_must_reach_ollama_always_may() {
    let peers = ingress(&format!(
        "{{ollama: {{models: [codellama]}}, tabby: {{enabled: true}}, {FROM}}}"
    ));
    let peers = peers[0]["from"].as_array().unwrap().clone();
    assert_eq!(peers.len(), 3);
    assert_eq!(
        peers[1]["podSelector"]["matchLabels"]["app.kubernetes.io/component"],
        "tabby"
    );
    assert_eq!(
        peers[1]["podSelector"]["matchLabels"]["app.kubernetes.io/instance"],
        "chat"
    );
    let operator = &peers[2]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"];
    assert_eq!(operator, "system");
    let alone = ingress(&format!("{{ollama: {{models: [codellama]}}, {FROM}}}"));
    assert_eq!(alone[0]["from"].as_array().unwrap().len(), 2);
}

#[test]
fn without_a_list_everyone_may() {
    assert_eq!(ingress("ollama: {}")[0]["from"], Value::Null);
    let none = stack("{ollama: {}, networkPolicy: {enabled: false}}");
    assert!(!has(&Cluster::default().desired(&none), "NetworkPolicy chat-ollama"));
}
