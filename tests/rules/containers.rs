//! Images, resources and variables of containers.

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
    accepted("ollama: {models: [a], resources: {requests: {cpu: 500m, memory: 2Gi}, limits: {cpu: 2, memory: 4Gi}}}");
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
        &[r#"spec.ollama.gpu.resourceName: Invalid value: "gpu": is not an extended resource such as nvidia.com/gpu"#],
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
