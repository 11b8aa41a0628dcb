//! Reviews through the router, without a socket.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use llm_operator::base::settings::Settings;
use llm_operator::metrics;
use llm_operator::webhook::{Metrics, router, validate};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;
use tower::ServiceExt;

struct Webhooks {
    registry: Registry,
    router: Router,
}

impl Webhooks {
    fn new(settings: Settings) -> Self {
        let mut registry = metrics::registry();
        let metrics = Metrics::register(&mut registry);
        Self {
            registry,
            router: router(Arc::new(settings), metrics),
        }
    }

    async fn send(&self, path: &str, body: impl Into<Body>) -> (StatusCode, Vec<u8>) {
        let request = Request::post(path)
            .header(CONTENT_TYPE, "application/json")
            .body(body.into())
            .unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let status = answer.status();
        (status, to_bytes(answer.into_body(), usize::MAX).await.unwrap().to_vec())
    }

    /// The `response` of an answer that has the form the API server insists on.
    async fn ask(&self, path: &str, review: &Value) -> Value {
        let (status, body) = self.send(path, review.to_string()).await;
        assert_eq!(status, StatusCode::OK);
        let answer: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(answer["apiVersion"], "admission.k8s.io/v1");
        assert_eq!(answer["kind"], "AdmissionReview");
        assert_eq!(answer["response"]["uid"], review["request"]["uid"]);
        answer["response"].clone()
    }

    fn metrics(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).unwrap();
        text
    }
}

fn webhooks() -> Webhooks {
    Webhooks::new(Settings::default())
}

fn deployment(spec: impl Into<Value>) -> Value {
    json!({
        "apiVersion": "llm.geeper.io/v1alpha1",
        "kind": "LMDeployment",
        "metadata": {"name": "chat", "namespace": "team"},
        "spec": spec.into(),
    })
}

fn review(operation: &str, object: &Value, old: &Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "llm.geeper.io", "version": "v1alpha1", "kind": "LMDeployment"},
            "resource": {"group": "llm.geeper.io", "version": "v1alpha1", "resource": "lmdeployments"},
            "name": "chat",
            "namespace": "team",
            "operation": operation,
            "userInfo": {"username": "jane"},
            "object": object,
            "oldObject": old,
            "dryRun": false,
        },
    })
}

fn create(spec: Value) -> Value {
    review("CREATE", &deployment(spec), &Value::Null)
}

fn good() -> Value {
    json!({"ollama": {"models": ["llama3.2:1b"], "persistence": {"enabled": true}}})
}

/// The object after the patch of the answer.
fn patched(object: &Value, response: &Value) -> Value {
    assert_eq!(response["patchType"], "JSONPatch");
    let patch = STANDARD.decode(response["patch"].as_str().unwrap()).unwrap();
    let mut object = object.clone();
    let patch: json_patch::Patch = serde_json::from_slice(&patch).unwrap();
    json_patch::patch(&mut object, &patch).unwrap();
    object
}

#[tokio::test]
async fn a_good_object_is_admitted_and_filled_once() {
    let webhooks = webhooks();
    let first = create(good());
    let response = webhooks.ask("/mutate", &first).await;
    assert_eq!(response["allowed"], true);
    let filled = patched(&first["request"]["object"], &response);
    assert_eq!(filled["spec"]["ollama"]["replicas"], 1);
    assert_eq!(
        filled["spec"]["ollama"]["models"],
        json!(["llama3.2:1b"]),
        "what the user wrote stays"
    );

    let again = webhooks.ask("/mutate", &review("CREATE", &filled, &Value::Null)).await;
    assert_eq!(again["allowed"], true);
    assert_eq!(again.get("patch"), None, "filling twice is filling once");
    assert_eq!(again.get("patchType"), None);
    let checked = webhooks
        .ask("/validate", &review("CREATE", &filled, &Value::Null))
        .await;
    assert_eq!(checked, json!({"uid": first["request"]["uid"], "allowed": true}));
}

#[tokio::test]
async fn unknown_fields_survive_and_nothing_is_removed() {
    let webhooks = webhooks();
    let mut spec = good();
    spec["ollama"]["persistence"]["size"] = Value::Null;
    spec["fromTheFuture"] = json!({"x": [1.0, null]});
    let question = create(spec.clone());
    let filled = patched(
        &question["request"]["object"],
        &webhooks.ask("/mutate", &question).await,
    );
    assert_eq!(filled["spec"]["fromTheFuture"], spec["fromTheFuture"]);
    assert_eq!(
        filled["spec"]["ollama"]["persistence"]["size"],
        Value::Null,
        "an explicit null is the user's"
    );
}

#[tokio::test]
async fn everything_wrong_is_said_at_once_in_both_webhooks() {
    let webhooks = webhooks();
    let question = create(json!({
        "ollama": {"replicas": 11, "models": ["llama3.2:1b"]},
        "tabby": {"enabled": true, "chatModel": "qwen2:7b", "completionModel": "starcoder:1b"},
    }));
    for path in ["/mutate", "/validate"] {
        let response = webhooks.ask(path, &question).await;
        assert_eq!(response["allowed"], false);
        assert_eq!(response.get("patch"), None);
        let status = &response["status"];
        assert_eq!((&status["code"], &status["reason"]), (&json!(422), &json!("Invalid")));
        let details = &status["details"];
        assert_eq!(details["group"], "llm.geeper.io");
        assert_eq!(details["kind"], "LMDeployment");
        assert_eq!(details["name"], "chat");
        let message = status["message"].as_str().unwrap();
        assert!(
            message.starts_with("LMDeployment.llm.geeper.io \"chat\" is invalid: ["),
            "{message}"
        );
        for field in [
            "spec.ollama.replicas",
            "spec.tabby.chatModel",
            "spec.tabby.completionModel",
        ] {
            let causes = details["causes"].as_array().unwrap();
            let cause = causes
                .iter()
                .find(|c| c["field"] == field)
                .unwrap_or_else(|| panic!("{field}: {causes:?}"));
            assert_eq!(cause["reason"], "FieldValueInvalid");
            let line = format!("{field}: {}", cause["message"].as_str().unwrap());
            assert!(message.contains(&line), "{line}\n{message}");
        }
    }
}

#[tokio::test]
async fn with_refusals_off_the_mutating_webhook_fills_what_the_other_refuses() {
    let mut settings = Settings::default();
    settings.webhook.refuse_in_mutating = false;
    let webhooks = Webhooks::new(settings);
    let question = create(json!({"ollama": {"replicas": 11, "models": []}}));
    let response = webhooks.ask("/mutate", &question).await;
    assert_eq!(response["allowed"], true);
    assert_eq!(
        patched(&question["request"]["object"], &response)["spec"]["ollama"]["replicas"],
        11
    );
    assert_eq!(webhooks.ask("/validate", &question).await["allowed"], false);
}

#[tokio::test]
async fn each_warning_is_shown_once() {
    let webhooks = webhooks();
    let unwise = create(json!({"ollama": {"models": []}}));
    assert_eq!(webhooks.ask("/mutate", &unwise).await.get("warnings"), None);
    let warnings = webhooks.ask("/validate", &unwise).await["warnings"].clone();
    assert!(
        warnings[0].as_str().unwrap().contains("spec.ollama.models is empty"),
        "{warnings}"
    );
    // A refusal by the mutating webhook is the only answer that the user gets.
    let wrong = create(json!({"ollama": {"replicas": 11, "models": []}}));
    assert_eq!(webhooks.ask("/mutate", &wrong).await["warnings"], warnings);
}

#[tokio::test]
async fn an_old_violation_that_is_not_touched_does_not_block_an_update() {
    let webhooks = webhooks();
    let old = deployment(json!({"ollama": {"replicas": 11, "models": ["llama3.2:1b"]}}));
    let mut new = old.clone();
    new["spec"]["ollama"]["models"] = json!(["llama3.2:1b", "qwen2:7b"]);
    for path in ["/mutate", "/validate"] {
        assert_eq!(webhooks.ask(path, &review("UPDATE", &new, &old)).await["allowed"], true);
    }
    new["spec"]["ollama"]["replicas"] = json!(12);
    let response = webhooks.ask("/validate", &review("UPDATE", &new, &old)).await;
    assert_eq!(
        response["status"]["details"]["causes"][0]["field"],
        "spec.ollama.replicas"
    );
}

#[tokio::test]
async fn objects_on_their_way_out_are_let_through() {
    let webhooks = webhooks();
    let mut object = deployment(json!({"ollama": {"replicas": 11}}));
    object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    for path in ["/mutate", "/validate"] {
        let response = webhooks.ask(path, &review("UPDATE", &object, &object)).await;
        assert_eq!(response, json!({"uid": response["uid"], "allowed": true}));
        let response = webhooks.ask(path, &review("DELETE", &Value::Null, &object)).await;
        assert_eq!(response["allowed"], true);
    }
}

#[tokio::test]
async fn other_kinds_and_subresources_are_none_of_our_business() {
    let webhooks = webhooks();
    let mut pod = create(json!(17));
    pod["request"]["kind"] = json!({"group": "", "version": "v1", "kind": "Pod"});
    let mut status = create(json!(17));
    status["request"]["subResource"] = json!("status");
    let connect = review("CONNECT", &Value::Null, &Value::Null);
    for path in ["/mutate", "/validate"] {
        for question in [&pod, &status, &connect] {
            assert_eq!(webhooks.ask(path, question).await["allowed"], true, "{path} {question}");
        }
    }
}

#[tokio::test]
async fn an_object_whose_name_is_generated_is_judged_like_any_other() {
    let webhooks = webhooks();
    let mut question = create(good());
    question["request"]["name"] = json!("");
    question["request"]["object"]["metadata"] = json!({"generateName": "chat-", "namespace": "team"});
    assert_eq!(webhooks.ask("/mutate", &question).await["allowed"], true);
    assert_eq!(webhooks.ask("/validate", &question).await["allowed"], true);
    question["request"]["object"]["spec"]["ollama"]["replicas"] = json!(11);
    let response = webhooks.ask("/validate", &question).await;
    assert_eq!(response["status"]["details"]["name"], "chat-");
}

#[tokio::test]
async fn what_does_not_decode_is_left_to_the_schema_and_refused_after_it() {
    let webhooks = webhooks();
    let objects = [
        deployment(Value::Null),
        deployment(json!([])),
        deployment(json!({"ollama": null, "tabby": 7})),
        deployment(json!({"ollama": {"replicas": "three"}})),
        json!({"metadata": "none"}),
        json!("a text"),
        Value::Null,
    ];
    for object in objects {
        let question = review("CREATE", &object, &Value::Null);
        let response = webhooks.ask("/mutate", &question).await;
        assert_eq!(response, json!({"uid": response["uid"], "allowed": true}), "{object}");
        let response = webhooks.ask("/validate", &question).await;
        assert_eq!(response["allowed"], false, "{object}");
        assert_eq!(response["status"]["code"], 422);
        assert_eq!(response["status"]["details"]["causes"].as_array().unwrap().len(), 1);
    }
    let response = webhooks
        .ask("/validate", &create(json!({"ollama": {"replicas": "three"}})))
        .await;
    let message = response["status"]["message"].as_str().unwrap();
    assert!(
        message.contains("invalid type: string \"three\", expected i32"),
        "{message}"
    );
}

#[tokio::test]
async fn a_body_that_is_no_review_is_passed_on_and_then_refused() {
    let webhooks = webhooks();
    let cut = &create(good()).to_string()[..200];
    for body in [cut, r#"{"request":{"uid":"u-1"}}"#, "[[[[", ""] {
        let (status, answer) = webhooks.send("/mutate", body.to_string()).await;
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!((status, &answer["response"]["allowed"]), (StatusCode::OK, &json!(true)));
        let (status, answer) = webhooks.send("/validate", body.to_string()).await;
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(
            (status, &answer["response"]["allowed"]),
            (StatusCode::OK, &json!(false))
        );
        assert_eq!(answer["response"]["status"]["code"], 400);
    }
    let deep = format!(r#"{{"request":{{"uid":"u-2","object":{}"#, "[".repeat(100_000));
    let (status, answer) = webhooks.send("/validate", deep).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        serde_json::from_slice::<Value>(&answer).unwrap()["response"]["uid"],
        "u-2"
    );
}

#[tokio::test]
async fn two_objects_of_three_mebibytes_fit_and_eight_are_too_many() {
    let webhooks = webhooks();
    let mut object = deployment(good());
    object["metadata"]["annotations"] = json!({"note": "x".repeat(3 * 1024 * 1024)});
    let response = webhooks.ask("/mutate", &review("UPDATE", &object, &object)).await;
    assert_eq!(response["allowed"], true);
    let (status, _) = webhooks.send("/validate", vec![b' '; 8 * 1024 * 1024]).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn only_posts_to_the_two_paths_are_served() {
    let webhooks = webhooks();
    assert_eq!(webhooks.send("/", "").await.0, StatusCode::NOT_FOUND);
    let get = Request::get("/validate").body(Body::empty()).unwrap();
    let answer = webhooks.router.clone().oneshot(get).await.unwrap();
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test(start_paused = true)]
async fn a_full_house_sheds_and_a_question_that_never_arrives_gives_its_place_back() {
    let webhooks = webhooks();
    let unfinished = || Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let mut waiting = Vec::new();
    for _ in 0..64 {
        let router = webhooks.router.clone();
        let request = Request::post("/validate").body(unfinished()).unwrap();
        waiting.push(tokio::spawn(
            async move { router.oneshot(request).await.unwrap().status() },
        ));
    }
    while !webhooks.metrics().contains("llm_operator_webhook_in_flight 64") {
        tokio::task::yield_now().await;
    }
    let request = Request::post("/validate")
        .body(Body::from(create(good()).to_string()))
        .unwrap();
    let answer = webhooks.router.clone().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.headers()["retry-after"], "1");
    for status in waiting {
        assert_eq!(status.await.unwrap(), StatusCode::REQUEST_TIMEOUT);
    }
    assert_eq!(webhooks.ask("/validate", &create(good())).await["allowed"], true);
    let metrics = webhooks.metrics();
    assert!(metrics.contains("llm_operator_webhook_shed_total 1\n"), "{metrics}");
    assert!(metrics.contains("llm_operator_webhook_in_flight 0\n"), "{metrics}");
}

#[tokio::test]
async fn answers_are_counted_by_what_they_said() {
    let webhooks = webhooks();
    webhooks
        .ask("/validate", &create(json!({"ollama": {"replicas": 11}})))
        .await;
    let mut odd = create(good());
    odd["request"]["operation"] = json!("SOMETHING");
    webhooks.ask("/mutate", &odd).await;
    let metrics = webhooks.metrics();
    for line in [
        r#"requests_total{webhook="validate",operation="CREATE",kind="LMDeployment",allowed="false",code="422"} 1"#,
        r#"requests_total{webhook="mutate",operation="other",kind="LMDeployment",allowed="true",code="200"} 1"#,
        r#"duration_seconds_count{webhook="validate"} 1"#,
    ] {
        assert!(
            metrics.contains(&format!("llm_operator_webhook_{line}\n")),
            "{line}\n{metrics}"
        );
    }
}

/// JSON of any shape, with the words that our kinds know in it.
fn any_json() -> impl Strategy<Value = Value> {
    let words = [
        "ollama",
        "tabby",
        "models",
        "replicas",
        "name",
        "persistence",
        "size",
        "service",
        "spec",
        "enabled",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, move |inner| {
        let key = prop_oneof![8 => prop::sample::select(words.to_vec()).prop_map(String::from), 1 => ".{0,6}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(key, inner, 0..6).prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

/// What holds for every answer to every body.
fn is_an_answer(json: &[u8], uid: &str) {
    let answer: Value = serde_json::from_slice(json).unwrap();
    assert_eq!(answer["apiVersion"], "admission.k8s.io/v1");
    assert_eq!(answer["response"]["uid"], uid);
    let allowed = answer["response"]["allowed"].as_bool().unwrap();
    assert_eq!(allowed, answer["response"].get("status").is_none());
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_answered(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let settings = Settings::default();
        is_an_answer(&validate(&body, &settings).answer.json(), "");
        is_an_answer(&llm_operator::webhook::mutate(&body, &settings).answer.json(), "");
    }

    #[test]
    fn a_cut_body_is_answered_with_its_uid(at in 0..900usize, garbage in prop::collection::vec(any::<u8>(), 0..9)) {
        let whole = create(good()).to_string();
        let start = r#"{"apiVersion":"admission.k8s.io/v1","request":{"uid":"u-3","x":"#;
        let mut body = start.as_bytes().to_vec();
        body.extend(whole.bytes().take(at));
        body.extend(garbage);
        is_an_answer(&validate(&body, &Settings::default()).answer.json(), "u-3");
        is_an_answer(&llm_operator::webhook::mutate(&body, &Settings::default()).answer.json(), "u-3");
    }

    #[test]
    fn objects_of_any_shape_are_answered_and_filling_them_is_idempotent(spec in any_json(), old in any_json()) {
        let settings = Settings::default();
        let new = deployment(spec);
        let question = review("UPDATE", &new, &deployment(old));
        let uid = question["request"]["uid"].as_str().unwrap();
        let body = question.to_string();
        is_an_answer(&validate(body.as_bytes(), &settings).answer.json(), uid);
        let handled = llm_operator::webhook::mutate(body.as_bytes(), &settings);
        prop_assert!(!handled.discarded);
        let json = handled.answer.json();
        is_an_answer(&json, uid);
        let response = serde_json::from_slice::<Value>(&json).unwrap()["response"].clone();
        if response.get("patch").is_some() {
            let filled = patched(&new, &response);
            let body = review("UPDATE", &filled, &question["request"]["oldObject"]).to_string();
            let again = llm_operator::webhook::mutate(body.as_bytes(), &settings).answer.json();
            let again: Value = serde_json::from_slice(&again).unwrap();
            prop_assert_eq!(again["response"].get("patch"), None);
        }
    }
}
