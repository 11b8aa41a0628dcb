//! The committed definitions, their copies in the chart and the reference page are what the code says, and hold to the
//! rules of this project on schemas.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that panics says why

mod support;

use llm_operator::kind::{all, reference};
use serde_json::{Value, json};

/// Plain `kubectl apply` keeps a copy of the object in an annotation of at most 256 KiB.
const LARGEST: usize = 200 * 1024;

#[test]
fn committed_files_are_up_to_date() {
    for (name, yaml) in reference::crds() {
        support::compare(&format!("crds/{name}"), &yaml);
        support::compare(&format!("charts/llm-operator/files/crds/{name}"), &yaml);
        assert!(yaml.len() < LARGEST, "{name} has {} bytes", yaml.len());
    }
    support::compare("docs/reference.md", &reference::reference());
}

#[test]
fn definitions_read_back_as_they_were_written() {
    for ((name, yaml), form) in reference::crds().into_iter().zip(all()) {
        let read: Value = serde_saphyr::from_str(&yaml).unwrap();
        assert_eq!(read, json!((form.crd)()), "{name}");
    }
}

/// Every schema of every kind, with its path.
fn schemas() -> Vec<(String, Value)> {
    fn walk(path: &str, schema: &Value, out: &mut Vec<(String, Value)>) {
        out.push((path.to_string(), schema.clone()));
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            walk(&format!("{path}.{name}"), field, out);
        }
        for inner in ["items", "additionalProperties"] {
            if schema[inner].is_object() {
                walk(&format!("{path}[]"), &schema[inner], out);
            }
        }
    }
    let mut out = vec![];
    for form in all().into_iter().filter(|form| !OLDER.contains(&form.kind)) {
        let crd = json!((form.crd)());
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        walk(form.kind, schema, &mut out);
    }
    out
}

/// Older names of `LMDeployment`.
const OLDER: [&str; 2] = ["OllamaDeployment", "Deployment"];

fn crd(kind: &str) -> Value {
    json!((all().into_iter().find(|f| f.kind == kind).unwrap().crd)())
}

#[test]
fn older_names_differ_in_their_names_alone() {
    let without_names = |kind: &str| {
        let mut crd = crd(kind);
        crd["metadata"]["name"] = json!(null);
        crd["spec"]["names"] = json!(null);
        let schema = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        assert!(schema["description"].is_string());
        schema["description"] = json!(null);
        crd
    };
    for kind in OLDER {
        assert_eq!(without_names(kind), without_names("LMDeployment"), "{kind}");
    }
    let names = |kind: &str| crd(kind)["spec"]["names"].clone();
    assert_eq!(
        names("OllamaDeployment"),
        json!({"kind": "OllamaDeployment", "plural": "ollamadeployments", "singular": "ollamadeployment", "categories": ["llm"]})
    );
    // With a short name or a category it would stand in the way of the cluster's own.
    assert_eq!(
        names("Deployment"),
        json!({"kind": "Deployment", "plural": "deployments", "singular": "deployment"})
    );
}

#[test]
fn schemas_set_no_defaults_and_take_no_nulls() {
    for (path, schema) in schemas() {
        for keyword in ["default", "nullable"] {
            // A field may be called so; a keyword of the schema must not be there.
            assert!(schema.get(keyword).is_none(), "{path} has {keyword}");
        }
        let values = schema["enum"].as_array().cloned().unwrap_or_default();
        assert!(!values.contains(&Value::Null), "{path} may be null");
    }
}

#[test]
fn every_field_is_described_with_its_default() {
    let all = schemas();
    for (path, schema) in &all {
        let field = path.contains('.') && !path.ends_with(']') && !path.contains(".metadata");
        if !field {
            continue;
        }
        let text = schema["description"].as_str().unwrap_or_default();
        assert!(!text.is_empty(), "{path} has no description");
        let (parent, name) = path.rsplit_once('.').unwrap();
        let names = |schema: &Value| {
            schema["required"]
                .as_array()
                .is_some_and(|r| r.iter().any(|r| r == name))
        };
        let required = all.iter().any(|(p, s)| p == parent && names(s));
        let said = ["Default", "Deprecated", "Required", "Never filled in"]
            .iter()
            .any(|word| text.contains(word));
        let counts = path.contains(".spec.") && !required;
        assert!(!counts || said, "{path} does not say its default: {text}");
    }
}

/// With a field of ours in `required` by mistake, no manifest of the older documents would apply.
#[test]
fn only_what_nothing_works_without_is_required() {
    let required: Vec<String> = schemas()
        .into_iter()
        .filter(|(path, _)| path.contains(".spec"))
        .flat_map(|(path, schema)| {
            let names = schema["required"].as_array().cloned().unwrap_or_default();
            names
                .into_iter()
                .map(move |name| format!("{path}.{}", name.as_str().unwrap()))
        })
        .collect();
    let expected = [
        "LMDeployment.spec.ollama.env[].name",
        "LMDeployment.spec.ollama.envVars[].name",
        "LMDeployment.spec.ollama.gpu.vendor",
        "LMDeployment.spec.ollama.imagePullSecrets[].name",
        "LMDeployment.spec.openwebui.admin.email",
        "LMDeployment.spec.openwebui.admin.secretRef",
        "LMDeployment.spec.openwebui.admin.secretRef.name",
        "LMDeployment.spec.openwebui.database.urlSecretRef.name",
        "LMDeployment.spec.openwebui.env[].name",
        "LMDeployment.spec.openwebui.envVars[].name",
        "LMDeployment.spec.openwebui.gateway.parentRef.name",
        "LMDeployment.spec.openwebui.imagePullSecrets[].name",
        "LMDeployment.spec.openwebui.pipelines.apiKeySecretRef.name",
        "LMDeployment.spec.openwebui.pipelines.env[].name",
        "LMDeployment.spec.openwebui.pipelines.envVars[].name",
        "LMDeployment.spec.openwebui.pipelines.imagePullSecrets[].name",
        "LMDeployment.spec.openwebui.redis.passwordSecretRef.name",
        "LMDeployment.spec.openwebui.redis.urlSecretRef.name",
        "LMDeployment.spec.openwebui.storage.s3.bucket",
        "LMDeployment.spec.openwebui.storage.s3.secretRef.name",
        "LMDeployment.spec.tabby.env[].name",
        "LMDeployment.spec.tabby.envVars[].name",
        "LMDeployment.spec.tabby.gateway.parentRef.name",
        "LMDeployment.spec.tabby.imagePullSecrets[].name",
        "OllamaModel.spec.name",
        "OllamaModel.spec.messages[].content",
        "OllamaModel.spec.messages[].role",
        "OllamaModel.spec.target.deploymentRef.name",
        "OllamaModel.spec.target.service.name",
    ];
    let (mut left, mut right) = (required, expected.map(String::from).to_vec());
    left.sort();
    right.sort();
    assert_eq!(left, right);
}

#[test]
fn every_list_says_how_it_is_shared() {
    for (path, schema) in schemas() {
        if schema["type"] != "array" {
            continue;
        }
        let kind = schema["x-kubernetes-list-type"].as_str();
        assert!(kind.is_some(), "{path} has no list type");
        let keys = schema["x-kubernetes-list-map-keys"].as_array();
        assert_eq!(kind == Some("map"), keys.is_some(), "{path}");
        let required = schema["items"]["required"].as_array().cloned().unwrap_or_default();
        for key in keys.into_iter().flatten() {
            assert!(required.contains(key), "{path}: the key {key} may be missing");
        }
        if path.contains(".spec.") {
            assert!(schema["maxItems"].is_number(), "{path} has no bound");
        }
    }
}

#[test]
fn quantities_are_strings_or_numbers() {
    let quantities: Vec<String> = schemas()
        .into_iter()
        .filter(|(_, schema)| schema["x-kubernetes-int-or-string"] == json!(true))
        .map(|(path, _)| path)
        .collect();
    for path in [
        "LMDeployment.spec.ollama.persistence.size",
        "LMDeployment.spec.ollama.resources.limits[]",
        "LMDeployment.spec.tabby.resources.requests[]",
        "LMDeployment.spec.ollama.keepAlive",
    ] {
        assert!(
            quantities.iter().any(|q| q == path),
            "{path} is not one of {quantities:?}"
        );
    }
}

#[test]
fn kinds_answer_to_their_documented_names() {
    let names = &crd("LMDeployment")["spec"]["names"];
    assert_eq!(names["shortNames"], json!(["lmd", "ollamadep"]));
    assert_eq!(names["categories"], json!(["llm"]));
    let columns = |kind: &str, wide: bool| -> Vec<String> {
        let version = &crd(kind)["spec"]["versions"][0];
        assert_eq!(version["subresources"], json!({"status": {}}));
        let columns = version["additionalPrinterColumns"].as_array().unwrap().clone();
        let shown = columns.into_iter().filter(|c| c["priority"].is_null() != wide);
        shown.map(|c| c["name"].as_str().unwrap().to_uppercase()).collect()
    };
    assert_eq!(
        columns("LMDeployment", false),
        ["PHASE", "READY", "MODELS", "URL", "AGE"]
    );
    assert_eq!(
        columns("LMDeployment", true),
        ["OLLAMA-IMAGE", "OPENWEBUI-IMAGE", "TABBY-IMAGE", "REASON"]
    );
    assert_eq!(
        columns("OllamaModel", false),
        ["MODEL", "STATE", "PROGRESS", "SIZE", "ON", "AGE"]
    );
}
