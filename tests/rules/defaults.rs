//! What is filled in.

use super::*;

#[test]
fn constants_are_filled_in() {
    assert_eq!(
        filled(&stack("ollama: {models: [a], persistence: {enabled: true}}"))["spec"],
        json!({
            "ollama": {
                "models": ["a"], "replicas": 1, "drainSeconds": 30,
                "service": {"type": "ClusterIP", "port": 11434}, "persistence": {"enabled": true, "size": "50Gi"},
            },
            "networkPolicy": {"enabled": true},
        })
    );
    assert_eq!(
        filled(&stack("tabby: {enabled: true, servicePort: 80}"))["spec"]["tabby"],
        json!({"enabled": true, "servicePort": 80, "replicas": 1, "device": "cpu", "service": {"type": "ClusterIP"}})
    );
}

#[test]
fn sizes_that_stand_elsewhere_are_not_filled_in() {
    let size = |spec: &str| filled(&stack(spec))["spec"]["ollama"]["persistence"]["size"].clone();
    assert_eq!(
        size("ollama: {persistence: {enabled: true, existingClaim: x}}"),
        Value::Null
    );
    assert_eq!(
        size("ollama: {persistence: {enabled: true}, resources: {limits: {storage: 9Gi}}}"),
        Value::Null
    );
    assert_eq!(size("ollama: {persistence: {size: 9Gi}}"), json!("9Gi"));
}
