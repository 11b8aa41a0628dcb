//! Each rule broken once: the table behind the page.

use super::Example;

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
