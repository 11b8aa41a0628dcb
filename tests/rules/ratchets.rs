//! What was wrong before may stay as it is.

use super::*;

#[test]
fn an_old_violation_does_not_block_another_change() {
    let old = "{ollama: {models: [codellama], replicas: 20}, tabby: {enabled: true, chatModel: gone, replicas: 2, persistence: {enabled: true}}}";
    changed(old, old, &[]);
    changed(old, &old.replace("[codellama]", "[codellama, mistral]"), &[]);
    changed(old, &old.replace("20}", "3}"), &[]);
}

#[test]
fn the_field_itself_may_not_become_wrong_anew() {
    let old = "{ollama: {models: [codellama], replicas: 20}, tabby: {enabled: true, chatModel: gone}}";
    changed(
        old,
        &old.replace("20", "21").replace("gone", "lost"),
        &[
            "spec.ollama.replicas: Invalid value: 21: must be 1 to 10",
            r#"spec.tabby.chatModel: Invalid value: "lost": is not in spec.ollama.models; use one of codellama:latest, or add it there"#,
        ],
    );
}

#[test]
fn a_flat_field_is_judged_by_itself() {
    let tabby =
        |host: &str| format!("{{ollama: {{models: [codellama]}}, tabby: {{enabled: true, ingressHost: {host}}}}}");
    changed(&tabby("A.b"), &tabby("A.b"), &[]);
    changed(
        &tabby("A.b"),
        &tabby("B.c"),
        &[r#"spec.tabby.ingressHost: Invalid value: "B.c": is not a lower-case host name such as chat.example.com"#],
    );
}

#[test]
fn a_key_with_dots_is_judged_by_its_value() {
    let gpu = |count: i32| {
        format!("ollama: {{models: [a], gpu: {{vendor: nvidia}}, resources: {{limits: {{nvidia.com/gpu: {count}}}}}}}")
    };
    changed(&gpu(2), &gpu(2), &[]);
    changed(
        &gpu(2),
        &gpu(3),
        &[
            "spec.ollama.resources.limits[nvidia.com/gpu]: Invalid value: 3: must equal spec.ollama.gpu.count, which is 1; leave it away",
        ],
    );
}

#[test]
fn an_old_item_may_move() {
    changed(
        "ollama: {models: [a, 'bad name', b]}",
        "ollama: {models: ['bad name', b]}",
        &[],
    );
    changed(
        "ollama: {models: [a, 'bad name']}",
        "ollama: {models: [a, 'worse name']}",
        &[r#"spec.ollama.models[1]: Invalid value: "worse name": the model "worse name" must not hold ' '"#],
    );
}

#[test]
fn switching_a_block_on_checks_it() {
    let tabby =
        |enabled: bool| format!("{{ollama: {{models: [codellama]}}, tabby: {{enabled: {enabled}, chatModel: gone}}}}");
    changed(
        &tabby(false),
        &tabby(true),
        &[
            r#"spec.tabby.chatModel: Invalid value: "gone": is not in spec.ollama.models; use one of codellama:latest, or add it there"#,
        ],
    );
}

#[test]
fn an_old_object_that_no_longer_decodes_is_repaired_freely() {
    let mut old = stack("ollama: {models: [a]}");
    old["spec"]["ollama"]["replicas"] = "three".into();
    assert_eq!(issues(&stack("ollama: {models: [a]}"), Some(&old)), [""; 0]);
    assert!((form(&old).review)(&old, None, &Settings::default()).is_err());
}
