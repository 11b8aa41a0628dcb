//! Claims and buckets.

use super::*;

#[test]
fn sizes_and_names() {
    accepted("ollama: {models: [a], persistence: {enabled: true, size: 100Gi, storageClass: ''}}");
    refused(
        "ollama: {models: [a], persistence: {enabled: true, size: much, storageClass: A_B, existingClaim: ''}}",
        &[
            "spec.ollama.persistence.existingClaim: Invalid value: 0: must be 1 to 253 characters long",
            r#"spec.ollama.persistence.size: Invalid value: "much": "much" is not a quantity; write it as in "500m" or "2Gi""#,
            r#"spec.ollama.persistence.storageClass: Invalid value: "A_B": is not the name of an object: lower case, digits, - and ."#,
        ],
    );
    refused(
        "ollama: {models: [a], persistence: {enabled: true, size: 0}}",
        &["spec.ollama.persistence.size: Invalid value: 0: must be more than nothing"],
    );
}

#[test]
fn several_replicas_on_one_claim() {
    accepted(
        "ollama: {models: [a], replicas: 2, persistence: {enabled: true, existingClaim: shared, accessModes: [ReadWriteMany]}}",
    );
    accepted("ollama: {models: [a], replicas: 1, persistence: {enabled: true, existingClaim: mine}}");
    refused(
        "ollama: {models: [a], replicas: 2, persistence: {enabled: true, existingClaim: mine}}",
        &[
            r#"spec.ollama.persistence.existingClaim: Invalid value: "mine": several replicas need a claim that many nodes can write: set accessModes to [ReadWriteMany] if it is one, or leave existingClaim away and each replica gets a claim of its own"#,
        ],
    );
}

const FIXED: &str = "cannot be changed while persistence is on: a claim keeps what it was made with; move the data to a new object, or switch persistence off, delete the claims, and switch it on again";

#[test]
fn what_a_claim_cannot_change() {
    changed(
        "ollama: {models: [a], persistence: {enabled: true, size: 50Gi}}",
        "ollama: {models: [a], persistence: {enabled: true, size: 51200Mi, storageClass: fast, accessModes: [ReadWriteMany], existingClaim: x}}",
        &[
            &format!("spec.ollama.persistence.storageClass: Forbidden: {FIXED}"),
            &format!("spec.ollama.persistence.accessModes: Forbidden: {FIXED}"),
            &format!("spec.ollama.persistence.existingClaim: Forbidden: {FIXED}"),
        ],
    );
    // Said or left away, the default is the same.
    changed(
        "ollama: {models: [a], persistence: {enabled: true}}",
        "ollama: {models: [a], persistence: {enabled: true, size: 60Gi, accessModes: [ReadWriteOnce]}}",
        &[],
    );
}

#[test]
fn claims_never_shrink() {
    changed(
        "ollama: {models: [a], persistence: {enabled: true, size: 100Gi}}",
        "ollama: {models: [a], persistence: {enabled: true, size: 99Gi}}",
        &[
            r#"spec.ollama.persistence.size: Invalid value: "99Gi": claims cannot shrink from "100Gi"; keep that size, or move the data to a new object"#,
        ],
    );
    // Nor by leaving the size away, nor where an older manifest gives it as a resource.
    changed(
        "ollama: {models: [a], persistence: {enabled: true, size: 100Gi}}",
        "ollama: {models: [a], persistence: {enabled: true}}",
        &[
            r#"spec.ollama.persistence.size: Invalid value: "50Gi": claims cannot shrink from "100Gi"; keep that size, or move the data to a new object"#,
        ],
    );
    changed(
        "{ollama: {models: [codellama]}, tabby: {enabled: true, persistence: {enabled: true}, resources: {requests: {storage: 20Gi}}}}",
        "{ollama: {models: [codellama]}, tabby: {enabled: true, persistence: {enabled: true}, resources: {requests: {storage: 15Gi}}}}",
        &[
            r#"spec.tabby.persistence.size: Invalid value: "15Gi": claims cannot shrink from "20Gi"; keep that size, or move the data to a new object"#,
        ],
    );
}

#[test]
fn a_claim_is_free_to_change_while_it_is_off() {
    let on = "ollama: {models: [a], persistence: {enabled: true, size: 100Gi, storageClass: slow}}";
    let off = "ollama: {models: [a], persistence: {enabled: false, size: 10Gi, storageClass: fast}}";
    changed(on, off, &[]);
    changed(off, on, &[]);
    let tabby = |enabled: bool, class: &str| {
        format!(
            "{{ollama: {{models: [codellama]}}, tabby: {{enabled: {enabled}, persistence: {{enabled: true, storageClass: {class}}}}}}}"
        )
    };
    changed(&tabby(true, "slow"), &tabby(false, "fast"), &[]);
    changed(&tabby(false, "slow"), &tabby(true, "fast"), &[]);
    assert_eq!(
        issues(
            &stack(&tabby(true, "fast")),
            Some(&filled(&stack(&tabby(true, "slow"))))
        )
        .len(),
        1
    );
}
