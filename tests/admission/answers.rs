//! What the API server answers, as kubectl prints it.

use super::live::objects::Objects;
use super::live::{LIMIT, operator};
use anyhow::{Result, ensure};
use cluster::test::Namespace;
use serde_json::{Value, json};

/// A stack as a manifest.
pub fn stack(name: &str, spec: &Value) -> String {
    json!({
        "apiVersion": "llm.geeper.io/v1alpha1", "kind": "LMDeployment",
        "metadata": {"name": name}, "spec": spec,
    })
    .to_string()
}

async fn place(test: &str) -> Result<Namespace> {
    operator::shared().await?.namespace(test).await
}

const SHOWCASE: &str = r#"Warning: spec.ollama.persistence is off: every new pod pulls all models again
The LMDeployment "chat" is invalid: 
* spec.ollama.replicas: Invalid value: 11: must be 1 to 10
* spec.tabby.chatModel: Invalid value: "llama4": is not in spec.ollama.models; use one of llama3.2:1b, qwen2.5-coder:1.5b, or add it there
* spec.tabby.completionModel: Invalid value: "starcoder2": is not in spec.ollama.models; use one of llama3.2:1b, qwen2.5-coder:1.5b, or add it there"#;

pub async fn every_error_is_in_one_answer() -> Result<()> {
    let place = place("showcase").await?;
    let spec = json!({
        "ollama": {"replicas": 11, "models": ["llama3.2:1b", "qwen2.5-coder:1.5b"]},
        "tabby": {"enabled": true, "chatModel": "llama4", "completionModel": "starcoder2"},
    });
    let said = place.refuses(&stack("chat", &spec)).await?;
    println!("{said}");
    assert_eq!(said, SHOWCASE);
    Ok(())
}

pub async fn warnings_are_printed() -> Result<()> {
    let place = place("warnings").await?;
    for (spec, expected) in [
        (
            json!({"ollama": {}}),
            "spec.ollama.models is empty: nothing is pulled, so nothing answers",
        ),
        (
            json!({"ollama": {"models": ["tiny"]}}),
            "spec.ollama.persistence is off: every new pod pulls all models again",
        ),
        (
            json!({"ollama": {"models": ["tiny"], "image": "ollama/ollama:1", "imageTag": "2"}}),
            "spec.ollama.imageTag 2 is ignored: spec.ollama.image has 1; remove one",
        ),
        (
            json!({"ollama": {"models": ["tiny"], "imageTag": "latest"}}),
            "spec.ollama.imageTag floats; pin a version, so that pods never differ",
        ),
        (
            json!({"ollama": {"models": [{"name": "tiny", "pullPolicy": "Never"}]}}),
            "tiny:latest has pullPolicy Never: something else must bring it to the servers",
        ),
        (
            json!({"ollama": {"models": ["tiny"], "serviceType": "ClusterIP", "servicePort": 80}}),
            "older fields, see docs/upgrade.md: spec.ollama.serviceType, spec.ollama.servicePort",
        ),
        (
            json!({"ollama": {"models": ["llama3.2:1b"]}, "tabby": {"enabled": true}}),
            "llama3.2:1b has no known fill-in-the-middle template: completion by Tabby will be poor",
        ),
        (
            json!({"ollama": {"models": ["codellama"]}, "tabby": {"enabled": true, "replicas": 2}}),
            "spec.tabby.replicas: each server has accounts and indexes of its own",
        ),
    ] {
        let accepted = place.accepts(&stack("chat", &spec)).await?;
        let warned = &accepted.warnings;
        assert!(
            warned.iter().any(|w| w == expected),
            "{expected}: in {warned:?} of {spec}"
        );
        assert!(
            warned.len() <= 10 && warned.iter().all(|w| w.chars().count() <= 120),
            "{warned:?}"
        );
    }
    let quiet = json!({"ollama": {"models": ["tiny"], "persistence": {"enabled": true}}});
    let accepted = place.accepts(&stack("chat", &quiet)).await?;
    assert_eq!(accepted.warnings, Vec::<String>::new());
    Ok(())
}

pub async fn what_does_not_decode_gets_the_schemas_answer() -> Result<()> {
    let place = place("schema").await?;
    for (spec, expected) in [
        (
            json!({"ollama": {"replica": 2}}),
            "unknown field \"spec.ollama.replica\"",
        ),
        (
            json!({"ollama": {"replicas": "two"}}),
            "spec.ollama.replicas: Invalid value: \"string\"",
        ),
        (json!({"ollama": "on"}), "spec.ollama: Invalid value: \"string\""),
        (
            json!({"ollama": {"env": {"A": "b"}}}),
            "unknown field \"spec.ollama.env.A\"",
        ),
        (
            json!({"ollama": {"service": {"type": "Tunnel"}}}),
            "spec.ollama.service.type: Unsupported value: \"Tunnel\"",
        ),
    ] {
        let said = place.refuses(&stack("chat", &spec)).await?;
        assert!(said.contains(expected), "{spec}:\n{said}");
    }
    // null stands for an absent field, as for every object of Kubernetes without a default.
    let accepted = place
        .accepts(&stack("chat", &json!({"ollama": {"models": ["tiny"], "gpu": null}})))
        .await?;
    assert_eq!(accepted.object["spec"]["ollama"]["gpu"], Value::Null);
    let said = place.refuses(&stack("chat", &Value::Null)).await?;
    assert!(said.contains("spec"), "{said}");
    let said = place
        .refuses(&stack("Chat_1", &json!({"ollama": {"models": ["tiny"]}})))
        .await?;
    assert!(said.contains("metadata.name"), "{said}");
    Ok(())
}

pub async fn applying_twice_changes_nothing() -> Result<()> {
    let place = place("apply-twice").await?;
    let manifest = stack(
        "chat",
        &json!({"ollama": {"enabled": false}, "tabby": {
            "enabled": true, "ollamaServiceName": "elsewhere", "chatModel": "a", "completionModel": "codellama",
        }}),
    );
    let objects = Objects::new(place.cluster().client().await?, place.name());
    let apply = ["--namespace", place.name(), "apply", "--server-side", "-f", "-"];
    let mut seen = vec![];
    for _ in 0..2 {
        place.cluster().kubectl_with(&apply, &manifest).await?;
        let object = objects.get("LMDeployment", "chat").await?;
        seen.push((object["metadata"]["generation"].clone(), object["spec"].clone()));
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0].1["tabby"]["device"], "cpu", "filled in");
    // It reads twice; a status that is written between the two is none of its business.
    place
        .until("kubectl diff finds nothing to do", LIMIT, async || {
            let diff = ["-n", place.name(), "diff", "--server-side", "-f", "-"];
            let diff = place.cluster().kubectl_output(&diff, &manifest).await?;
            ensure!(diff.status.success(), "{}", String::from_utf8_lossy(&diff.stdout));
            Ok(Some(()))
        })
        .await?;
    let client_side = place.apply(&manifest).await?;
    let again = place.apply(&manifest).await?;
    assert!(again.contains("unchanged"), "{client_side}{again}");
    Ok(())
}

pub async fn objects_that_are_going_are_let_go() -> Result<()> {
    let place = place("going").await?;
    let objects = Objects::new(place.cluster().client().await?, place.name());
    place
        .apply(&stack("chat", &json!({"ollama": {"models": ["tiny"]}})))
        .await?;
    objects
        .merge(
            "LMDeployment",
            "chat",
            &json!({"metadata": {"finalizers": ["example.com/hold"]}}),
        )
        .await?;
    objects.delete("LMDeployment", "chat").await?;
    let broken = json!({"spec": {"ollama": {"models": ["tiny", "tiny"]}}});
    objects.merge("LMDeployment", "chat", &broken).await?;
    objects
        .merge("LMDeployment", "chat", &json!({"metadata": {"finalizers": null}}))
        .await?;
    let gone = async || Ok(objects.find("LMDeployment", "chat").await?.is_none().then_some(()));
    place.until("it is gone", super::live::LIMIT, gone).await
}
