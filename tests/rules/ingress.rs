//! Ingresses.

use super::*;

fn tabby(fields: &str) -> String {
    format!("{{ollama: {{models: [codellama]}}, tabby: {{enabled: true, {fields}}}}}")
}

#[test]
fn hosts() {
    for good in [
        "ingress: {host: tabby.example.com}",
        "ingress: {enabled: true, host: '*.example.com'}",
        "ingress: {enabled: false}",
        "ingressEnabled: true, ingressHost: tabby.local",
        "ingress: {enabled: true}, ingressHost: tabby.local",
        "ingressEnabled: true, ingress: {enabled: false}",
    ] {
        accepted(&tabby(good));
    }
    let missing =
        "spec.tabby.ingress.host: Required value: an Ingress needs a host name; give one, or set enabled to false";
    refused(&tabby("ingress: {enabled: true}"), &[missing]);
    refused(&tabby("ingressEnabled: true"), &[missing]);
    refused(&tabby("ingressEnabled: true, ingressHost: ''"), &[missing]);
    refused(
        &tabby("ingress: {host: 'https://Tabby.example.com'}"),
        &[
            r#"spec.tabby.ingress.host: Invalid value: "https://Tabby.example.com": is not a lower-case host name such as chat.example.com"#,
        ],
    );
    refused(
        &tabby("ingressHost: 10.0.0.1"),
        &[
            r#"spec.tabby.ingressHost: Invalid value: "10.0.0.1": is not a lower-case host name such as chat.example.com"#,
        ],
    );
}

#[test]
fn paths_and_tls() {
    accepted(&tabby(
        "ingress: {host: a.b, path: /tabby, tls: [{hosts: [a.b], secretName: cert}]}",
    ));
    accepted(&tabby("ingress: {host: a.b, tls: {hosts: [a.b], secretName: cert}}"));
    let form = "must be an object with hosts (a list of host names) and secretName";
    refused(
        &tabby(
            "ingress: {host: a.b, path: tabby, tls: [x, {hosts: a.b}, {hosts: [A.b]}, {secretName: 5}, {secret: x}]}",
        ),
        &[
            r#"spec.tabby.ingress.path: Invalid value: "tabby": must begin with /"#,
            &format!(r#"spec.tabby.ingress.tls[0]: Invalid value: "x": {form}"#),
            &format!(r#"spec.tabby.ingress.tls[1]: Invalid value: {{"hosts":"a.b"}}: {form}"#),
            &format!(r#"spec.tabby.ingress.tls[2]: Invalid value: {{"hosts":["A.b"]}}: {form}"#),
            &format!(r#"spec.tabby.ingress.tls[3]: Invalid value: {{"secretName":5}}: {form}"#),
            &format!(r#"spec.tabby.ingress.tls[4]: Invalid value: {{"secret":"x"}}: {form}"#),
        ],
    );
    refused(
        &tabby("ingress: {host: a.b, tls: true}"),
        &[&format!("spec.tabby.ingress.tls: Invalid value: true: {form}")],
    );
}
