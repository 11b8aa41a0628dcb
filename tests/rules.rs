//! Every rule on manifests, with a manifest that breaks it and the exact words a user reads.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that panics says why

use llm_operator::base::issue::{Review, WARNING_LENGTH};
use llm_operator::base::settings::{Models, Policy, Settings};
use llm_operator::kind::{Form, of};
use serde_json::{Value, json};

#[path = "rules/chat.rs"]
mod chat;
#[path = "rules/reach.rs"]
mod reach;

fn manifest(yaml: &str) -> Value {
    serde_saphyr::from_str(yaml).unwrap_or_else(|e| panic!("{yaml}: {e}"))
}

/// A stack with this spec, given in YAML.
fn stack(spec: &str) -> Value {
    let spec = manifest(spec);
    json!({"apiVersion": "llm.geeper.io/v1alpha1", "kind": "LMDeployment", "metadata": {"name": "chat"}, "spec": spec})
}

fn model(spec: &str) -> Value {
    let (version, spec) = ("ollama.smithforge.dev/v1alpha1", manifest(spec));
    json!({"apiVersion": version, "kind": "OllamaModel", "metadata": {"name": "llama3.2-1b"}, "spec": spec})
}

fn form(object: &Value) -> Form {
    of(object).unwrap_or_else(|| panic!("no kind of ours: {object}"))
}

fn filled(object: &Value) -> Value {
    let mut object = object.clone();
    (form(&object).fill)(&mut object);
    object
}

fn reviewed(object: &Value, old: Option<&Value>, settings: &Settings) -> Review {
    (form(object).review)(&filled(object), old, settings).unwrap()
}

fn issues(object: &Value, old: Option<&Value>) -> Vec<String> {
    let review = reviewed(object, old, &Settings::default());
    review.issues.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn refused(spec: &str, messages: &[&str]) {
    assert_eq!(issues(&stack(spec), None), messages, "{spec}");
}

#[track_caller]
fn accepted(spec: &str) {
    refused(spec, &[]);
}

/// The change from one spec to the other.
#[track_caller]
fn changed(old: &str, new: &str, messages: &[&str]) {
    let old = filled(&stack(old));
    assert_eq!(issues(&stack(new), Some(&old)), messages, "{new}");
}

/// Every warning of the manifest, in the order in which they are sent.
#[track_caller]
fn warned(spec: &str, texts: &[&str]) {
    let review = reviewed(&stack(spec), None, &Settings::default());
    assert_eq!(review.issues, [], "{spec}");
    assert_eq!(review.spoken(), texts, "{spec}");
    for warning in &review.warnings {
        assert!(
            warning.text.chars().count() <= WARNING_LENGTH,
            "too long: {}",
            warning.text
        );
    }
}

#[test]
fn everything_wrong_is_told_in_one_answer() {
    refused(
        "
        ollama: {replicas: 11, models: [llama3.2:1b, 'codellama:7b']}
        tabby: {enabled: true, chatModel: llama4, completionModel: starcoder2:3b}
        ",
        &[
            "spec.ollama.replicas: Invalid value: 11: must be 1 to 10",
            "spec.tabby.chatModel: Invalid value: \"llama4\": is not in spec.ollama.models; use one of llama3.2:1b, codellama:7b, or add it there",
            "spec.tabby.completionModel: Invalid value: \"starcoder2:3b\": is not in spec.ollama.models; use one of llama3.2:1b, codellama:7b, or add it there",
        ],
    );
}

mod models {
    use super::*;

    #[test]
    fn both_forms_in_every_spelling_are_accepted() {
        accepted(
            "
            ollama:
              models:
              - llama3.2
              - llama3.2:1b
              - hf.co/bartowski/Llama-3.2-1B-Instruct-GGUF:F16
              - registry.example.com:5000/team/mine:v1
              - {name: codellama, tag: 7b}
              - {name: 'mistral:7b', tag: 7b, pullPolicy: Always}
              - {name: registry.test:5000/library/tiny, insecure: true, pullPolicy: IfNotPresent}
              - {name: local/handmade, pullPolicy: Never}
            ",
        );
    }

    #[test]
    fn names_that_ollama_refuses() {
        refused(
            "ollama: {models: ['bad name', 'reg.local/m', 'm@sha256:abc', 'a/b/c/d', '']}",
            &[
                r#"spec.ollama.models[0]: Invalid value: "bad name": the model "bad name" must not hold ' '"#,
                r#"spec.ollama.models[1]: Invalid value: "reg.local/m": "reg.local" is read as a namespace, which has no dots; a name with a registry has three parts: reg.local/library/m"#,
                r#"spec.ollama.models[2]: Invalid value: "m@sha256:abc": Ollama has no digests in names; leave @… away"#,
                r#"spec.ollama.models[3]: Invalid value: "a/b/c/d": a name has at most three parts: host/namespace/model"#,
                r#"spec.ollama.models[4]: Invalid value: "": the model is empty"#,
            ],
        );
    }

    #[test]
    fn items_that_are_neither_text_nor_object() {
        refused(
            "ollama: {models: [5, null, true, [a]]}",
            &[
                r#"spec.ollama.models[0]: Invalid value: 5: must be a string such as "llama3:8b" or an object {name, tag, pullPolicy, insecure}"#,
                r#"spec.ollama.models[1]: Invalid value: null: must be a string such as "llama3:8b" or an object {name, tag, pullPolicy, insecure}"#,
                r#"spec.ollama.models[2]: Invalid value: true: must be a string such as "llama3:8b" or an object {name, tag, pullPolicy, insecure}"#,
                r#"spec.ollama.models[3]: Invalid value: ["a"]: must be a string such as "llama3:8b" or an object {name, tag, pullPolicy, insecure}"#,
            ],
        );
    }

    #[test]
    fn fields_of_an_item() {
        refused(
            "
            ollama:
              models:
              - {name: a, nosuch: 1, pullPolicy: Sometimes, insecure: 'yes'}
              - {tag: x}
              - {name: 7, tag: 8}
              - {name: 'a:b', tag: c}
              - {name: a, tag: 'bad tag'}
            ",
            &[
                "spec.ollama.models[0].nosuch: Invalid value: 1: is no field of a model; there are name, tag, pullPolicy and insecure",
                r#"spec.ollama.models[0].pullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never""#,
                r#"spec.ollama.models[0].insecure: Invalid value: "yes": must be true or false"#,
                "spec.ollama.models[1].name: Required value: name the model",
                "spec.ollama.models[2].tag: Invalid value: 8: must be a string",
                "spec.ollama.models[2].name: Invalid value: 7: must be a string",
                r#"spec.ollama.models[3].tag: Invalid value: "c": the name has the tag "b" and the field tag says "c"; give the tag once, as in a:c"#,
                r#"spec.ollama.models[4].tag: Invalid value: "bad tag": the tag "bad tag" must not hold ' '"#,
            ],
        );
    }

    #[test]
    fn the_same_model_twice() {
        refused(
            "ollama: {models: [llama3, {name: LLAMA3, tag: latest}, 'library/llama3', mistral]}",
            &[
                r#"spec.ollama.models[1]: Duplicate value: "LLAMA3:latest": is the same model as spec.ollama.models[0]; remove one"#,
                r#"spec.ollama.models[2]: Duplicate value: "llama3:latest": is the same model as spec.ollama.models[0]; remove one"#,
            ],
        );
    }

    #[test]
    fn too_many() {
        let list: Vec<String> = (0..257).map(|i| format!("m{i}")).collect();
        refused(
            &format!("ollama: {{models: [{}]}}", list.join(", ")),
            &["spec.ollama.models: Invalid value: 257: must be at most 256 items long"],
        );
    }
}

mod bounds {
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
}

mod kinds {
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
}

mod names {
    use super::*;

    #[test]
    fn of_a_stack() {
        for (name, good) in [
            ("a", true),
            ("my-chat-2", true),
            ("a23456789012345678901234567890123456789b", true),
            ("a23456789012345678901234567890123456789bc", false),
            ("1abc", false),
            ("a.b", false),
            ("a-", false),
        ] {
            let mut object = stack("ollama: {models: [a]}");
            object["metadata"]["name"] = name.into();
            let expected = format!(
                "metadata.name: Invalid value: {name:?}: must be a DNS-1035 label of at most 40 characters: lower case, digits and -, first a letter"
            );
            let expected: Vec<String> = if good { vec![] } else { vec![expected] };
            assert_eq!(issues(&object, None), expected);
        }
    }

    #[test]
    fn of_a_stack_whose_name_is_generated() {
        let mut object = stack("ollama: {models: [a]}");
        object["metadata"] = json!({"generateName": "chat-"});
        assert_eq!(issues(&object, None), [""; 0]);
    }
}

mod engines {
    use super::*;

    const NONE: &str = "spec.ollama.enabled: Invalid value: false: the stack has no engine: leave spec.ollama.enabled away, or give spec.openwebui.ollamaUrls or spec.tabby.ollamaServiceName";

    #[test]
    fn a_stack_without_any() {
        refused("ollama: {enabled: false}", &[NONE]);
        refused(
            "{ollama: {enabled: false}, tabby: {enabled: true}}",
            &[
                "spec.tabby.chatModel: Required value: Tabby has no model to use; list one in spec.ollama.models, or name chatModel and completionModel of the Ollama that ollamaServiceName names",
                NONE,
            ],
        );
        accepted("{ollama: {enabled: false}, tabby: {enabled: true, ollamaServiceName: other, modelName: codellama}}");
    }

    #[test]
    fn the_stacks_own_service_is_no_other_engine() {
        refused(
            "{ollama: {enabled: false}, tabby: {enabled: true, ollamaServiceName: chat-ollama, embeddingModel: x}}",
            &[
                "spec.tabby.chatModel: Required value: Tabby has no model to use; list one in spec.ollama.models, or name chatModel and completionModel of the Ollama that ollamaServiceName names",
                NONE,
            ],
        );
        refused(
            "{ollama: {models: [codellama]}, tabby: {enabled: true, ollamaServiceName: chat-ollama, chatModel: x}}",
            &[
                r#"spec.tabby.chatModel: Invalid value: "x": is not in spec.ollama.models; use one of codellama:latest, or add it there"#,
            ],
        );
    }
}

mod tabby {
    use super::*;

    #[test]
    fn models_are_compared_as_ollama_compares_them() {
        accepted(
            "
            ollama: {models: ['codellama:7b', {name: llama3.2, tag: latest}]}
            tabby: {enabled: true, completionModel: CodeLlama:7b, chatModel: library/llama3.2}
            ",
        );
        accepted("{ollama: {models: ['codellama:7b']}, tabby: {enabled: true}}");
        accepted("{ollama: {models: ['codellama:7b']}, tabby: {enabled: true, embeddingModel: mxbai-embed-large}}");
    }

    #[test]
    fn a_model_that_is_not_listed() {
        refused(
            "{ollama: {models: ['codellama:7b']}, tabby: {enabled: true, modelName: codellama}}",
            &[
                r#"spec.tabby.modelName: Invalid value: "codellama": is not in spec.ollama.models; use one of codellama:7b, or add it there"#,
            ],
        );
        refused(
            "{ollama: {models: []}, tabby: {enabled: true, chatModel: a, completionModel: a}}",
            &[
                r#"spec.tabby.chatModel: Invalid value: "a": is not in spec.ollama.models, which is empty; add it there"#,
                r#"spec.tabby.completionModel: Invalid value: "a": is not in spec.ollama.models, which is empty; add it there"#,
            ],
        );
    }

    #[test]
    fn a_model_that_is_no_name() {
        refused(
            "{ollama: {models: [codellama]}, tabby: {enabled: true, chatModel: 'a b', embeddingModel: '-x'}}",
            &[
                r#"spec.tabby.chatModel: Invalid value: "a b": the model "a b" must not hold ' '"#,
                r#"spec.tabby.embeddingModel: Invalid value: "-x": the model "-x" must begin with a letter, a digit or _"#,
            ],
        );
    }

    #[test]
    fn no_model_at_all() {
        refused(
            "{ollama: {}, tabby: {enabled: true}}",
            &[
                "spec.tabby.chatModel: Required value: Tabby has no model to use; list one in spec.ollama.models, or name chatModel and completionModel of the Ollama that ollamaServiceName names",
            ],
        );
    }

    #[test]
    fn models_of_another_ollama_are_not_checked() {
        accepted(
            "{ollama: {models: [a]}, tabby: {enabled: true, ollamaServiceName: other, chatModel: x, completionModel: z}}",
        );
        refused(
            "{ollama: {models: [a]}, tabby: {enabled: true, ollamaServiceName: other.ns}}",
            &[
                r#"spec.tabby.ollamaServiceName: Invalid value: "other.ns": is not the name of a Service of this namespace"#,
            ],
        );
    }

    #[test]
    fn sqlite_has_one_writer() {
        refused(
            "{ollama: {models: [codellama]}, tabby: {enabled: true, replicas: 2, persistence: {enabled: true}}}",
            &[
                "spec.tabby.replicas: Invalid value: 2: must be 1 with persistence: Tabby keeps its data in SQLite, which one server may write",
            ],
        );
    }
}

mod ingress {
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
}

mod services {
    use super::*;

    #[test]
    fn node_ports_and_ranges() {
        accepted("ollama: {models: [a], service: {type: NodePort, nodePort: 31434}}");
        accepted(
            "ollama: {models: [a], serviceType: LoadBalancer, service: {nodePort: 31434, loadBalancerSourceRanges: [10.0.0.0/8, 'fd00::/8']}}",
        );
        refused(
            "ollama: {models: [a], service: {nodePort: 31434}}",
            &[
                "spec.ollama.service.nodePort: Forbidden: needs service.type NodePort or LoadBalancer; set one of them, or remove nodePort",
            ],
        );
        refused(
            "ollama: {models: [a], service: {type: LoadBalancer, loadBalancerSourceRanges: [10.0.0.0, 10.0.0.0/33, office]}}",
            &[
                r#"spec.ollama.service.loadBalancerSourceRanges[0]: Invalid value: "10.0.0.0": is not a CIDR such as 10.0.0.0/8"#,
                r#"spec.ollama.service.loadBalancerSourceRanges[1]: Invalid value: "10.0.0.0/33": is not a CIDR such as 10.0.0.0/8"#,
                r#"spec.ollama.service.loadBalancerSourceRanges[2]: Invalid value: "office": is not a CIDR such as 10.0.0.0/8"#,
            ],
        );
    }
}

mod containers {
    use super::*;

    #[test]
    fn images() {
        accepted("ollama: {models: [a], image: 'registry.example.com:5000/ollama/ollama:0.32.15'}");
        accepted("ollama: {models: [a], image: ollama/ollama, imageTag: 0.32.15-rocm}");
        refused(
            "ollama: {models: [a], image: 'Ollama/Ollama:1', imageTag: '1'}",
            &[
                r#"spec.ollama.image: Invalid value: "Ollama/Ollama:1": is not an image such as registry.example.com/ollama/ollama:0.32.15"#,
            ],
        );
        refused(
            "ollama: {models: [a], imageTag: 'a b'}",
            &[r#"spec.ollama.imageTag: Invalid value: "a b": is not a tag: letters, digits, _, . and -"#],
        );
        refused(
            "ollama: {models: [a], image: '', imageTag: ''}",
            &[
                "spec.ollama.image: Invalid value: 0: must be 1 to 512 characters long",
                "spec.ollama.imageTag: Invalid value: 0: must be 1 to 128 characters long",
            ],
        );
    }

    #[test]
    fn resources() {
        accepted(
            "ollama: {models: [a], resources: {requests: {cpu: 500m, memory: 2Gi}, limits: {cpu: 2, memory: 4Gi}}}",
        );
        refused(
            "ollama: {models: [a], resources: {requests: {cpu: two, memory: 4Gi}, limits: {memory: 4G, cpu: -1}}}",
            &[
                r#"spec.ollama.resources.requests[cpu]: Invalid value: "two": "two" is not a quantity; write it as in "500m" or "2Gi""#,
                "spec.ollama.resources.limits[cpu]: Invalid value: -1: must not be negative",
                r#"spec.ollama.resources.requests[memory]: Invalid value: "4Gi": must not be above the limit "4G"; raise the limit or lower the request"#,
            ],
        );
    }

    #[test]
    fn gpus_say_the_same_in_both_places() {
        accepted("ollama: {models: [a], gpu: {vendor: nvidia, count: 2}, resources: {limits: {nvidia.com/gpu: 2}}}");
        accepted("ollama: {models: [a], gpu: {vendor: nvidia, resourceName: nvidia.com/mig-1g.10gb}}");
        refused(
            "ollama: {models: [a], gpu: {vendor: amd, count: 2}, resources: {limits: {amd.com/gpu: '1'}, requests: {amd.com/gpu: 1}}}",
            &[
                "spec.ollama.resources.requests[amd.com/gpu]: Invalid value: 1: must equal spec.ollama.gpu.count, which is 2; leave it away",
                r#"spec.ollama.resources.limits[amd.com/gpu]: Invalid value: "1": must equal spec.ollama.gpu.count, which is 2; leave it away"#,
            ],
        );
        refused(
            "ollama: {models: [a], gpu: {vendor: nvidia, resourceName: gpu}}",
            &[
                r#"spec.ollama.gpu.resourceName: Invalid value: "gpu": is not an extended resource such as nvidia.com/gpu"#,
            ],
        );
    }

    #[test]
    fn variables() {
        accepted(
            "ollama: {models: [a], env: [{name: OLLAMA_DEBUG, value: '1'}], envVars: [{name: HTTPS_PROXY, valueFrom: {secretKeyRef: {name: s, key: k}}}]}",
        );
        refused(
            "
            ollama:
              models: [a]
              numParallel: 4
              env:
              - {name: 1A}
              - {name: OLLAMA_HOST, value: 0.0.0.0}
              - {name: OLLAMA_NUM_PARALLEL, value: '2'}
              - {name: TWICE}
              envVars:
              - {name: TWICE}
              - {name: BOTH, value: x, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
            ",
            &[
                r#"spec.ollama.env[0].name: Invalid value: "1A": must begin with a letter or _ and hold only letters, digits, _, - and ."#,
                r#"spec.ollama.env[1].name: Invalid value: "OLLAMA_HOST": is set by the operator, whose wiring depends on it; remove it"#,
                r#"spec.ollama.env[2].name: Invalid value: "OLLAMA_NUM_PARALLEL": is set by spec.ollama.numParallel; remove one of the two"#,
                r#"spec.ollama.envVars[0].name: Duplicate value: "TWICE": env and envVars are one list; keep one of the two"#,
                "spec.ollama.envVars[1].valueFrom: Forbidden: must not stand beside value; keep one of the two",
            ],
        );
        refused(
            "{ollama: {models: [codellama]}, tabby: {enabled: true, env: [{name: TABBY_ROOT, value: /x}, {name: HOME, value: /x}]}}",
            &[
                r#"spec.tabby.env[0].name: Invalid value: "TABBY_ROOT": is set by the operator, whose wiring depends on it; remove it"#,
                r#"spec.tabby.env[1].name: Invalid value: "HOME": is set by the operator, whose wiring depends on it; remove it"#,
            ],
        );
        // A variable with a typed field collides only where that field is set.
        accepted("ollama: {models: [a], env: [{name: OLLAMA_KEEP_ALIVE, value: 1h}]}");
    }

    #[test]
    fn volumes() {
        accepted(
            "
            ollama:
              models: [a]
              volumes: [{name: ca, configMap: {name: ca}}, {name: 2nd, emptyDir: {}}]
              volumeMounts: [{name: ca, mountPath: /etc/ssl/certs, readOnly: true}, {name: 2nd, mountPath: /scratch}]
            ",
        );
        refused(
            "
            ollama:
              models: [a]
              volumes: [{name: data}, {name: A_B}, {name: x}, {name: x}, {emptyDir: {}}]
              volumeMounts:
              - {name: other, mountPath: /y}
              - {name: x, mountPath: /data/}
              - {name: x, mountPath: relative}
              - {name: x, mountPath: /twice}
              - {name: x, mountPath: /twice/}
            ",
            &[
                r#"spec.ollama.volumes[0].name: Invalid value: "data": is a volume of the operator; rename it"#,
                r#"spec.ollama.volumes[1].name: Invalid value: "A_B": must be a lower-case DNS label"#,
                r#"spec.ollama.volumes[3].name: Duplicate value: "x": rename one of the two"#,
                r#"spec.ollama.volumes[4].name: Invalid value: "": must be a lower-case DNS label"#,
                r#"spec.ollama.volumeMounts[0].name: Invalid value: "other": names no volume of spec.ollama.volumes"#,
                r#"spec.ollama.volumeMounts[1].mountPath: Invalid value: "/data/": something is mounted there already; choose another path"#,
                r#"spec.ollama.volumeMounts[2].mountPath: Invalid value: "relative": must be an absolute path below /, without a colon"#,
                r#"spec.ollama.volumeMounts[4].mountPath: Invalid value: "/twice/": something is mounted there already; choose another path"#,
            ],
        );
    }

    #[test]
    fn init_containers() {
        accepted("ollama: {models: [a], initContainers: [{name: wait, image: 'busybox:1.37'}]}");
        refused(
            "ollama: {models: [a], initContainers: [{name: ollama, image: x}, {image: x}, {name: a, image: x}, {name: a, image: x}]}",
            &[
                r#"spec.ollama.initContainers[0].name: Duplicate value: "ollama": is the name of another container of the pod; rename it"#,
                r#"spec.ollama.initContainers[1].name: Invalid value: "": must be a lower-case DNS label"#,
                r#"spec.ollama.initContainers[3].name: Duplicate value: "a": is the name of another container of the pod; rename it"#,
            ],
        );
    }

    #[test]
    fn labels_and_annotations() {
        accepted(
            "ollama: {models: [a], podLabels: {team: ml, example.com/tier: gold}, nodeSelector: {disk: ssd}, podAnnotations: {example.com/note: 'any text!'}}",
        );
        refused(
            "ollama: {models: [a], podLabels: {'bad key': x, team: 'a b'}, nodeSelector: {disk: -ssd}, podAnnotations: {a/b/c: x}}",
            &[
                r#"spec.ollama.nodeSelector[disk]: Invalid value: "-ssd": is no value of a label: at most 63 letters, digits, -, _ and ."#,
                r#"spec.ollama.podLabels[bad key]: Invalid value: "bad key": is no key: a name of at most 63 characters, perhaps with a domain and / in front"#,
                r#"spec.ollama.podLabels[team]: Invalid value: "a b": is no value of a label: at most 63 letters, digits, -, _ and ."#,
                r#"spec.ollama.podAnnotations[a/b/c]: Invalid value: "a/b/c": is no key: a name of at most 63 characters, perhaps with a domain and / in front"#,
            ],
        );
    }
}

mod safety {
    use super::*;

    const UNSAFE: &str = "
        ollama:
          models: [a]
          volumes: [{name: host, hostPath: {path: /}}]
          volumeMounts: [{name: host, mountPath: /host}]
          priorityClassName: system-node-critical
          podSecurityContext:
            sysctls: [{name: net.ipv4.ping_group_range, value: '0 1'}, {name: kernel.msgmax, value: '1'}]
            seccompProfile: {type: Unconfined}
            windowsOptions: {hostProcess: true}
          securityContext:
            privileged: true
            capabilities: {add: [SYS_ADMIN]}
            procMount: Unmasked
            appArmorProfile: {type: Unconfined}
          initContainers:
          - name: init
            image: x
            ports: [{containerPort: 1, hostPort: 80}]
            securityContext: {privileged: true, seLinuxOptions: {type: spc_t}}
        ";

    #[test]
    fn what_reaches_further_is_refused() {
        let at = [
            "volumes[0].hostPath",
            "podSecurityContext.windowsOptions.hostProcess",
            "podSecurityContext.seccompProfile",
            "podSecurityContext.sysctls[1]",
            "securityContext.privileged",
            "securityContext.capabilities.add",
            "securityContext.procMount",
            "securityContext.appArmorProfile",
            "initContainers[0].securityContext.privileged",
            "initContainers[0].securityContext.seLinuxOptions",
            "initContainers[0].ports[0].hostPort",
            "priorityClassName",
        ];
        let messages = at.map(|at| {
            format!("spec.ollama.{at}: Forbidden: reaches further than the namespace; an administrator may allow it with the chart value policy.allowUnsafePods")
        });
        refused(UNSAFE, &messages.each_ref().map(String::as_str));
    }

    #[test]
    fn unless_an_administrator_allows_it() {
        let settings = Settings {
            policy: Policy {
                allow_unsafe_pods: true,
            },
            ..Settings::default()
        };
        assert_eq!(reviewed(&stack(UNSAFE), None, &settings).issues, []);
    }

    #[test]
    fn what_stays_inside_is_accepted() {
        accepted(
            "
            ollama:
              models: [a]
              priorityClassName: batch
              podSecurityContext: {runAsUser: 0, runAsNonRoot: false, seLinuxOptions: {level: 's0:c1,c2'}}
              securityContext: {readOnlyRootFilesystem: false, capabilities: {drop: [ALL]}, procMount: Default}
            ",
        );
    }
}

mod storage {
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
}

mod off {
    use super::*;

    #[test]
    fn nothing_is_checked_in_a_block_that_is_off() {
        let wrong = "replicas: 99, image: 'A B', chatModel: '///', ingress: {enabled: true}, env: [{name: '1'}], persistence: {enabled: true, size: x}";
        accepted(&format!(
            "{{ollama: {{models: [a]}}, tabby: {{enabled: false, {wrong}}}}}"
        ));
        accepted(&format!("{{ollama: {{models: [a]}}, tabby: {{{wrong}}}}}"));
        accepted(
            "{ollama: {enabled: false, replicas: 99, models: [5]}, tabby: {enabled: true, ollamaServiceName: x, chatModel: a, completionModel: a}}",
        );
    }

    #[test]
    fn nothing_is_filled_in_there() {
        let object = stack("{ollama: {enabled: false}, tabby: {replicas: 2}}");
        assert_eq!(
            filled(&object)["spec"],
            json!({"ollama": {"enabled": false}, "tabby": {"replicas": 2}, "networkPolicy": {"enabled": true}})
        );
    }
}

mod defaults {
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
}

mod warnings {
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
}

mod ratchets {
    use super::*;

    #[test]
    fn an_old_violation_does_not_block_another_change() {
        let old = "{ollama: {models: [codellama], replicas: 20}, tabby: {enabled: true, chatModel: gone, replicas: 2, persistence: {enabled: true}}}";
        changed(old, old, &[]);
        changed(old, &old.replace("[codellama]", "[codellama, mistral]"), &[]);
        changed(old, &old.replace("20}", "3}"), &[]);
    }

    #[test]
    fn the_field_itself_may_not_become_wrong_anew() {
        let old = "{ollama: {models: [codellama], replicas: 20}, tabby: {enabled: true, chatModel: gone}}";
        changed(
            old,
            &old.replace("20", "21").replace("gone", "lost"),
            &[
                "spec.ollama.replicas: Invalid value: 21: must be 1 to 10",
                r#"spec.tabby.chatModel: Invalid value: "lost": is not in spec.ollama.models; use one of codellama:latest, or add it there"#,
            ],
        );
    }

    #[test]
    fn a_flat_field_is_judged_by_itself() {
        let tabby =
            |host: &str| format!("{{ollama: {{models: [codellama]}}, tabby: {{enabled: true, ingressHost: {host}}}}}");
        changed(&tabby("A.b"), &tabby("A.b"), &[]);
        changed(
            &tabby("A.b"),
            &tabby("B.c"),
            &[
                r#"spec.tabby.ingressHost: Invalid value: "B.c": is not a lower-case host name such as chat.example.com"#,
            ],
        );
    }

    #[test]
    fn a_key_with_dots_is_judged_by_its_value() {
        let gpu = |count: i32| {
            format!(
                "ollama: {{models: [a], gpu: {{vendor: nvidia}}, resources: {{limits: {{nvidia.com/gpu: {count}}}}}}}"
            )
        };
        changed(&gpu(2), &gpu(2), &[]);
        changed(
            &gpu(2),
            &gpu(3),
            &[
                "spec.ollama.resources.limits[nvidia.com/gpu]: Invalid value: 3: must equal spec.ollama.gpu.count, which is 1; leave it away",
            ],
        );
    }

    #[test]
    fn an_old_item_may_move() {
        changed(
            "ollama: {models: [a, 'bad name', b]}",
            "ollama: {models: ['bad name', b]}",
            &[],
        );
        changed(
            "ollama: {models: [a, 'bad name']}",
            "ollama: {models: [a, 'worse name']}",
            &[r#"spec.ollama.models[1]: Invalid value: "worse name": the model "worse name" must not hold ' '"#],
        );
    }

    #[test]
    fn switching_a_block_on_checks_it() {
        let tabby = |enabled: bool| {
            format!("{{ollama: {{models: [codellama]}}, tabby: {{enabled: {enabled}, chatModel: gone}}}}")
        };
        changed(
            &tabby(false),
            &tabby(true),
            &[
                r#"spec.tabby.chatModel: Invalid value: "gone": is not in spec.ollama.models; use one of codellama:latest, or add it there"#,
            ],
        );
    }

    #[test]
    fn an_old_object_that_no_longer_decodes_is_repaired_freely() {
        let mut old = stack("ollama: {models: [a]}");
        old["spec"]["ollama"]["replicas"] = "three".into();
        assert_eq!(issues(&stack("ollama: {models: [a]}"), Some(&old)), [""; 0]);
        assert!((form(&old).review)(&old, None, &Settings::default()).is_err());
    }
}

mod ollama_models {
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
            after(
                "{name: 'Llama3.2:1b', pullPolicy: Always, target: {deploymentRef: {kind: LMDeployment, name: chat}}}"
            ),
            [""; 0]
        );
    }
}
