//! The rules on Open WebUI and what exists for its sake.

use super::*;

/// A stack that nothing is to be said about, with these fields of Open WebUI.
fn web(fields: &str) -> String {
    format!(
        "{{ollama: {{models: [llama3, nomic-embed-text], persistence: {{enabled: true}}}}, \
          openwebui: {{enabled: true, admin: {{email: a@example.com, secretRef: {{name: chat-admin}}}}, {fields}}}}}"
    )
}

/// The stack with a status that says where its accounts are.
fn started(fields: &str, database: &str) -> Value {
    let mut object = stack(&web(fields));
    object["status"] = json!({"openwebuiStatus": {
        "database": database, "availableReplicas": 1, "readyReplicas": 1, "updatedReplicas": 1,
    }});
    object
}

#[test]
fn good_manifests_draw_no_word() {
    for fields in [
        "",
        "replicas: 3, persistence: {accessModes: [ReadWriteMany]}",
        "replicas: 5, persistence: {enabled: false}, storage: {s3: {bucket: uploads}}",
        "redis: {url: 'redis://cache:6379/2'}, database: {urlSecretRef: {name: db}}, replicas: 2, \
         persistence: {accessModes: [ReadWriteMany]}",
        "ollamaUrls: ['http://a:11434', 'https://b']",
        "langfuse: {enabled: true, url: 'https://langfuse.example.com', secretRef: {name: langfuse}}",
        "pipelines: {enabled: true, urls: ['https://example.com/a.py', 'https://github.com/a/b/blob/main/c.py']}",
    ] {
        warned(&web(fields), &[]);
    }
}

#[test]
fn everything_wrong_is_told_in_one_answer() {
    let spec = "
        ollama: {models: [llama3]}
        openwebui:
          enabled: true
          replicas: 6
          url: chat.example.com
          ollamaUrls: ['ollama:11434']
          admin: {email: nobody, secretRef: {name: Chat_Admin, key: 'a b'}}
          ingress: {enabled: true, path: /chat}
          env: [{name: WEBUI_SECRET_KEY, value: x}, {name: DATABASE_URL, value: z}]
          storage: {s3: {bucket: Uploads, endpoint: minio}}
          redis: {enabled: false}
          database: {enabled: false}
          pipelines: {enabled: false, replicas: 1}
          langfuse: {enabled: true, secretRef: {namespace: other}}
        ";
    let mut object = stack(spec);
    object["metadata"]["namespace"] = "team".into();
    assert_eq!(
        issues(&object, None),
        [
            "spec.openwebui.replicas: Invalid value: 6: must be 1 to 5",
            r#"spec.openwebui.env[0].name: Invalid value: "WEBUI_SECRET_KEY": is set by the operator, whose wiring depends on it; remove it"#,
            r#"spec.openwebui.env[1].name: Invalid value: "DATABASE_URL": is set by spec.openwebui.database; remove one of the two"#,
            r#"spec.openwebui.ollamaUrls[0]: Invalid value: "ollama:11434": is no address such as http://ollama.other.svc:11434 (http or https)"#,
            r#"spec.openwebui.url: Invalid value: "chat.example.com": is no address such as https://chat.example.com (http or https)"#,
            r#"spec.openwebui.ingress.path: Invalid value: "/chat": must be /: Open WebUI cannot live below a path; give it a host of its own"#,
            r#"spec.openwebui.admin.email: Invalid value: "nobody": is no address of the form name@example.com"#,
            r#"spec.openwebui.admin.secretRef.name: Invalid value: "Chat_Admin": is not the name of a Secret of this namespace: lower case, digits, - and ."#,
            r#"spec.openwebui.admin.secretRef.key: Invalid value: "a b": is no key of a Secret: letters, digits, -, _ and ."#,
            r#"spec.openwebui.storage.s3.endpoint: Invalid value: "minio": is no address such as https://minio.example.com (http or https)"#,
            r#"spec.openwebui.storage.s3.bucket: Invalid value: "Uploads": is no name of a bucket: lower case, digits, - and ."#,
            "spec.openwebui.ingress.host: Required value: an Ingress needs a host name; give one, or set enabled to false",
            "spec.openwebui.database.enabled: Invalid value: false: several Open WebUI need one PostgreSQL: leave database.enabled away, give database.urlSecretRef, or set replicas to 1",
            "spec.openwebui.langfuse.url: Required value: give the address of Langfuse, such as https://cloud.langfuse.com",
            "spec.openwebui.langfuse.secretRef.name: Required value: name the Secret with the keys LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY",
            r#"spec.openwebui.langfuse.secretRef.namespace: Invalid value: "other": must be the namespace of this object, or absent: no Secret of another namespace is read; copy it"#,
            "spec.openwebui.pipelines.enabled: Invalid value: false: must not be false beside langfuse, which works through Pipelines; remove it",
            "spec.openwebui.redis.enabled: Invalid value: false: several Open WebUI share their sessions through Redis: leave redis.enabled away, give redis.url or redis.urlSecretRef, or set replicas to 1",
        ]
    );
}

#[test]
fn several_servers_need_what_they_share() {
    refused(
        &web("replicas: 2, redis: {enabled: false}"),
        &[
            "spec.openwebui.redis.enabled: Invalid value: false: several Open WebUI share their sessions through Redis: leave redis.enabled away, give redis.url or redis.urlSecretRef, or set replicas to 1",
        ],
    );
    accepted(&web("replicas: 2, redis: {enabled: false, url: 'redis://cache'}"));
    refused(
        &web("replicas: 2, database: {enabled: false}"),
        &[
            "spec.openwebui.database.enabled: Invalid value: false: several Open WebUI need one PostgreSQL: leave database.enabled away, give database.urlSecretRef, or set replicas to 1",
        ],
    );
    refused(
        &web("replicas: 2, persistence: {accessModes: [ReadWriteOncePod]}"),
        &[
            r#"spec.openwebui.persistence.accessModes: Invalid value: "ReadWriteOncePod": is for one pod: set accessModes to [ReadWriteMany], or persistence.enabled to false and storage.s3"#,
        ],
    );
    warned(
        &web("replicas: 2"),
        &["spec.openwebui: replicas share a volume of one node, so all run there; use ReadWriteMany"],
    );
}

#[test]
fn accounts_never_vanish_by_themselves() {
    let sqlite = "spec.openwebui.replicas: Invalid value: 2: must be 1: this stack has its accounts in SQLite, which one server may write; with database.enabled true it moves to an empty PostgreSQL";
    let several = "replicas: 2, persistence: {accessModes: [ReadWriteMany]}";
    assert_eq!(issues(&started(several, "sqlite"), None), [sqlite]);
    assert_eq!(issues(&started(several, "postgres"), None), [""; 0]);
    assert_eq!(issues(&started("replicas: 1", "postgres"), None), [""; 0]);
    let by_hand = format!("{several}, database: {{enabled: true}}");
    let review = reviewed(&started(&by_hand, "sqlite"), None, &Settings::default());
    assert_eq!(review.issues, []);
    assert_eq!(
        review.spoken(),
        ["spec.openwebui.database: accounts and chats stay in SQLite; the stack's PostgreSQL starts empty"]
    );
    let back = reviewed(
        &started("database: {enabled: false}", "postgres"),
        None,
        &Settings::default(),
    );
    assert_eq!(
        back.spoken(),
        ["spec.openwebui.database: accounts and chats stay in the stack's PostgreSQL; SQLite starts empty"]
    );
}

#[test]
fn of_redis() {
    refused(
        &web(
            "redis: {enabled: true, url: 'http://:secret@cache', urlSecretRef: {name: r}, password: \"a\\nb\", \
             passwordSecretRef: {name: R}, image: 'a b'}",
        ),
        &[
            r#"spec.openwebui.redis.image: Invalid value: "a b": is not an image such as registry.example.com/ollama/ollama:0.32.15"#,
            r#"spec.openwebui.redis.url: Invalid value: "…": is no address such as redis://cache:6379/0 (or rediss://)"#,
            "spec.openwebui.redis.urlSecretRef: Forbidden: must not stand beside url; keep one of the two",
            "spec.openwebui.redis.enabled: Invalid value: true: must not be true beside the address of another Redis; remove one of the two",
            r#"spec.openwebui.redis.passwordSecretRef.name: Invalid value: "R": is not the name of a Secret of this namespace: lower case, digits, - and ."#,
            "spec.openwebui.redis.passwordSecretRef: Forbidden: must not stand beside password; keep one of the two",
            r#"spec.openwebui.redis.password: Invalid value: "…": must not hold control characters such as line breaks"#,
        ],
    );
    warned(
        &web("redis: {enabled: true, password: s3cret}"),
        &["spec.openwebui.redis.password can be read by every reader of this object; use passwordSecretRef"],
    );
    warned(
        &web("redis: {password: s3cret}"),
        &["spec.openwebui.redis.password does nothing: no Redis of this stack runs"],
    );
    warned(
        &web("redis: {url: 'redis://:s3cret@cache'}"),
        &["spec.openwebui.redis.url holds a password that every reader of this object sees; use urlSecretRef"],
    );
}

#[test]
fn of_the_database() {
    refused(
        &web("database: {enabled: true, urlSecretRef: {name: db}}"),
        &[
            "spec.openwebui.database.enabled: Invalid value: true: must not be true beside urlSecretRef, which names another database; remove one of the two",
        ],
    );
    warned(
        &web("database: {enabled: true, persistence: {enabled: false}}"),
        &["spec.openwebui.database.persistence is off: accounts and chats go with the pod"],
    );
    changed(
        &web("database: {enabled: true, persistence: {size: 20Gi, storageClass: a}}"),
        &web("database: {enabled: true, persistence: {size: 10Gi, storageClass: b}}"),
        &[
            r#"spec.openwebui.database.persistence.size: Invalid value: "10Gi": claims cannot shrink from "20Gi"; keep that size, or move the data to a new object"#,
            "spec.openwebui.database.persistence.storageClass: Forbidden: cannot be changed while persistence is on: a claim keeps what it was made with; move the data to a new object, or switch persistence off, delete the claims, and switch it on again",
        ],
    );
}

#[test]
fn of_pipelines() {
    refused(
        &web(
            "pipelines: {enabled: true, replicas: 4, dir: /app, urls: ['ftp://a/b.py', 'https://a/tree/main', \
             'https://a/b.py'], pipelineUrls: ['https://c/b.py', 'https://u:p@a'], \
             env: [{name: PIPELINES_API_KEY}, {name: PIPELINES_DIR}], volumes: [{name: data}]}",
        ),
        &[
            "spec.openwebui.pipelines.replicas: Invalid value: 4: must be 1 to 3",
            r#"spec.openwebui.pipelines.env[0].name: Invalid value: "PIPELINES_API_KEY": is set by the operator, whose wiring depends on it; remove it"#,
            r#"spec.openwebui.pipelines.env[1].name: Invalid value: "PIPELINES_DIR": is set by spec.openwebui.pipelines.dir; remove one of the two"#,
            r#"spec.openwebui.pipelines.volumes[0].name: Invalid value: "data": is a volume of the operator; rename it"#,
            r#"spec.openwebui.pipelines.urls[0]: Invalid value: "ftp://a/b.py": is no address such as https://example.com/filter.py (http or https)"#,
            r#"spec.openwebui.pipelines.urls[1]: Invalid value: "https://a/tree/main": must lead to a Python file: end in a name such as filter.py"#,
            r#"spec.openwebui.pipelines.pipelineUrls[0]: Duplicate value: "https://c/b.py": b.py comes from spec.openwebui.pipelines.urls[2] already; rename one of the two"#,
            r#"spec.openwebui.pipelines.pipelineUrls[1]: Invalid value: "…": must lead to a Python file: end in a name such as filter.py"#,
            r#"spec.openwebui.pipelines.dir: Invalid value: "/app": must be an absolute path of its own such as /app/pipelines"#,
        ],
    );
    refused(
        &web("pipelines: {enabled: true}, env: [{name: OPENAI_API_KEYS, value: x}]"),
        &[
            r#"spec.openwebui.env[0].name: Invalid value: "OPENAI_API_KEYS": is set by spec.openwebui.pipelines; remove one of the two"#,
        ],
    );
    accepted(&web("env: [{name: OPENAI_API_KEYS, value: x}]"));
    warned(
        &web("pipelines: {enabled: true, ingressHost: p.example.com}"),
        &[
            "spec.openwebui.pipelines gets no Ingress: it runs code for whoever reaches it",
            "older fields, see docs/upgrade.md: spec.openwebui.pipelines.ingressHost",
        ],
    );
}

#[test]
fn of_langfuse() {
    let bad = "langfuse: {enabled: true, url: 'https://u:p@a', secretRef: {name: L}, projectName: 'My Chat', environment: Production}";
    refused(
        &web(bad),
        &[
            r#"spec.openwebui.langfuse.url: Invalid value: "https://u:p@a": is no address such as https://cloud.langfuse.com (http or https, without a password)"#,
            r#"spec.openwebui.langfuse.secretRef.name: Invalid value: "L": is not the name of a Secret of this namespace: lower case, digits, - and ."#,
            r#"spec.openwebui.langfuse.projectName: Invalid value: "My Chat": must be a lower-case DNS label"#,
            r#"spec.openwebui.langfuse.environment: Invalid value: "Production": must hold lower-case letters, digits, - and _ only, and not begin with langfuse"#,
        ],
    );
    accepted(&web("langfuse: {enabled: false, url: nonsense}"));
}

#[test]
fn of_engines_and_open_doors() {
    accepted("{ollama: {enabled: false}, openwebui: {enabled: true, ollamaUrls: ['http://a:1']}}");
    let open = "openwebui: {enabled: true}";
    let models = "ollama: {models: [llama3, nomic-embed-text], persistence: {enabled: true}}";
    warned(
        &format!("{{{models}, {open}}}"),
        &["spec.openwebui: the first visitor becomes the administrator; give spec.openwebui.admin"],
    );
    warned(
        &web("signup: {enabled: true}"),
        &["spec.openwebui.signup.enabled: whoever reaches the page can make an account"],
    );
    warned(
        &web("").replace(", nomic-embed-text", ""),
        &["nomic-embed-text (or another that embeds) is not in spec.ollama.models: no search in documents"],
    );
    warned(
        &web("persistence: {enabled: false}"),
        &["spec.openwebui.persistence is off: uploads, and with SQLite accounts, go with the pod"],
    );
    warned(
        &web("env: [{name: WEBUI_HOST, value: x}]"),
        &["spec.openwebui.env[0].name: WEBUI_HOST is not read by openwebui; remove it"],
    );
    warned(
        "{ollama: {enabled: false}, tabby: {enabled: true, ollamaServiceName: o, modelName: codellama}, \
          openwebui: {enabled: true, admin: {email: a@example.com, secretRef: {name: x}}}}",
        &[
            "spec.openwebui has no Ollama to ask: give spec.openwebui.ollamaUrls",
            "spec.tabby.ollamaServiceName: the models of that Ollama are not checked",
            "older fields, see docs/upgrade.md: spec.tabby.modelName",
        ],
    );
}

#[test]
fn what_is_off_is_neither_filled_in_nor_checked() {
    let off = "{ollama: {models: [llama3]}, openwebui: {enabled: false, replicas: 9, url: x, redis: {url: z}}}";
    accepted(off);
    let block = filled(&stack(off))["spec"]["openwebui"].clone();
    assert_eq!(
        block,
        json!({"enabled": false, "replicas": 9, "url": "x", "redis": {"url": "z"}})
    );
    let on = filled(&stack(&web("redis: {url: 'redis://a'}, database: {enabled: true}")))["spec"]["openwebui"].clone();
    let size = |size: &str| json!({"enabled": true, "size": size});
    assert_eq!(
        on,
        json!({
            "enabled": true, "replicas": 1, "configMode": "declarative", "persistence": size("2Gi"),
            "service": {"type": "ClusterIP", "port": 8080},
            "admin": {"email": "a@example.com", "secretRef": {"name": "chat-admin"}},
            "redis": {"url": "redis://a"},
            "database": {"enabled": true, "persistence": size("10Gi")},
        })
    );
}
