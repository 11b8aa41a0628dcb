//! Inputs made of good ones by accident: what reads them never falls over, and what it writes can be read again. Each
//! runs for seconds, or with `LLM_OPERATOR_SOAK` for minutes; a failure prints its seed for `LLM_OPERATOR_SEED`.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that panics says why

#[path = "fuzz/mutator.rs"]
mod mutator;
mod support;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use llm_operator::base::endpoint::ServerUrl;
use llm_operator::base::model::ModelName;
use llm_operator::base::settings::Settings;
use llm_operator::base::url;
use llm_operator::component::tabby::config::Models;
use llm_operator::pki::book::{Book, Terms};
use llm_operator::pki::plan::Stored;
use llm_operator::pki::secret;
use llm_operator::pki::x509::{self, Service};
use llm_operator::webhook::{mutate, validate};
use mutator::{fuzz, mutated};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

/// The manifests of `examples/`.
fn examples() -> Vec<Value> {
    let folder = fs::read_dir(support::path("examples")).unwrap();
    let mut all = vec![];
    for entry in folder {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "yaml") {
            let text = fs::read_to_string(&path).unwrap();
            all.extend(serde_saphyr::from_multiple::<Value>(&text).unwrap());
        }
    }
    all.retain(|object| llm_operator::kind::of(object).is_some());
    assert!(all.len() > 20, "{}", all.len());
    all
}

/// A question about an object, with one `uid` in it.
fn review(object: &Value, update: bool) -> Vec<u8> {
    let (group, version) = object["apiVersion"].as_str().unwrap().split_once('/').unwrap();
    let old = if update { object.clone() } else { Value::Null };
    let kind = json!({"group": group, "version": version, "kind": object["kind"]});
    let question = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "kind": kind, "operation": if update { "UPDATE" } else { "CREATE" },
            "name": object["metadata"]["name"], "namespace": "team", "object": object, "oldObject": old, "dryRun": false,
        },
    });
    question.to_string().into_bytes()
}

#[test]
fn every_review_is_answered() {
    let corpus: Vec<Vec<u8>> = examples()
        .iter()
        .flat_map(|o| [review(o, false), review(o, true)])
        .collect();
    let settings = Settings::default();
    fuzz("reviews", &corpus, |input| {
        for answer in [
            validate(input, &settings).answer.json(),
            mutate(input, &settings).answer.json(),
        ] {
            let answer: Value = serde_json::from_slice(&answer).expect("an answer is JSON");
            let response = &answer["response"];
            let allowed = response["allowed"].as_bool().expect("an answer says yes or no");
            assert_eq!(allowed, response.get("status").is_none(), "{answer}");
            assert!(response["uid"].is_string(), "{answer}");
            let code = &response["status"]["code"];
            assert!(
                allowed || code.as_u64().is_some_and(|c| (400..500).contains(&c)),
                "{answer}"
            );
            let once = |word: &[u8]| input.windows(word.len()).filter(|w| *w == word).count() == 1;
            if let Ok(question) = serde_json::from_slice::<Value>(input)
                && let Some(uid) = question["request"]["uid"].as_str()
                && once(b"\"uid\"")
                && once(b"\"request\"")
            {
                assert_eq!(response["uid"], uid, "{answer}");
            }
        }
    });
}

const NAMES: [&str; 8] = [
    "llama3.2:1b",
    "hf.co/amakhov/tiny-random-llama:F16",
    "registry.example.com:5000/library/qwen2.5-coder:1.5b-base",
    "http://registry.test:5000/a/b:c",
    "CodeLlama:7b-code",
    "$(id)`id`\"'\n{{}}",
    "a@sha256:0123",
    "localhost:5000/starcoder",
];

fn names() -> Vec<Vec<u8>> {
    NAMES.iter().map(|name| name.as_bytes().to_vec()).collect()
}

#[test]
fn models_have_plain_names() {
    fuzz("model names", &names(), |input| {
        let text = String::from_utf8_lossy(input);
        let Ok(name) = ModelName::parse(&text) else { return };
        for form in [name.short(), name.key()] {
            let plain = |c: char| c.is_ascii_alphanumeric() || "._-/:".contains(c);
            assert!(
                form.chars().all(plain) && !form.starts_with('-'),
                "{text:?} becomes {form:?}"
            );
            assert!(form.len() <= 600, "{text:?} becomes {form:?}");
        }
        assert_eq!(ModelName::parse(&name.short()), Ok(name), "{text:?}");
    });
}

/// The sections of a file with tables of texts, as TOML 1.0 has them: nothing else is understood here.
fn sections(text: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut all: Vec<(String, Vec<(String, String)>)> = vec![];
    for line in text.split('\n').filter(|line| !line.is_empty()) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let bare = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            assert!(name.chars().all(bare), "{line:?} is no table");
            all.push((name.to_string(), vec![]));
            continue;
        }
        let (key, value) = line.split_once(" = ").unwrap_or_else(|| panic!("{line:?} is no pair"));
        assert!(key.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{line:?}");
        // A basic string: the escapes of JSON are among its own, and control characters stand in neither.
        assert!(!value.contains(|c: char| c.is_control()), "{line:?}");
        let value: String = serde_json::from_str(value).unwrap_or_else(|e| panic!("{line:?}: {e}"));
        all.last_mut()
            .expect("a table comes first")
            .1
            .push((key.to_string(), value));
    }
    all
}

#[test]
fn tabbys_file_says_what_it_is_told() {
    fuzz("Tabby's config.toml", &names(), |input| {
        let text = String::from_utf8_lossy(input);
        let Ok(completion) = ModelName::parse(&text) else {
            return;
        };
        let chat = ModelName::parse("llama3").unwrap();
        let models = Models {
            chat,
            completion: completion.clone(),
            embedding: completion.clone(),
        };
        let all = sections(&models.toml("http://chat-ollama:11434"));
        let tables: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            tables,
            ["model.completion.http", "model.chat.http", "model.embedding.http"],
            "{text:?}"
        );
        for (table, pairs) in &all {
            let get = |key: &str| pairs.iter().find(|(k, _)| k == key).map(|(_, value)| value.clone());
            let name = if table.contains("chat") {
                "llama3:latest".into()
            } else {
                completion.short()
            };
            assert_eq!(get("model_name"), Some(name), "{text:?}");
            assert!(
                get("api_endpoint").is_some_and(|url| url.starts_with("http://chat-ollama:11434")),
                "{text:?}"
            );
        }
    });
}

#[test]
fn addresses_stay_in_their_place() {
    let corpus: Vec<Vec<u8>> = [
        "http://ollama.other.svc:11434",
        "https://chat.example.com/x?y=z#a",
        "redis://:p%40ss@cache:6379/0",
        "postgresql://u:p@db:5432/webui",
        "http://[::1]:80/",
        "http://user@169.254.169.254:80",
        "0.0.0.0:11434",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    fuzz("addresses", &corpus, |input| {
        let text = String::from_utf8_lossy(input);
        if url::is_http(&text) || url::is_redis(&text) || url::is_postgres(&text) {
            let breaks = |c: char| c.is_whitespace() || c.is_control() || ";\"'\\`<>".contains(c);
            assert!(!text.contains(breaks), "{text:?}");
        }
        let encoded = url::encoded(&text);
        assert!(
            encoded
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "%-._~".contains(c)),
            "{encoded:?}"
        );
        for server in [ServerUrl::parse(&text), ServerUrl::lenient(&text)]
            .into_iter()
            .flatten()
        {
            let host = server.host().to_string();
            let plain = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
            assert!(!host.is_empty() && host.chars().all(plain), "{text:?}: {host:?}");
            assert!(!text.contains('@'), "{text:?} has a user");
        }
    });
}

#[test]
fn a_damaged_authority_is_none_or_whole() {
    let service = Service {
        name: "webhook".into(),
        namespace: "system".into(),
    };
    // A moment that certificates can express.
    let (terms, now) = (
        Terms::default(),
        Timestamp::from_second(Timestamp::now().as_second()).unwrap(),
    );
    let authority = |generation| x509::authority(&service, generation, now, &terms).unwrap();
    let book = Book::opened(authority(1), 1, &[], now, &terms).staged(authority(2), 2, now, &terms);
    let good = secret::write(None, "ca", &service, &book);
    let fields: Vec<(String, Vec<u8>)> = good
        .data
        .iter()
        .flatten()
        .map(|(key, value)| (key.clone(), value.0.clone()))
        .collect();
    let corpus: Vec<Vec<u8>> = fields.iter().map(|(_, value)| value.clone()).collect();
    fuzz("bytes of the CA Secret", &corpus, |input| {
        for (key, _) in &fields {
            let mut damaged: Secret = good.clone();
            damaged
                .data
                .as_mut()
                .unwrap()
                .insert(key.clone(), ByteString(input.to_vec()));
            if let Stored::Ours(book) = secret::read(Some(&damaged), &service, &terms) {
                // What is taken as whole can be written, and is the same when it is read again.
                let again = secret::write(Some(damaged), "ca", &service, &book);
                assert_eq!(
                    secret::read(Some(&again), &service, &terms),
                    Stored::Ours(book),
                    "{key}"
                );
            }
        }
    });
}

/// What the program says to a text on its stdin.
fn said(command: &str, input: &[u8]) -> (Option<i32>, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_llm-operator"))
        .args([command, "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // One that fails early does not read to the end.
    let _ = stdin.write_all(input);
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).expect("what is printed is text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn what_is_printed_is_yaml() {
    let corpus: Vec<Vec<u8>> = examples()
        .iter()
        .map(|o| serde_saphyr::to_string(o).unwrap().into_bytes())
        .collect();
    fuzz("manifests", &corpus, |input| {
        // A process for each takes its time.
        let command = ["render", "migrate", "validate"][input.len() % 3];
        let (code, out, err) = said(command, input);
        assert!(matches!(code, Some(0..=2)), "{command} ended with {code:?}: {err}");
        if code == Some(0) && command != "validate" {
            let all = serde_saphyr::from_multiple::<Value>(&out).unwrap_or_else(|e| panic!("{command}: {e}\n{out}"));
            // What is no manifest passes through `migrate` as it is.
            assert!(command == "migrate" || all.iter().all(Value::is_object), "{out}");
        } else {
            assert!(!err.is_empty() || !out.is_empty(), "{command} says nothing");
        }
    });
}

#[test]
fn texts_survive_the_yaml() {
    let corpus: Vec<Vec<u8>> = [
        "a: b\n- c\n---\n",
        "'\"#&*!|>%@`",
        "yes",
        "0x1F",
        "1e3",
        "~",
        "\u{feff}\u{202e}\u{85}\u{2028}",
        "$(id) {{x}}",
        " \t a \t \n",
        "2026-01-01",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    fuzz("texts", &corpus, |input| {
        let text: String = String::from_utf8_lossy(input)
            .chars()
            .filter(|c| *c != '\0')
            .take(2_000)
            .collect();
        let object = json!({
            "apiVersion": "llm.geeper.io/v1alpha1", "kind": "LMDeployment", "metadata": {"name": "chat", "namespace": "team"},
            "spec": {"ollama": {"models": ["tiny"], "env": [{"name": "TEXT", "value": text}], "podAnnotations": {"text": text}}},
        });
        let written = serde_saphyr::to_string(&object).unwrap();
        assert_eq!(
            serde_saphyr::from_str::<Value>(&written).unwrap_or_else(|e| panic!("{text:?}: {e}")),
            object
        );
        let form = llm_operator::kind::of(&object).unwrap();
        let made = (form.render)(&object, &Settings::default()).unwrap();
        let each = made
            .iter()
            .map(|o| format!("---\n{}", serde_saphyr::to_string(&o.body).unwrap()));
        let printed: String = each.collect();
        let all = serde_saphyr::from_multiple::<Value>(&printed).unwrap_or_else(|e| panic!("{text:?}: {e}\n{printed}"));
        assert!(made.iter().map(|o| &o.body).eq(&all), "{text:?}");
        let workload = all
            .iter()
            .find(|o| o["kind"] == "Deployment")
            .expect("it has a Deployment");
        let template = &workload["spec"]["template"];
        assert_eq!(template["metadata"]["annotations"]["text"], text);
        let variables = template["spec"]["containers"][0]["env"].as_array().unwrap();
        assert!(
            variables.contains(&json!({"name": "TEXT", "value": text})),
            "{text:?}: {variables:?}"
        );
    });
}

#[test]
fn the_mutator_makes_other_inputs() {
    use rand::SeedableRng;
    let mut random = rand::rngs::StdRng::seed_from_u64(1);
    let corpus = names();
    let made: std::collections::BTreeSet<Vec<u8>> = (0..200).map(|_| mutated(&mut random, &corpus)).collect();
    assert!(made.len() > 150, "{}", made.len());
}
