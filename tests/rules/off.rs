//! Components that are off.

use super::*;

#[test]
fn nothing_is_checked_in_a_block_that_is_off() {
    let wrong = "replicas: 99, image: 'A B', chatModel: '///', ingress: {enabled: true}, env: [{name: '1'}], persistence: {enabled: true, size: x}";
    accepted(&format!(
        "{{ollama: {{models: [a]}}, tabby: {{enabled: false, {wrong}}}}}"
    ));
    accepted(&format!("{{ollama: {{models: [a]}}, tabby: {{{wrong}}}}}"));
    accepted(
        "{ollama: {enabled: false, replicas: 99, models: [5]}, tabby: {enabled: true, ollamaServiceName: x, chatModel: a, completionModel: a}}",
    );
}

#[test]
fn nothing_is_filled_in_there() {
    let object = stack("{ollama: {enabled: false}, tabby: {replicas: 2}}");
    assert_eq!(
        filled(&object)["spec"],
        json!({"ollama": {"enabled": false}, "tabby": {"replicas": 2}, "networkPolicy": {"enabled": true}})
    );
}
