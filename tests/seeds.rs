//! The manifests that the documents of older operators print: `tests/seeds` has each as it is printed, and what becomes of it.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that panics says why

#[path = "support/printed.rs"]
mod printed;
mod support;

use llm_operator::kind::of;
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Those of the examples that have older fields.
const EXAMPLES: [&str; 4] = ["legacy-flat", "legacy-pipelines", "legacy-redis", "legacy-tabby"];

fn text(name: &str) -> String {
    support::read(&format!("tests/seeds/{name}.yaml"))
}

fn parsed(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// The program with this on its standard input.
fn run(command: &str, input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_llm-operator"))
        .args([command, "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// What it prints, when all is well.
fn printed(command: &str, input: &str) -> String {
    let output = run(command, input);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command} {input}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn printed_manifests_become_what_is_committed() {
    for name in printed::PRINTED {
        let path = format!("tests/seeds/{name}.yaml");
        support::compare(
            &format!("tests/seeds/golden/{name}.yaml"),
            &support::became(&path, &parsed(&text(name))),
        );
    }
}

/// A stack with the fragment, which is printed without one.
fn around(fragment: &str) -> String {
    let indented: Vec<String> = text(fragment).lines().map(|line| format!("  {line}")).collect();
    let head = "apiVersion: llm.geeper.io/v1alpha1\nkind: LMDeployment\nmetadata: {name: minimal-ollama}\nspec:\n";
    format!("{head}  ollama: {{models: [\"llama2:7b\"]}}\n{}\n", indented.join("\n"))
}

#[test]
fn annotations_of_an_ingress_pass_through_as_printed() {
    let object = parsed(&around("fragments/tabby-haproxy"));
    let form = of(&object).unwrap();
    let review = (form.review)(&object, None, &support::settings()).unwrap();
    let warnings = review.spoken();
    for says in [
        "haproxy.org/ssl-passthrough passes raw TCP",
        "haproxy.org/websocket-services does not exist",
    ] {
        assert!(warnings.iter().any(|w| w.contains(says)), "{says}: {warnings:?}");
    }
    let objects = (form.render)(&object, &support::settings()).unwrap();
    let ingress = objects.iter().find(|o| o.resource.kind == "Ingress").unwrap();
    assert_eq!(ingress.name, "minimal-ollama-tabby-ingress");
    let annotations = json!({"haproxy.org/ssl-passthrough": "true", "haproxy.org/websocket-services": "ws-svc"});
    assert_eq!(ingress.body["metadata"]["annotations"], annotations);
}

/// One key twice is no YAML. `kubectl apply` takes the last without a word, so these programs are the ones to tell.
#[test]
fn a_key_that_is_printed_twice_is_told() {
    let twice = around("fragments/tabby-nginx");
    for command in ["validate", "render", "migrate"] {
        let output = run(command, &twice);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{command}: {said}");
        assert!(said.contains("duplicate"), "{command}: {said}");
        assert!(said.contains("nginx.org/websocket-services"), "{command}: {said}");
        assert_eq!(output.stdout, b"", "{command}");
    }
    let once = twice.replace("      nginx.org/websocket-services: \"ws-svc\"\n", "");
    assert_ne!(once, twice);
    assert!(printed("validate", &once).contains("1 of 1 manifests are good"));
}

/// What is made, with whatever names the owner's kind as it is for an `LMDeployment`.
fn objects(text: &str) -> Vec<Value> {
    let mut all: Vec<Value> = serde_saphyr::from_multiple(&printed("render", text)).unwrap();
    for object in &mut all {
        for owner in object["metadata"]["ownerReferences"]
            .as_array_mut()
            .into_iter()
            .flatten()
        {
            owner["kind"] = "LMDeployment".into();
        }
        let kept = "llm.geeper.io/retained-for";
        if let Some(owner) = object["metadata"]["annotations"][kept].as_str() {
            let name = owner.split_once('/').unwrap().1.to_string();
            object["metadata"]["annotations"][kept] = format!("LMDeployment/{name}").into();
        }
        if object["kind"] == "OllamaModel" {
            object["spec"]["target"]["deploymentRef"]["kind"] = "LMDeployment".into();
        }
    }
    all
}

#[track_caller]
fn same_objects(after: &str, before: &str) {
    let (after, before) = (objects(after), objects(before));
    assert_eq!(after.len(), before.len());
    for (after, before) in after.iter().zip(&before) {
        assert_eq!(after, before);
    }
}

fn comments(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| line.split_once('#'))
        .map(|(_, comment)| comment)
        .collect()
}

#[test]
fn what_is_rewritten_makes_the_same_objects_and_keeps_its_comments() {
    let seeds = printed::PRINTED.iter().map(|name| (*name, text(name)));
    let examples = EXAMPLES
        .iter()
        .map(|name| (*name, support::read(&format!("examples/{name}.yaml"))));
    for (name, before) in seeds.chain(examples) {
        let after = printed("migrate", &before);
        same_objects(&after, &before);
        assert_eq!(
            comments(&after).len(),
            comments(&before).len() + usize::from(name.ends_with("production-tabby") || name == "legacy-tabby"),
            "{name}:\n{after}"
        );
        assert_eq!(
            printed("migrate", &after),
            after,
            "{name}: a second time changes nothing"
        );
        for older in [
            "serviceType",
            "servicePort",
            "ingressHost",
            "ingressEnabled",
            "envVars",
            "pipelineUrls",
            "modelName:",
        ] {
            let kept = after
                .lines()
                .any(|line| !line.trim_start().starts_with('#') && line.contains(older));
            assert!(!kept, "{name} has {older}:\n{after}");
        }
        let output = run("validate", &after);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains("older fields"), "{name}: {said}");
    }
}

#[test]
fn a_stack_of_another_kind_takes_its_place() {
    let after = printed("migrate", &text("minimal-ollama"));
    let expected = r#"apiVersion: llm.geeper.io/v1alpha1
kind: LMDeployment
metadata:
  annotations:
    llm.geeper.io/take-over-from: OllamaDeployment/minimal-ollama
  name: minimal-ollama
spec:
  ollama:
    models:
      - "llama2:7b"
"#;
    assert_eq!(after, expected);
    assert_eq!(printed("migrate", expected), expected);
}

#[test]
fn other_documents_pass_through_byte_for_byte() {
    let other = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}   # mine\nstringData:\n    key:   'x'\n";
    let text = format!("# head\n{other}---\n{}---\n# tail\n{other}", text("full-ollama"));
    let after = printed("migrate", &text);
    assert!(after.starts_with(&format!("# head\n{other}---\n")), "{after}");
    assert!(after.ends_with(&format!("---\n# tail\n{other}")), "{after}");
    for other in [
        other,
        "",
        "# nothing\n",
        "a: 1\n---\nnull\n---\nb: 1\n",
        "~\n",
        "a: 1\n...\n---\nb: 2\n",
        "apiVersion: v1\nkind: List\nitems: []\n",
    ] {
        assert_eq!(printed("migrate", other), other);
    }
    assert_eq!(
        printed("migrate", &support::read("examples/minimal.yaml")),
        support::read("examples/minimal.yaml")
    );
}

#[test]
fn fields_move_to_where_others_are_already() {
    let before = "\
apiVersion: llm.geeper.io/v1alpha1
kind: Deployment
metadata: {name: code, annotations: {a: b}}
spec:
  ollama: {models: [\"a:1b\"]}
  openwebui:
    enabled: true
    # How it is reached.
    ingressHost: chat.example.com # by people
    service:
      annotations: {x: z}
    servicePort: 80
    serviceType: NodePort
    ingress:
      tls:
        hosts: [chat.example.com]

        secretName: chat
  tabby:
    enabled: true
    modelName: \"a:1b\" # small
    chatModel: \"a:1b\"
    ingress: {host: code.example.com, tls: {secretName: code}}
";
    let expected = "\
apiVersion: llm.geeper.io/v1alpha1
kind: LMDeployment
metadata: {name: code, annotations: {llm.geeper.io/take-over-from: Deployment/code, a: b}}
spec:
  ollama: {models: [\"a:1b\"]}
  openwebui:
    enabled: true
    # How it is reached.
    service:
      type: NodePort
      port: 80
      annotations: {x: z}
    ingress:
      host: chat.example.com # by people
      tls:
        - hosts: [chat.example.com]

          secretName: chat
  tabby:
    enabled: true
    completionModel: \"a:1b\" # small
    chatModel: \"a:1b\"
    ingress: {host: code.example.com, tls: [{secretName: code}]}
";
    let after = printed("migrate", before);
    same_objects(&after, before);
    assert_eq!(after, expected);
}

/// Two lists that become one cannot be joined line by line.
#[test]
fn a_document_that_cannot_be_edited_is_written_anew_and_that_is_said() {
    let before = "\
apiVersion: llm.geeper.io/v1alpha1
kind: LMDeployment
metadata: {name: code}
spec: # all of it
  ollama: {models: [\"a:1b\"], serviceType: NodePort, env: [{name: A, value: b}], envVars: [{name: C, value: d}]}
";
    let output = run("migrate", before);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("LMDeployment code: rewritten as a whole"), "{said}");
    let after = String::from_utf8(output.stdout).unwrap();
    same_objects(&after, before);
    assert_eq!(parsed(&after)["spec"]["ollama"]["env"][1]["name"], "C");
}

/// A value that is nothing has no place in the text: what follows its key must not be left behind.
#[test]
fn a_document_that_ends_with_an_empty_field_is_rewritten_to_its_end() {
    let both = "env: [{name: A, value: b}], envVars: [{name: C, value: d}]";
    for ollama in ["serviceType: NodePort", &format!("serviceType: NodePort, {both}")] {
        let before = format!(
            "apiVersion: llm.geeper.io/v1alpha1\nkind: LMDeployment\nmetadata: {{name: code}}\nspec:\n  \
             ollama: {{models: [\"a:1b\"], {ollama}}}\n  tabby:\n    modelName: a:1b\n    resources :\n "
        );
        let after = String::from_utf8(run("migrate", &before).stdout).unwrap();
        let spec = &parsed(&after)["spec"];
        assert_eq!(spec["tabby"]["chatModel"], "a:1b", "{after}");
        assert!(spec["tabby"]["resources"].is_null(), "{after}");
    }
}
