//! What the webhooks bear: bodies that make no sense, bodies that are too large, too many at a time, arbitrary bytes.

use crate::support::{create, deployment, good, patched, review, webhooks};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use llm_operator::base::settings::Settings;
use llm_operator::webhook::{mutate, validate};
use proptest::prelude::*;
use serde_json::{Value, json};
use tower::ServiceExt;

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
        is_an_answer(&mutate(&body, &settings).answer.json(), "");
    }

    #[test]
    fn a_cut_body_is_answered_with_its_uid(at in 0..900usize, garbage in prop::collection::vec(any::<u8>(), 0..9)) {
        let whole = create(good()).to_string();
        let start = r#"{"apiVersion":"admission.k8s.io/v1","request":{"uid":"u-3","x":"#;
        let mut body = start.as_bytes().to_vec();
        body.extend(whole.bytes().take(at));
        body.extend(garbage);
        is_an_answer(&validate(&body, &Settings::default()).answer.json(), "u-3");
        is_an_answer(&mutate(&body, &Settings::default()).answer.json(), "u-3");
    }

    #[test]
    fn objects_of_any_shape_are_answered_and_filling_them_is_idempotent(spec in any_json(), old in any_json()) {
        let settings = Settings::default();
        let new = deployment(spec);
        let question = review("UPDATE", &new, &deployment(old));
        let uid = question["request"]["uid"].as_str().unwrap();
        let body = question.to_string();
        is_an_answer(&validate(body.as_bytes(), &settings).answer.json(), uid);
        let handled = mutate(body.as_bytes(), &settings);
        prop_assert!(!handled.discarded);
        let json = handled.answer.json();
        is_an_answer(&json, uid);
        let response = serde_json::from_slice::<Value>(&json).unwrap()["response"].clone();
        if response.get("patch").is_some() {
            let filled = patched(&new, &response);
            let body = review("UPDATE", &filled, &question["request"]["oldObject"]).to_string();
            let again = mutate(body.as_bytes(), &settings).answer.json();
            let again: Value = serde_json::from_slice(&again).unwrap();
            prop_assert_eq!(again["response"].get("patch"), None);
        }
    }
}
