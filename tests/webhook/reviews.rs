//! What the webhooks say about objects.

use crate::support::{Webhooks, create, deployment, good, patched, review, webhooks};
use llm_operator::base::settings::Settings;
use serde_json::{Value, json};

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
