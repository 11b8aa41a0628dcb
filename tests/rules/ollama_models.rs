//! OllamaModels.

use super::*;

#[track_caller]
fn told(spec: &str, messages: &[&str]) {
    assert_eq!(issues(&model(spec), None), messages, "{spec}");
}

#[test]
fn the_printed_name_and_every_field() {
    told(
        "{name: llama3.2, tag: 1b, pullPolicy: Always, insecure: true, target: {deploymentRef: {kind: LMDeployment, name: chat}}}",
        &[],
    );
    told("{name: 'hf.co/a/b:F16', target: {deploymentRef: {name: chat}}}", &[]);
}

#[test]
fn names_and_tags() {
    told(
        "{name: 'bad name', target: {deploymentRef: {name: chat}}}",
        &[r#"spec.name: Invalid value: "bad name": the model "bad name" must not hold ' '"#],
    );
    told(
        "{name: 'a:b', tag: c, target: {deploymentRef: {name: chat}}}",
        &[
            r#"spec.tag: Invalid value: "c": the name has the tag "b" and the field tag says "c"; give the tag once, as in a:c"#,
        ],
    );
}

#[test]
fn targets() {
    told(
        "{name: a, target: {deploymentRef: {kind: StatefulSet, name: A.b}}}",
        &[
            r#"spec.target.deploymentRef.kind: Unsupported value: "StatefulSet": supported values: "LMDeployment", "OllamaDeployment", "Deployment""#,
            r#"spec.target.deploymentRef.name: Invalid value: "A.b": is not the name of a stack"#,
        ],
    );
    told("{name: a}", &[]);
    for kind in ["LMDeployment", "OllamaDeployment", "Deployment"] {
        told(
            &format!("{{name: a, target: {{deploymentRef: {{kind: {kind}, name: chat}}}}}}"),
            &[],
        );
    }
    told("{name: a, target: {service: {name: ollama}}}", &[]);
    told(
        "{name: a, target: {service: {name: Ollama, port: 0}}}",
        &[
            "spec.target.service.port: Invalid value: 0: must be 1 to 65535",
            r#"spec.target.service.name: Invalid value: "Ollama": is not the name of a Service"#,
        ],
    );
    let one =
        "must name exactly one of deploymentRef, service and url; leave target away for the operator's own Ollama";
    told(
        "{name: a, target: {}}",
        &[&format!(r#"spec.target: Invalid value: "": {one}"#)],
    );
    told(
        "{name: a, target: {deploymentRef: {name: chat}, url: 'http://a.test'}}",
        &[&format!(r#"spec.target: Invalid value: "deploymentRef, url": {one}"#)],
    );
}

#[test]
fn urls_must_be_on_the_list() {
    let settings = Settings {
        models: Models {
            allowed_urls: vec!["http://*.models.test:11434".into()],
            ..Models::default()
        },
        ..Settings::default()
    };
    let told = |url: &str| {
        let object = model(&format!("{{name: a, target: {{url: '{url}'}}}}"));
        let review = (of(&object).unwrap().review)(&object, None, &settings).unwrap();
        review
            .issues
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ")
    };
    assert_eq!(told("http://one.models.test:11434"), "");
    assert_eq!(told("http://localhost:11434"), "", "the operator's own is allowed");
    assert!(told("http://169.254.169.254").contains("models.allowedUrls"));
    assert!(told("http://one.models.test:11434/latest/meta-data").contains("no user, path or query"));
    assert!(told("https://one.models.test").contains("plain http"));
    assert!(told("http://one.models.test:80").contains("models.allowedUrls"));
}

#[test]
fn digests() {
    let digest = "ab".repeat(32);
    for good in [digest.clone(), format!("sha256:{digest}"), digest.to_uppercase()] {
        told(&format!("{{name: a, digest: '{good}'}}"), &[]);
    }
    told(
        "{name: a, digest: 'sha256:ab'}",
        &["spec.digest: Invalid value: 9: must be 64 to 71 characters long"],
    );
    let bad = "x".repeat(64);
    told(
        &format!("{{name: a, digest: '{bad}'}}"),
        &[&format!(
            r#"spec.digest: Invalid value: "{bad}": must be the digest of the manifest as /api/tags prints it: 64 digits, perhaps after sha256:"#
        )],
    );
}

#[test]
fn derived_models() {
    let target = "target: {deploymentRef: {name: chat}}";
    told(
        &format!(
            "{{name: a, from: b, system: s, parameters: {{temperature: 0.5, stop: [x]}}, messages: [{{role: user, content: hi}}], {target}}}"
        ),
        &[],
    );
    let alone = "only a derived model has it; name the model that it is made from in spec.from";
    told(
        &format!("{{name: a, system: s, template: t, {target}}}"),
        &[
            &format!("spec.system: Forbidden: {alone}"),
            &format!("spec.template: Forbidden: {alone}"),
        ],
    );
    told(
        &format!("{{name: 'a:latest', from: A, {target}}}"),
        &[r#"spec.from: Invalid value: "A": is the model itself; name the model that it is made from"#],
    );
    told(
        &format!(
            "{{name: a, from: 'x/y/z/b', keepAlive: soon, parameters: {{stop: [1]}}, adapters: {{f: 'sha256:12'}}, {target}}}"
        ),
        &[
            r#"spec.from: Invalid value: "x/y/z/b": a name has at most three parts: host/namespace/model"#,
            "spec.parameters[stop]: Invalid value: [1]: must be a number, a text, true or false, or a list of texts",
            r#"spec.adapters[f]: Invalid value: "sha256:12": must be sha256: and 64 digits, of a file that the servers have (POST /api/blobs)"#,
            r#"spec.keepAlive: Invalid value: "soon": is not a duration such as 10m, a number of seconds, or -1 for ever"#,
        ],
    );
    let place = issues(&model("{name: a, from: b}"), None);
    assert!(
        place[0].starts_with("spec.from: Forbidden: all namespaces share"),
        "{place:?}"
    );
}

#[test]
fn a_model_that_is_never_pulled_is_not_pulled_insecurely() {
    told(
        "{name: a, pullPolicy: Never, insecure: true, target: {deploymentRef: {name: chat}}}",
        &["spec.insecure: Forbidden: does nothing with pullPolicy Never; remove it"],
    );
}

#[test]
fn which_model_and_where_stay() {
    let old = model("{name: llama3.2, tag: 1b, target: {deploymentRef: {name: chat}}}");
    let after = |spec: &str| issues(&model(spec), Some(&old));
    assert_eq!(
        after("{name: llama3.2, tag: 3b, target: {deploymentRef: {name: other}}}"),
        [
            "spec.name: Forbidden: cannot be changed; make another OllamaModel",
            "spec.target: Forbidden: cannot be changed; make another OllamaModel",
        ]
    );
    // The same in other words.
    assert_eq!(
        after("{name: 'Llama3.2:1b', pullPolicy: Always, target: {deploymentRef: {kind: LMDeployment, name: chat}}}"),
        [""; 0]
    );
}
