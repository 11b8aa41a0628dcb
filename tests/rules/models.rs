//! The models of a stack.

use super::*;

#[test]
fn both_forms_in_every_spelling_are_accepted() {
    accepted(
        "
        ollama:
          models:
          - llama3.2
          - llama3.2:1b
          - hf.co/bartowski/Llama-3.2-1B-Instruct-GGUF:F16
          - registry.example.com:5000/team/mine:v1
          - {name: codellama, tag: 7b}
          - {name: 'mistral:7b', tag: 7b, pullPolicy: Always}
          - {name: registry.test:5000/library/tiny, insecure: true, pullPolicy: IfNotPresent}
          - {name: local/handmade, pullPolicy: Never}
        ",
    );
}

#[test]
fn names_that_ollama_refuses() {
    refused(
        "ollama: {models: ['bad name', 'reg.local/m', 'm@sha256:abc', 'a/b/c/d', '']}",
        &[
            r#"spec.ollama.models[0]: Invalid value: "bad name": the model "bad name" must not hold ' '"#,
            r#"spec.ollama.models[1]: Invalid value: "reg.local/m": "reg.local" is read as a namespace, which has no dots; a name with a registry has three parts: reg.local/library/m"#,
            r#"spec.ollama.models[2]: Invalid value: "m@sha256:abc": Ollama has no digests in names; leave @… away"#,
            r#"spec.ollama.models[3]: Invalid value: "a/b/c/d": a name has at most three parts: host/namespace/model"#,
            r#"spec.ollama.models[4]: Invalid value: "": the model is empty"#,
        ],
    );
}

#[test]
fn items_that_are_neither_text_nor_object() {
    refused(
        "ollama: {models: [5, null, true, [a]]}",
        &[
            r#"spec.ollama.models[0]: Invalid value: 5: must be a string such as "llama3:8b" or an object {name, tag, pullPolicy, insecure}"#,
            r#"spec.ollama.models[1]: Invalid value: null: must be a string such as "llama3:8b" or an object {name, tag, pullPolicy, insecure}"#,
            r#"spec.ollama.models[2]: Invalid value: true: must be a string such as "llama3:8b" or an object {name, tag, pullPolicy, insecure}"#,
            r#"spec.ollama.models[3]: Invalid value: ["a"]: must be a string such as "llama3:8b" or an object {name, tag, pullPolicy, insecure}"#,
        ],
    );
}

#[test]
fn fields_of_an_item() {
    refused(
        "
        ollama:
          models:
          - {name: a, nosuch: 1, pullPolicy: Sometimes, insecure: 'yes'}
          - {tag: x}
          - {name: 7, tag: 8}
          - {name: 'a:b', tag: c}
          - {name: a, tag: 'bad tag'}
        ",
        &[
            "spec.ollama.models[0].nosuch: Invalid value: 1: is no field of a model; there are name, tag, pullPolicy and insecure",
            r#"spec.ollama.models[0].pullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never""#,
            r#"spec.ollama.models[0].insecure: Invalid value: "yes": must be true or false"#,
            "spec.ollama.models[1].name: Required value: name the model",
            "spec.ollama.models[2].tag: Invalid value: 8: must be a string",
            "spec.ollama.models[2].name: Invalid value: 7: must be a string",
            r#"spec.ollama.models[3].tag: Invalid value: "c": the name has the tag "b" and the field tag says "c"; give the tag once, as in a:c"#,
            r#"spec.ollama.models[4].tag: Invalid value: "bad tag": the tag "bad tag" must not hold ' '"#,
        ],
    );
}

#[test]
fn the_same_model_twice() {
    refused(
        "ollama: {models: [llama3, {name: LLAMA3, tag: latest}, 'library/llama3', mistral]}",
        &[
            r#"spec.ollama.models[1]: Duplicate value: "LLAMA3:latest": is the same model as spec.ollama.models[0]; remove one"#,
            r#"spec.ollama.models[2]: Duplicate value: "llama3:latest": is the same model as spec.ollama.models[0]; remove one"#,
        ],
    );
}

#[test]
fn too_many() {
    let list: Vec<String> = (0..257).map(|i| format!("m{i}")).collect();
    refused(
        &format!("ollama: {{models: [{}]}}", list.join(", ")),
        &["spec.ollama.models: Invalid value: 257: must be at most 256 items long"],
    );
}
