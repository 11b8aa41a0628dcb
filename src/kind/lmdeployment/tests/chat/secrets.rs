//! Passwords and addresses: where they stand, and what becomes of a stack whose Secrets are missing, wrong or changed.

use super::*;

#[test]
fn passwords_stand_in_secrets_only() {
    let secret = "p@ss w/ü\\rd";
    let stack = chat(&format!("redis: {{enabled: true, password: '{secret}'}}"));
    let cluster = Cluster::default()
        .ready("chat-redis")
        .secret("chat-openwebui-secret", &[("WEBUI_SECRET_KEY", "k")])
        .secret("chat-redis-secret", &[("password", secret), ("url", "u")]);
    let objects = cluster.desired(&stack);
    let data = &get(&objects, "Secret", "chat-redis-secret").body["data"];
    let decoded = |key: &str| {
        use base64::Engine;
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(text(&data[key]))
            .unwrap();
        String::from_utf8(bytes).unwrap()
    };
    assert_eq!(decoded("password"), secret);
    assert_eq!(decoded("url"), "redis://:p%40ss%20w%2F%C3%BC%5Crd@chat-redis:6379/0");
    for object in objects.iter().filter(|o| o.resource.kind != "Secret") {
        let body = object.body.to_string();
        assert!(!body.contains("p@ss") && !body.contains("p%40ss"), "{}", object.title());
    }
    let web = env(&objects, "chat-openwebui");
    assert_eq!(
        (&web["REDIS_URL"], &web["WEBSOCKET_REDIS_URL"]),
        (&json!("chat-redis-secret/url"), &json!("$(REDIS_URL)"))
    );
    assert_eq!(
        env(&objects, "chat-redis")["REDIS_PASSWORD"],
        "chat-redis-secret/password"
    );
    let generated = env(
        &Cluster::default()
            .ready("chat-redis")
            .desired(&chat("redis: {enabled: true}")),
        "chat-openwebui",
    );
    assert_eq!(generated["REDIS_URL"], "redis://:$(REDIS_PASSWORD)@chat-redis:6379/0");
}

#[test]
fn a_secret_that_is_missing_is_named_and_one_that_changes_rolls_its_readers() {
    let stack = chat("admin: {email: a@b.c, secretRef: {name: admin}}, redis: {enabled: true}");
    let cluster = |secrets: Cluster| secrets.ready("chat-redis");
    let mark = |objects: &[Object], name: &str| {
        deployment(objects, name).unwrap().body["spec"]["template"]["metadata"]["annotations"]["llm.geeper.io/secrets-hash"].clone()
    };
    let gone = {
        let mut gone = cluster(Cluster::default());
        gone.secrets.put("admin", None);
        gone
    };
    assert_eq!(web_replicas(&gone.desired(&stack)), None);
    let said = gone.status(&stack);
    let degraded = |said: &Value| {
        let all = said["conditions"].as_array().unwrap().clone();
        let found = all.into_iter().find(|c| c["type"] == "Degraded").unwrap();
        (text(&found["reason"]), text(&found["message"]))
    };
    assert_eq!(
        degraded(&said),
        (
            "SecretMissing".into(),
            "Secret admin does not exist; its key password is needed".into()
        )
    );
    let salted = |key: &str, password: &str| {
        cluster(Cluster::default())
            .secret("chat-openwebui-secret", &[("WEBUI_SECRET_KEY", key)])
            .secret("admin", &[("password", password)])
    };
    let lacking = cluster(Cluster::default()).secret("admin", &[("pass", "x")]);
    assert_eq!(
        degraded(&lacking.status(&stack)).1,
        "Secret admin has no key password, or nothing under it"
    );
    let one = salted("k", "x").desired(&stack);
    assert_eq!(
        mark(&one, "chat-openwebui"),
        mark(&salted("k", "x").desired(&stack), "chat-openwebui")
    );
    assert_ne!(
        mark(&one, "chat-openwebui"),
        mark(&salted("k", "y").desired(&stack), "chat-openwebui")
    );
    assert_ne!(
        mark(&one, "chat-openwebui"),
        mark(&salted("l", "x").desired(&stack), "chat-openwebui"),
        "no plain hash"
    );
    assert_eq!(mark(&one, "chat-redis"), Value::Null, "Redis does not read it");
    let mut running = gone;
    running = running.web(&one, 1, 1);
    let live = running.live.last_mut().unwrap();
    let note = ("llm.geeper.io/secrets-hash".to_string(), "m".to_string());
    live.metadata.annotations.as_mut().unwrap().extend([note]);
    assert_eq!(
        mark(&running.desired(&stack), "chat-openwebui"),
        "m",
        "pods that run are left alone"
    );
}

#[test]
fn addresses_in_secrets_are_looked_at() {
    let stack = chat("database: {urlSecretRef: {name: db}}");
    let with = |url: &str| Cluster::default().secret("db", &[("url", url)]);
    let said = with("mysql://a/b").status(&stack);
    let degraded = said["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["type"] == "Degraded")
        .unwrap();
    assert_eq!(degraded["reason"], "SecretInvalid");
    assert_eq!(
        degraded["message"],
        "Secret db: url is no address such as postgresql://user:password@host:5432/database"
    );
    let good = with("postgresql://u:p@h:5432/d").secret("chat-openwebui-secret", &[("WEBUI_SECRET_KEY", "k")]);
    assert_eq!(env(&good.desired(&stack), "chat-openwebui")["DATABASE_URL"], "db/url");
}

#[test]
fn langfuse_turns_pipelines_on() {
    let stack = chat("langfuse: {enabled: true, url: 'https://l.example.com/', secretRef: {name: langfuse}}");
    let cluster = Cluster::default()
        .secret("chat-openwebui-secret", &[("WEBUI_SECRET_KEY", "k")])
        .secret(
            "langfuse",
            &[("LANGFUSE_PUBLIC_KEY", "a"), ("LANGFUSE_SECRET_KEY", "b")],
        );
    let objects = cluster.desired(&stack);
    let pipelines = env(&objects, "chat-pipelines");
    assert_eq!(pipelines["LANGFUSE_HOST"], "https://l.example.com");
    assert_eq!(pipelines["LANGFUSE_PROJECT_NAME"], "chat");
    assert_eq!(pipelines["LANGFUSE_TRACING_ENVIRONMENT"], "development");
    assert_eq!(pipelines["LANGFUSE_SECRET_KEY"], "langfuse/LANGFUSE_SECRET_KEY");
    let web = env(&objects, "chat-openwebui");
    assert_eq!(web["OPENAI_API_BASE_URLS"], "http://chat-pipelines:9099/v1");
    assert_eq!(
        (&web["OPENAI_API_KEYS"], &web["ENABLE_OPENAI_API"]),
        (&json!("$(PIPELINES_API_KEY)"), &json!("True"))
    );
    assert_eq!(web["PIPELINES_API_KEY"], "chat-pipelines-secret/PIPELINES_API_KEY");
    assert!(
        text(&get(&objects, "ConfigMap", "chat-pipelines-langfuse").body["data"]["langfuse.py"])
            .contains("class Pipeline")
    );
    let policy = get(&objects, "NetworkPolicy", "chat-pipelines");
    let from = &policy.body["spec"]["ingress"][0]["from"];
    assert_eq!(from.as_array().unwrap().len(), 1);
    assert_eq!(
        from[0]["podSelector"]["matchLabels"]["app.kubernetes.io/name"],
        "openwebui"
    );
}
