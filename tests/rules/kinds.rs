//! The kinds of stacks, and one in place of another.

use super::*;

fn of_kind(kind: &str, take_over: Option<&str>) -> Value {
    let mut object = stack("{ollama: {models: [a]}}");
    object["kind"] = kind.into();
    if let Some(from) = take_over {
        object["metadata"]["annotations"] = json!({"llm.geeper.io/take-over-from": from});
    }
    object
}

#[test]
fn older_names_are_checked_alike() {
    for kind in ["LMDeployment", "OllamaDeployment", "Deployment"] {
        let mut object = of_kind(kind, None);
        assert_eq!(issues(&object, None), [""; 0], "{kind}");
        assert_eq!(filled(&object)["spec"]["ollama"]["replicas"], 1, "{kind}");
        object["spec"]["ollama"]["replicas"] = 11.into();
        let expected = ["spec.ollama.replicas: Invalid value: 11: must be 1 to 10"];
        assert_eq!(issues(&object, None), expected, "{kind}");
    }
}

#[test]
fn a_stack_is_taken_over_from_another_kind_of_the_same_name() {
    let told = |kind: &str, from: &str| issues(&of_kind(kind, Some(from)), None);
    assert_eq!(told("LMDeployment", "OllamaDeployment/chat"), [""; 0]);
    assert_eq!(told("LMDeployment", "Deployment/chat"), [""; 0]);
    assert_eq!(told("Deployment", "LMDeployment/chat"), [""; 0]);
    assert_eq!(
        told("LMDeployment", "LMDeployment/chat"),
        [
            r#"metadata.annotations[llm.geeper.io/take-over-from]: Invalid value: "LMDeployment/chat": must be <kind>/<name>, where the kind is OllamaDeployment or Deployment"#
        ]
    );
    assert_eq!(
        told("OllamaDeployment", "Deployment/other"),
        [
            r#"metadata.annotations[llm.geeper.io/take-over-from]: Invalid value: "Deployment/other": must name the stack as this one is named, "chat": claims and Secrets are named after their stack, and cannot be renamed"#
        ]
    );
}
