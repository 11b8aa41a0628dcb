//! One example for each rule, and the page that is made of them.
#![allow(dead_code, reason = "each suite uses its part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests, too")]

use llm_operator::base::issue::Issue;
use llm_operator::base::settings::Settings;
use llm_operator::kind::of;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// An object that breaks one rule.
pub struct Example {
    /// The rule.
    pub rule: &'static str,
    /// What stands on the page.
    shown: &'static str,
    /// The object before the change, where the rule is about changes; in the same form.
    before: Option<&'static str>,
}

/// The rules on stacks and on models, by what they are about. What is shown is a spec in YAML; with `metadata:` in front, the
/// metadata; with `status:` behind `spec:`, both, and the status stays with a change.
pub const SECTIONS: [(&str, &str, &[Example]); 10] = [
    (
        "Models of a stack",
        "LMDeployment",
        &[
            new("model-name", "ollama: {models: [not a name]}"),
            new("model-twice", "ollama: {models: [llama3, \"llama3:latest\"]}"),
            new("model-field", "ollama: {models: [{name: llama3, colour: red}]}"),
            new("model-policy", "ollama: {models: [{name: llama3, pullPolicy: Often}]}"),
            new("model-none", "{ollama: {models: []}, tabby: {enabled: true}}"),
            new(
                "model-member",
                "{ollama: {models: [llama3]}, tabby: {enabled: true, chatModel: mistral, completionModel: llama3}}",
            ),
        ],
    ),
    (
        "Every component",
        "LMDeployment",
        &[
            new("engine", "ollama: {enabled: false}"),
            new("bounds", "ollama: {replicas: 11}"),
            new("image", "ollama: {image: not an image}"),
            new("image-tag", "ollama: {imageTag: a b}"),
            new("quantity", "ollama: {resources: {limits: {memory: much}}}"),
            new("request", "ollama: {resources: {requests: {cpu: 2}, limits: {cpu: 1}}}"),
            new("variable", "ollama: {env: [{name: a=b, value: one}]}"),
            new("variable-owned", "ollama: {env: [{name: OLLAMA_HOST, value: one}]}"),
            new(
                "variable-twice",
                "ollama: {env: [{name: A, value: one}, {name: A, value: two}]}",
            ),
            new("key", "ollama: {podLabels: {a b: x}}"),
            new("label", "ollama: {podLabels: {team: a b}}"),
            new("unsafe", "ollama: {securityContext: {privileged: true}}"),
            new("keep-alive", "ollama: {keepAlive: soon}"),
            new("gpu", "ollama: {gpu: {vendor: nvidia, resourceName: gpus}}"),
        ],
    ),
    (
        "Volumes and containers",
        "LMDeployment",
        &[
            new("volume", "ollama: {volumes: [{name: My_Data, emptyDir: {}}]}"),
            new("volume-owned", "ollama: {volumes: [{name: data, emptyDir: {}}]}"),
            new(
                "volume-twice",
                "ollama: {volumes: [{name: x, emptyDir: {}}, {name: x, emptyDir: {}}]}",
            ),
            new("mount", "ollama: {volumeMounts: [{name: x, mountPath: /x}]}"),
            new(
                "mount-twice",
                "ollama: {volumes: [{name: x, emptyDir: {}}], volumeMounts: [{name: x, mountPath: /x}, {name: x, mountPath: /x}]}",
            ),
            new(
                "container",
                "ollama: {initContainers: [{name: My_Step, image: \"busybox:1\"}]}",
            ),
            new(
                "container-twice",
                "ollama: {initContainers: [{name: a, image: \"busybox:1\"}, {name: a, image: \"busybox:1\"}]}",
            ),
        ],
    ),
    (
        "Data",
        "LMDeployment",
        &[
            new(
                "object-name",
                "ollama: {persistence: {enabled: true, storageClass: Fast Disks}}",
            ),
            new(
                "shared-claim",
                "ollama: {replicas: 2, persistence: {enabled: true, existingClaim: models}}",
            ),
            change(
                "shrink",
                "ollama: {persistence: {enabled: true, size: 20Gi}}",
                "ollama: {persistence: {enabled: true, size: 10Gi}}",
            ),
            change(
                "immutable",
                "ollama: {persistence: {enabled: true, storageClass: fast}}",
                "ollama: {persistence: {enabled: true, storageClass: slow}}",
            ),
            new(
                "secret-name",
                "openwebui: {enabled: true, admin: {email: a@example.com, secretRef: {name: Chat_Admin}}}",
            ),
            new(
                "secret-key",
                "openwebui: {enabled: true, admin: {email: a@example.com, secretRef: {name: chat, key: a b}}}",
            ),
        ],
    ),
    (
        "Reach and scale",
        "LMDeployment",
        &[
            new(
                "cidr",
                "ollama: {service: {type: LoadBalancer, loadBalancerSourceRanges: [ten]}}",
            ),
            new("node-port", "ollama: {service: {nodePort: 30000}}"),
            new("ingress-host", "openwebui: {enabled: true, ingress: {enabled: true}}"),
            new("host", "openwebui: {enabled: true, ingress: {host: Chat_1}}"),
            new(
                "path",
                "{ollama: {models: [llama3]}, tabby: {enabled: true, ingress: {host: code.example.com, path: code}}}",
            ),
            new(
                "webui-path",
                "openwebui: {enabled: true, ingress: {host: chat.example.com, path: /chat}}",
            ),
            new(
                "tls",
                "openwebui: {enabled: true, ingress: {host: chat.example.com, tls: {secretName: 5}}}",
            ),
            new(
                "gateway",
                "openwebui: {enabled: true, gateway: {host: chat.example.com}}",
            ),
            new(
                "gateway-host",
                "openwebui: {enabled: true, gateway: {parentRef: {name: web}}}",
            ),
            new("autoscaling", "ollama: {autoscaling: {enabled: true}}"),
            new(
                "metric",
                "ollama: {autoscaling: {enabled: true, maxReplicas: 2, metrics: [{type: Cpu}]}}",
            ),
        ],
    ),
    (
        "Tabby",
        "LMDeployment",
        &[
            new(
                "service",
                "{ollama: {enabled: false}, tabby: {enabled: true, ollamaServiceName: My_Ollama, chatModel: a, completionModel: a}}",
            ),
            new(
                "sqlite",
                "{ollama: {models: [a]}, tabby: {enabled: true, replicas: 2, persistence: {enabled: true}}}",
            ),
        ],
    ),
    (
        "Open WebUI",
        "LMDeployment",
        &[
            new("url", "openwebui: {enabled: true, url: chat.example.com}"),
            new(
                "ollama-url",
                "openwebui: {enabled: true, ollamaUrls: [\"ollama:11434\"]}",
            ),
            new(
                "email",
                "openwebui: {enabled: true, admin: {email: nobody, secretRef: {name: chat}}}",
            ),
            new(
                "s3-bucket",
                "openwebui: {enabled: true, storage: {s3: {bucket: Uploads}}}",
            ),
            new(
                "s3-endpoint",
                "openwebui: {enabled: true, storage: {s3: {bucket: uploads, endpoint: minio}}}",
            ),
            new(
                "one-pod",
                "openwebui: {enabled: true, replicas: 2, persistence: {accessModes: [ReadWriteOncePod]}}",
            ),
            new(
                "several-redis",
                "openwebui: {enabled: true, replicas: 2, redis: {enabled: false}}",
            ),
            new(
                "several-database",
                "openwebui: {enabled: true, replicas: 2, database: {enabled: false}}",
            ),
            change(
                "started-on-sqlite",
                "{spec: {openwebui: {enabled: true}}, status: {openwebuiStatus: {database: sqlite, availableReplicas: 1, \
                 readyReplicas: 1, updatedReplicas: 1}}}",
                "openwebui: {enabled: true, replicas: 2}",
            ),
            new(
                "redis-url",
                "openwebui: {enabled: true, redis: {url: \"http://cache\"}}",
            ),
            new(
                "redis-twice",
                "openwebui: {enabled: true, redis: {enabled: true, url: \"redis://cache\"}}",
            ),
            new(
                "redis-password",
                "openwebui: {enabled: true, redis: {enabled: true, password: \"a\\nb\"}}",
            ),
            new(
                "redis-password-twice",
                "openwebui: {enabled: true, redis: {enabled: true, password: a, passwordSecretRef: {name: r}}}",
            ),
            new(
                "database-twice",
                "openwebui: {enabled: true, database: {enabled: true, urlSecretRef: {name: db}}}",
            ),
        ],
    ),
    (
        "Pipelines and Langfuse",
        "LMDeployment",
        &[
            new(
                "pipeline-url",
                "openwebui: {enabled: true, pipelines: {enabled: true, urls: [\"https://example.com/a.txt\"]}}",
            ),
            new(
                "pipeline-twice",
                "openwebui: {enabled: true, pipelines: {enabled: true, urls: [\"https://example.com/a.py\", \"https://example.org/a.py\"]}}",
            ),
            new(
                "pipeline-dir",
                "openwebui: {enabled: true, pipelines: {enabled: true, dir: pipelines}}",
            ),
            new(
                "langfuse-url",
                "openwebui: {enabled: true, langfuse: {enabled: true, secretRef: {name: langfuse}}}",
            ),
            new(
                "langfuse-secret",
                "openwebui: {enabled: true, langfuse: {enabled: true, url: \"https://langfuse.example.com\"}}",
            ),
            new(
                "langfuse-namespace",
                "openwebui: {enabled: true, langfuse: {enabled: true, url: \"https://a.example.com\", secretRef: {name: a, namespace: other}}}",
            ),
            new(
                "langfuse-project",
                "openwebui: {enabled: true, langfuse: {enabled: true, url: \"https://a.example.com\", secretRef: {name: a}, projectName: \"a\\nb\"}}",
            ),
            new(
                "langfuse-environment",
                "openwebui: {enabled: true, langfuse: {enabled: true, url: \"https://a.example.com\", secretRef: {name: a}, environment: Langfuse}}",
            ),
            new(
                "langfuse-pipelines",
                "openwebui: {enabled: true, pipelines: {enabled: false}, langfuse: {enabled: true, url: \"https://a.example.com\", secretRef: {name: a}}}",
            ),
        ],
    ),
    (
        "Names",
        "LMDeployment",
        &[
            new("name", "metadata: {name: 1st}"),
            new(
                "take-over",
                "metadata: {name: chat, annotations: {llm.geeper.io/take-over-from: Deployment/other}}",
            ),
        ],
    ),
    (
        "OllamaModel",
        "OllamaModel",
        &[
            new("model-name", "name: not a name"),
            new(
                "target",
                "{name: llama3, target: {deploymentRef: {kind: LMDeployment, name: chat}, url: \"http://a\"}}",
            ),
            new("target-url", "{name: llama3, target: {url: \"ftp://a\"}}"),
            new(
                "digest",
                "{name: llama3, digest: zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz}",
            ),
            new("insecure", "{name: llama3, pullPolicy: Never, insecure: true}"),
            new("derived", "{name: mine, system: Be brief.}"),
            new("derived-place", "{name: mine, from: llama3}"),
            new(
                "parameter",
                "{name: mine, from: llama3, parameters: {num_ctx: [1]}, target: {deploymentRef: {name: chat}}}",
            ),
            new(
                "adapter",
                "{name: mine, from: llama3, adapters: {f: \"sha256:12\"}, target: {deploymentRef: {name: chat}}}",
            ),
            change("immutable", "name: llama3", "name: mistral"),
        ],
    ),
];

/// Rules without an example, and why.
const WITHOUT: [(&str, &str); 2] = [("form", "is that of the schema"), ("unknown", "is that of the schema")];

const fn new(rule: &'static str, shown: &'static str) -> Example {
    Example {
        rule,
        shown,
        before: None,
    }
}

const fn change(rule: &'static str, before: &'static str, shown: &'static str) -> Example {
    Example {
        rule,
        shown,
        before: Some(before),
    }
}

impl Example {
    /// The object, and the one before it.
    pub fn objects(&self, kind: &str) -> (Value, Option<Value>) {
        let before = self.before.map(|before| object(kind, before));
        let mut object = object(kind, self.shown);
        if let Some(status) = before.as_ref().and_then(|before| before.get("status")) {
            object["status"] = status.clone();
        }
        (object, before)
    }

    /// What the webhooks say of it.
    pub fn issues(&self, kind: &str) -> Result<Vec<Issue>, String> {
        let (mut object, before) = self.objects(kind);
        let form = of(&object).unwrap();
        (form.fill)(&mut object);
        let before = before.map(|mut before| {
            (form.fill)(&mut before);
            before
        });
        let review = (form.review)(&object, before.as_ref(), &Settings::default());
        review.map(|review| review.issues)
    }
}

fn object(kind: &str, shown: &str) -> Value {
    let parsed: Value = serde_saphyr::from_str(shown).unwrap_or_else(|error| panic!("{shown}: {error}"));
    let version = if kind == "OllamaModel" {
        "ollama.smithforge.dev/v1alpha1"
    } else {
        "llm.geeper.io/v1alpha1"
    };
    let mut object =
        json!({"apiVersion": version, "kind": kind, "metadata": {"name": "example", "namespace": "default"}});
    if let Some(metadata) = parsed.get("metadata") {
        object["metadata"] = metadata.clone();
        object["metadata"]["namespace"] = "default".into();
        object["spec"] = json!({"ollama": {}});
    } else if let (Some(spec), Some(status)) = (parsed.get("spec"), parsed.get("status")) {
        object["spec"] = spec.clone();
        object["status"] = status.clone();
    } else {
        object["spec"] = parsed;
    }
    object
}

/// The page.
pub fn page() -> String {
    let mut out = String::from(
        "<!-- Generated by `make generate`: an example of each rule, and what is said about it. -->\n\
         # Admission rules\n\n\
         What is refused, with one example of each rule: a `spec`, or `metadata`, and where it matters the `status` that is there.\n\
         The same words come from the webhooks, from `llm-operator validate` and, for what is stored already, from the condition\n\
         `Valid`. Bounds of every field are in the [reference](reference.md); how refusals, warnings and defaults work is told in\n\
         [Webhooks](webhooks.md).\n",
    );
    let mut faults = vec![];
    for (title, kind, examples) in SECTIONS {
        let _ = write!(
            out,
            "\n## {title}\n\n| rule | example | what is said |\n|---|---|---|\n"
        );
        for example in examples {
            let issues = example.issues(kind);
            let found = issues.as_deref().unwrap_or_default();
            let Some(said) = found.iter().find(|issue| issue.rule == example.rule) else {
                faults.push(format!("{}: {} is {issues:?}", example.rule, example.shown));
                continue;
            };
            let shown = match example.before {
                Some(before) => format!("{} after {}", code(example.shown), code(before)),
                None => code(example.shown),
            };
            let _ = writeln!(out, "| `{}` | {shown} | {} |", example.rule, code(&said.to_string()));
        }
    }
    assert!(
        faults.is_empty(),
        "examples that break other rules, or none:\n{}",
        faults.join("\n")
    );
    out
}

/// Inline code in a table.
fn code(text: &str) -> String {
    let quote = if text.contains('`') { "``" } else { "`" };
    format!("{quote}{}{quote}", text.replace('|', "\\|"))
}

/// Every rule that has no example, and every example whose rule does not exist.
pub fn gaps() -> BTreeSet<String> {
    let known: BTreeSet<String> = source().into_iter().collect();
    let shown: BTreeSet<String> = SECTIONS
        .iter()
        .flat_map(|(_, _, examples)| examples.iter().map(|example| example.rule.to_owned()))
        .chain(WITHOUT.iter().map(|(rule, _)| (*rule).to_owned()))
        .collect();
    known.symmetric_difference(&shown).cloned().collect()
}

/// The names of all rules: the second argument wherever an issue is made.
fn source() -> Vec<String> {
    fn walk(folder: &Path, out: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, out);
            } else if !path.ends_with("base/issue.rs") {
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]").next().unwrap();
                for call in ["required(", "forbidden(", "invalid(", "unsupported(", "duplicate("] {
                    let begin = format!("Issue::{call}");
                    let calls = code.split(&begin).skip(1);
                    out.extend(calls.map(|rest| second(rest).trim_matches('"').to_owned()));
                }
            }
        }
    }
    let mut out = vec![];
    walk(&super::blocks::root().join("src"), &mut out);
    out
}

/// The second argument of a call, from behind its parenthesis on.
fn second(rest: &str) -> &str {
    let (mut depth, mut quoted, mut start) = (0, false, None);
    for (at, c) in rest.char_indices() {
        match c {
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => match start {
                None => start = Some(at + 1),
                Some(start) => return rest[start..at].trim(),
            },
            _ => {}
        }
    }
    panic!("a call without a rule: {}", &rest[..40])
}
