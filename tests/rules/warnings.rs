//! What is told without a refusal.

use super::*;

/// Nothing to say about it.
const QUIET: &str = "models: ['codellama:7b'], image: 'ollama/ollama:0.32.15', persistence: {enabled: true}";

#[test]
fn a_good_manifest_draws_none() {
    warned(&format!("{{ollama: {{{QUIET}}}, tabby: {{enabled: true}}}}"), &[]);
}

#[test]
fn of_ollama() {
    warned(
        "ollama: {models: [a]}",
        &["spec.ollama.persistence is off: every new pod pulls all models again"],
    );
    warned(
        "ollama: {}",
        &["spec.ollama.models is empty: nothing is pulled, so nothing answers"],
    );
    warned(
        &format!("ollama: {{{QUIET}, models: [{{name: x, pullPolicy: Never}}]}}")
            .replace("models: ['codellama:7b'], ", ""),
        &["x:latest has pullPolicy Never: something else must bring it to the servers"],
    );
    warned(
        &format!("ollama: {{{QUIET}, ingressHost: a.b, kvCacheType: q8_0, flashAttention: false}}"),
        &[
            "spec.ollama gets no Ingress: Ollama asks nobody for a password",
            "spec.ollama.kvCacheType does nothing without flashAttention",
            "older fields, see docs/upgrade.md: spec.ollama.ingressHost",
        ],
    );
    warned(
        &format!("ollama: {{{QUIET}, env: [{{name: OLLAMA_REGISTRIES, value: x}}]}}"),
        &["spec.ollama.env[0].name: OLLAMA_REGISTRIES is not read by ollama; remove it"],
    );
}

#[test]
fn of_images() {
    let images = |fields: &str| format!("ollama: {{models: [a], persistence: {{enabled: true}}, {fields}}}");
    warned(
        &images("image: 'ollama/ollama:latest'"),
        &["spec.ollama.image floats; pin a version, so that pods never differ"],
    );
    warned(
        &images("image: ollama/ollama, imageTag: latest"),
        &["spec.ollama.imageTag floats; pin a version, so that pods never differ"],
    );
    warned(
        &images("imageTag: main"),
        &["spec.ollama.imageTag floats; pin a version, so that pods never differ"],
    );
    warned(
        &images("image: 'ollama/ollama:0.32.15', imageTag: 0.32.14"),
        &["spec.ollama.imageTag 0.32.14 is ignored: spec.ollama.image has 0.32.15; remove one"],
    );
    warned(&images("image: ollama/ollama"), &[]);
}

#[test]
fn of_tabby() {
    let tabby = |fields: &str| format!("{{ollama: {{{QUIET}}}, tabby: {{enabled: true, {fields}}}}}");
    warned(
        &tabby("replicas: 2"),
        &["spec.tabby.replicas: each server has accounts and indexes of its own"],
    );
    warned(
        &tabby("ollamaServiceName: other"),
        &["spec.tabby.ollamaServiceName: the models of that Ollama are not checked"],
    );
    warned(
        &tabby("ollamaServicePort: 80"),
        &["spec.tabby.ollamaServicePort does nothing without the ollamaServiceName of another Ollama"],
    );
    warned(
        &tabby("envVars: [{name: TABBY_LOG_LEVEL, value: debug}, {name: TABBY_HOST, value: 0.0.0.0}]"),
        &[
            "spec.tabby.envVars[0].name: TABBY_LOG_LEVEL is not read by tabby; remove it",
            "spec.tabby.envVars[1].name: TABBY_HOST is not read by tabby; remove it",
        ],
    );
    warned(
        "{ollama: {models: ['llama3.2:1b'], persistence: {enabled: true}}, tabby: {enabled: true}}",
        &["llama3.2:1b has no known fill-in-the-middle template: completion by Tabby will be poor"],
    );
    warned(
        &tabby(
            "ingress: {host: a.b, annotations: {haproxy.org/ssl-passthrough: 'true', haproxy.org/websocket-services: ws-svc}}",
        ),
        &[
            "spec.tabby.ingress: haproxy.org/ssl-passthrough passes raw TCP on: no TLS, host or path rules",
            "spec.tabby.ingress: haproxy.org/websocket-services does not exist; WebSockets need nothing",
        ],
    );
}

#[test]
fn of_flat_fields_beside_nested_ones() {
    warned(
        &format!(
            "{{ollama: {{{QUIET}, serviceType: NodePort, servicePort: 80, service: {{type: ClusterIP, port: 81}}}},
              tabby: {{enabled: true, ingressEnabled: true, ingressHost: a.b, ingress: {{enabled: false, host: b.c}}}}}}"
        ),
        &[
            "spec.ollama.servicePort is ignored: spec.ollama.service.port says something else",
            "spec.ollama.serviceType is ignored: spec.ollama.service.type says something else",
            "spec.tabby.ingressEnabled is ignored: spec.tabby.ingress.enabled says something else",
            "spec.tabby.ingressHost is ignored: spec.tabby.ingress.host says something else",
            "older fields, see docs/upgrade.md: spec.ollama.serviceType, spec.ollama.servicePort and 2 more",
        ],
    );
    // Saying the same twice is no difference.
    warned(
        &format!("ollama: {{{QUIET}, servicePort: 80, service: {{port: 80}}}}"),
        &["older fields, see docs/upgrade.md: spec.ollama.servicePort"],
    );
}

#[test]
fn of_services_and_storage() {
    warned(
        &format!("ollama: {{{QUIET}, service: {{loadBalancerSourceRanges: [10.0.0.0/8]}}}}"),
        &["spec.ollama.service.loadBalancerSourceRanges[0] does nothing without service.type LoadBalancer"],
    );
    warned(
        &format!("ollama: {{{QUIET}, resources: {{requests: {{storage: 9Gi}}}}}}"),
        &["spec.ollama.resources: storage means spec.ollama.persistence.size, and counts where that is unset"],
    );
}

#[test]
fn are_ten_at_most() {
    let many: Vec<String> = (0..20).map(|i| format!("{{name: m{i}, pullPolicy: Never}}")).collect();
    let review = reviewed(
        &stack(&format!("ollama: {{models: [{}]}}", many.join(", "))),
        None,
        &Settings::default(),
    );
    let spoken = review.spoken();
    assert_eq!(spoken.len(), 10);
    assert_eq!(
        spoken[0],
        "spec.ollama.persistence is off: every new pod pulls all models again"
    );
}
