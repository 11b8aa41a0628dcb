//! Numbers and their bounds.

use super::*;

#[test]
fn replicas() {
    refused(
        "ollama: {replicas: 0, models: [a]}",
        &["spec.ollama.replicas: Invalid value: 0: must be 1 to 10"],
    );
    refused(
        "{ollama: {models: [a]}, tabby: {enabled: true, replicas: 6}}",
        &["spec.tabby.replicas: Invalid value: 6: must be 1 to 5"],
    );
}

#[test]
fn typed_settings() {
    refused(
        "
        ollama:
          models: [a]
          drainSeconds: -1
          numParallel: 0
          maxLoadedModels: 999
          maxQueue: 0
          contextLength: 0
          keepAlive: forever
          gpu: {vendor: nvidia, count: 0}
        ",
        &[
            "spec.ollama.contextLength: Invalid value: 0: must be 1 to 16777216",
            "spec.ollama.drainSeconds: Invalid value: -1: must be 0 to 3600",
            "spec.ollama.gpu.count: Invalid value: 0: must be 1 to 64",
            "spec.ollama.maxLoadedModels: Invalid value: 999: must be 1 to 256",
            "spec.ollama.maxQueue: Invalid value: 0: must be 1 to 65536",
            "spec.ollama.numParallel: Invalid value: 0: must be 1 to 256",
            r#"spec.ollama.keepAlive: Invalid value: "forever": is not a duration such as 10m, a number of seconds, or -1 for ever"#,
        ],
    );
    for good in ["10m", "-1", "0", "1h30m", "3600"] {
        accepted(&format!("ollama: {{models: [a], keepAlive: {good}}}"));
        accepted(&format!("ollama: {{models: [a], keepAlive: '{good}'}}"));
    }
    refused(
        "ollama: {models: [a], keepAlive: 1.5}",
        &[
            "spec.ollama.keepAlive: Invalid value: 1.5: is not a duration such as 10m, a number of seconds, or -1 for ever",
        ],
    );
}

#[test]
fn ports() {
    refused(
        "
        ollama: {models: [a], service: {port: 0, type: NodePort, nodePort: 70000}}
        tabby: {enabled: true, servicePort: 65536, ollamaServiceName: other, ollamaServicePort: -1}
        ",
        &[
            "spec.ollama.service.nodePort: Invalid value: 70000: must be 1 to 65535",
            "spec.ollama.service.port: Invalid value: 0: must be 1 to 65535",
            "spec.tabby.servicePort: Invalid value: 65536: must be 1 to 65535",
            "spec.tabby.ollamaServicePort: Invalid value: -1: must be 1 to 65535",
        ],
    );
}

#[test]
fn a_list_that_is_too_long_is_counted_and_not_printed() {
    let list: Vec<String> = (0..129).map(|i| format!("{{name: V{i}, value: hidden}}")).collect();
    refused(
        &format!("ollama: {{models: [a], env: [{}]}}", list.join(", ")),
        &["spec.ollama.env: Invalid value: 129: must be at most 128 items long"],
    );
}
