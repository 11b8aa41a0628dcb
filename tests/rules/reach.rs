//! How many run where load decides.

use super::{accepted, refused, warned};

#[test]
fn autoscaling_keeps_to_the_bounds_of_replicas() {
    accepted("ollama: {autoscaling: {enabled: true, minReplicas: 2, maxReplicas: 10}}");
    refused(
        "{ollama: {autoscaling: {enabled: true, minReplicas: 0, maxReplicas: 11}}, openwebui: {enabled: true, \
         autoscaling: {enabled: true, minReplicas: 3, maxReplicas: 2}}}",
        &[
            "spec.ollama.autoscaling.minReplicas: Invalid value: 0: must be at least 1",
            "spec.ollama.autoscaling.maxReplicas: Invalid value: 11: must be 1 to 10",
            "spec.openwebui.autoscaling.minReplicas: Invalid value: 3: must not be above maxReplicas, which is 2; lower \
             one or raise the other",
        ],
    );
    refused(
        "ollama: {autoscaling: {enabled: true, metrics: [{type: Cpu}, {type: External}]}}",
        &[
            "spec.ollama.autoscaling.maxReplicas: Required value: autoscaling needs the most replicas that may run; give \
             maxReplicas, or set enabled to false",
            "spec.ollama.autoscaling.metrics[0].type: Unsupported value: \"Cpu\": supported values: \"Resource\", \
             \"ContainerResource\", \"Pods\", \"Object\", \"External\"",
            "spec.ollama.autoscaling.metrics[1].external: Required value: a metric of type External is described there",
        ],
    );
    accepted("ollama: {autoscaling: {enabled: false, minReplicas: 9, maxReplicas: 3}}");
}

#[test]
fn cpu_says_little_about_a_gpu() {
    let scaled = |metrics: &str| {
        format!(
            "ollama: {{models: [a], persistence: {{enabled: true}}, gpu: {{vendor: nvidia}}, \
             autoscaling: {{enabled: true, maxReplicas: 2{metrics}}}}}"
        )
    };
    warned(
        &scaled(""),
        &["spec.ollama.autoscaling measures CPU while a GPU does the work; give metrics"],
    );
    warned(&scaled(", metrics: [{type: Pods, pods: {}}]"), &[]);
}

#[test]
fn what_several_need_the_most_replicas_need() {
    let scaled = "autoscaling: {enabled: true, maxReplicas: 2}";
    refused(
        &format!("{{ollama: {{{scaled}, persistence: {{enabled: true, existingClaim: models}}}}}}"),
        &[
            "spec.ollama.persistence.existingClaim: Invalid value: \"models\": several replicas need a claim that many \
           nodes can write: set accessModes to [ReadWriteMany] if it is one, or leave existingClaim away and each \
           replica gets a claim of its own",
        ],
    );
    refused(
        &format!(
            "{{openwebui: {{enabled: true, {scaled}, redis: {{enabled: false}}, database: {{enabled: false}}, \
             persistence: {{accessModes: [ReadWriteOncePod]}}}}}}"
        ),
        &[
            "spec.openwebui.persistence.accessModes: Invalid value: \"ReadWriteOncePod\": is for one pod: set accessModes \
             to [ReadWriteMany], or persistence.enabled to false and storage.s3",
            "spec.openwebui.database.enabled: Invalid value: false: several Open WebUI need one PostgreSQL: leave \
             database.enabled away, give database.urlSecretRef, or set replicas to 1",
            "spec.openwebui.redis.enabled: Invalid value: false: several Open WebUI share their sessions through Redis: \
             leave redis.enabled away, give redis.url or redis.urlSecretRef, or set replicas to 1",
        ],
    );
}

#[test]
fn a_route_needs_a_gateway_and_a_host() {
    let tabby = |gateway: &str| {
        format!("{{ollama: {{models: [codellama:7b-code]}}, tabby: {{enabled: true, gateway: {gateway}}}}}")
    };
    refused(
        &tabby("{}"),
        &[
            "spec.tabby.gateway.parentRef.name: Required value: a route needs a Gateway; give its name",
            "spec.tabby.gateway.host: Required value: a route without a host name would take every host of the Gateway; \
             give one",
        ],
    );
    refused(
        &tabby("{parentRef: {name: Web, namespace: my_ns, sectionName: ''}, host: Code_1}"),
        &[
            "spec.tabby.gateway.parentRef.sectionName: Invalid value: 0: must be 1 to 253 characters long",
            "spec.tabby.gateway.parentRef.name: Invalid value: \"Web\": is no name: lower case, digits, - and .",
            "spec.tabby.gateway.parentRef.namespace: Invalid value: \"my_ns\": is no name: lower case, digits, - and .",
            "spec.tabby.gateway.host: Invalid value: \"Code_1\": is not a lower-case host name such as \
             chat.example.com",
        ],
    );
    // Both may be there, as while one moves from one to the other.
    accepted(&format!(
        "{{ollama: {{models: [codellama:7b-code]}}, tabby: {{enabled: true, ingress: {{host: a.example.com}}, gateway: {}}}}}",
        "{parentRef: {name: web}, host: a.example.com}"
    ));
}
