//! Open WebUI: what it waits for, who starts first, which database it is on.

use super::*;
use crate::base::secret::Content;
use std::collections::BTreeMap;

mod secrets;

const MODELS: &str = "ollama: {models: [llama3]}";
const VERSION: &str = "llm.geeper.io/version";

/// A stack with these fields of Open WebUI.
fn chat(fields: &str) -> LMDeployment {
    stack(&format!("{{{MODELS}, openwebui: {{enabled: true, {fields}}}}}"))
}

impl Cluster {
    fn ready(self, name: &str) -> Self {
        self.workload("Deployment", name, 1, 1)
    }

    /// Open WebUI with that many pods asked for and there, of the version of these objects.
    fn web(self, of: &[Object], replicas: i32, ready: i32) -> Self {
        let version = &deployment(of, "chat-openwebui").unwrap().body["metadata"]["annotations"][VERSION];
        let mut next = self.workload("Deployment", "chat-openwebui", replicas, ready);
        let live = next.live.last_mut().unwrap();
        let annotations = BTreeMap::from([(VERSION.to_string(), text(version))]);
        live.metadata.annotations = Some(annotations);
        next
    }

    fn secret(mut self, name: &str, keys: &[(&str, &str)]) -> Self {
        let keys = keys.iter().map(|(k, v)| ((*k).to_string(), v.as_bytes().to_vec()));
        self.secrets.put(name, Some(Content::Keys(keys.collect())));
        self
    }
}

fn deployment<'a>(objects: &'a [Object], name: &str) -> Option<&'a Object> {
    let is = |o: &&Object| o.resource.kind == "Deployment" && o.name == name;
    objects.iter().find(is)
}

fn web_replicas(objects: &[Object]) -> Option<Value> {
    deployment(objects, "chat-openwebui").map(|d| d.body["spec"]["replicas"].clone())
}

/// The variables of the container of a component.
fn env(objects: &[Object], name: &str) -> BTreeMap<String, Value> {
    let container = &deployment(objects, name).unwrap().body["spec"]["template"]["spec"]["containers"][0];
    let each = container["env"].as_array().unwrap().iter();
    each.map(|v| {
        let source = &v["valueFrom"]["secretKeyRef"];
        let value = if source.is_null() {
            v["value"].clone()
        } else {
            json!(format!("{}/{}", text(&source["name"]), text(&source["key"])))
        };
        (text(&v["name"]), value)
    })
    .collect()
}

#[test]
fn it_starts_after_its_database_and_redis_and_then_stays() {
    let stack = chat("replicas: 2");
    let none = Cluster::default();
    assert_eq!(web_replicas(&none.desired(&stack)), None);
    let said = none.status(&stack);
    assert_eq!(
        said["openwebuiStatus"]["conditions"][0]["message"],
        "waits for PostgreSQL"
    );
    assert_eq!(said["openwebuiStatus"]["database"], "postgres");
    let half = Cluster::default().ready("chat-postgres");
    assert_eq!(web_replicas(&half.desired(&stack)), None);
    assert_eq!(
        half.status(&stack)["openwebuiStatus"]["conditions"][0]["message"],
        "waits for Redis"
    );
    let there = Cluster::default().ready("chat-postgres").ready("chat-redis");
    let objects = there.desired(&stack);
    assert_eq!(web_replicas(&objects), Some(json!(1)), "the first pod alone");
    let lost = Cluster::default().web(&objects, 2, 2);
    assert_eq!(
        web_replicas(&lost.desired(&stack)),
        Some(json!(2)),
        "a lost database takes nothing away"
    );
}

#[test]
fn one_pod_migrates_and_the_others_follow() {
    let stack = chat("replicas: 3");
    let base = || Cluster::default().ready("chat-postgres").ready("chat-redis");
    let first = base().desired(&stack);
    let replicas = |cluster: Cluster, stack: &LMDeployment| web_replicas(&cluster.desired(stack)).unwrap();
    assert_eq!(replicas(base().web(&first, 1, 0), &stack), 1, "it is not Ready yet");
    assert_eq!(replicas(base().web(&first, 1, 1), &stack), 3);
    assert_eq!(
        replicas(base().web(&first, 3, 0), &stack),
        3,
        "pods that fall do not shrink it"
    );
    let newer = chat("replicas: 3, imageTag: '0.13.0'");
    assert_eq!(
        replicas(base().web(&first, 3, 3), &newer),
        1,
        "a new version starts alone"
    );
    let second = base().desired(&newer);
    assert_eq!(replicas(base().web(&second, 1, 1), &newer), 3);
    let other = chat("replicas: 3, env: [{name: LOG, value: x}], resources: {limits: {cpu: 2}}");
    assert_eq!(
        replicas(base().web(&first, 3, 3), &other),
        3,
        "what is no version rolls them together"
    );
    let template = &deployment(&second, "chat-openwebui").unwrap().body["spec"];
    assert_eq!(template["strategy"], json!({"type": "Recreate"}));
}

#[test]
fn who_makes_the_administrator_is_started_once_more_where_sign_up_is_open() {
    let open = "admin: {email: a@b.c, secretRef: {name: admin}}, signup: {enabled: true}";
    let base = || {
        Cluster::default()
            .secret("chat-openwebui-secret", &[("WEBUI_SECRET_KEY", "k")])
            .secret("admin", &[("password", "x")])
    };
    let new = Cluster::default().secret("admin", &[("password", "x")]);
    assert_eq!(
        web_replicas(&new.desired(&chat(open))),
        None,
        "its own key is about to be made"
    );
    let note = |objects: &[Object]| {
        let template = &deployment(objects, "chat-openwebui").unwrap().body["spec"]["template"]["metadata"];
        template["annotations"]["llm.geeper.io/admin-made"].clone()
    };
    let first = base().desired(&chat(open));
    assert_eq!(note(&first), Value::Null);
    assert_eq!(note(&base().web(&first, 1, 0).desired(&chat(open))), Value::Null);
    assert_eq!(note(&base().web(&first, 1, 1).desired(&chat(open))), "true");
    let closed = chat(&open.replace("true", "false"));
    assert_eq!(
        note(&base().web(&base().desired(&closed), 1, 1).desired(&closed)),
        Value::Null
    );
}

#[test]
fn the_database_is_chosen_once() {
    let database =
        |cluster: &Cluster, stack: &LMDeployment| cluster.status(stack)["openwebuiStatus"]["database"].clone();
    let none = Cluster::default();
    assert_eq!(database(&none, &chat("replicas: 1")), "sqlite");
    assert_eq!(database(&none, &chat("replicas: 2")), "postgres");
    assert_eq!(
        database(&none, &chat("database: {urlSecretRef: {name: db}}")),
        "external"
    );
    assert_eq!(database(&none, &chat("database: {enabled: true}")), "postgres");
    let mut stack = chat("replicas: 1");
    stack.status = serde_json::from_value(json!({"openwebuiStatus": {
        "availableReplicas": 1, "readyReplicas": 1, "updatedReplicas": 1, "database": "postgres",
    }}))
    .unwrap();
    assert_eq!(database(&none, &stack), "postgres", "scaled down, it stays");
    let kept = Cluster::default().claim("chat-postgres-data", "10Gi", "x");
    assert_eq!(
        database(&kept, &chat("replicas: 1")),
        "postgres",
        "a restored stack finds its data"
    );
    let file = Cluster::default().claim("chat-openwebui-data", "2Gi", "x");
    assert_eq!(database(&file, &chat("replicas: 2")), "sqlite");
}

#[test]
fn one_alone_needs_nothing_else() {
    let objects = Cluster::default().desired(&chat(""));
    let env = env(&objects, "chat-openwebui");
    for absent in [
        "DATABASE_URL",
        "REDIS_URL",
        "VECTOR_DB",
        "OPENAI_API_BASE_URLS",
        "WEBUI_ADMIN_EMAIL",
        "WEBUI_URL",
    ] {
        assert!(!env.contains_key(absent), "{absent}");
    }
    assert_eq!(env["WEBUI_SECRET_KEY"], "chat-openwebui-secret/WEBUI_SECRET_KEY");
    assert_eq!(env["OLLAMA_BASE_URLS"], "http://chat-ollama:11434");
    assert_eq!(env["RAG_OLLAMA_BASE_URL"], "http://chat-ollama:11434");
    assert_eq!(
        (&env["ENABLE_PERSISTENT_CONFIG"], &env["ENABLE_SIGNUP"]),
        (&json!("False"), &json!("True"))
    );
    assert_eq!(env["ENABLE_OPENAI_API"], "False", "or it would ask api.openai.com");
    assert!(deployment(&objects, "chat-redis").is_none() && deployment(&objects, "chat-postgres").is_none());
    let secret = get(&objects, "Secret", "chat-openwebui-secret");
    assert!(matches!(&secret.treatment, Treatment::Generated(values) if values[0].key == "WEBUI_SECRET_KEY"));
    assert_eq!(
        secret.body["metadata"]["ownerReferences"],
        Value::Null,
        "it opens what is kept"
    );
}

#[test]
fn nothing_of_chat_is_left_when_it_is_off() {
    let off = stack(&format!(
        "{{{MODELS}, openwebui: {{enabled: false, replicas: 3, redis: {{enabled: true}}}}}}"
    ));
    let names: Vec<String> = Cluster::default().desired(&off).into_iter().map(|o| o.name).collect();
    assert!(
        names.iter().all(|n| n.contains("ollama") || n.contains("llama3")),
        "{names:?}"
    );
}

#[test]
fn a_stack_that_rests_keeps_everything_but_its_pods() {
    let awake = chat("replicas: 2, persistence: {accessModes: [ReadWriteMany]}");
    let mut asleep = awake.clone();
    asleep.spec.suspend = Some(true);
    let there = || Cluster::default().ready("chat-postgres").ready("chat-redis");
    let running = there().web(&there().desired(&awake), 2, 2);
    let (before, after) = (running.desired(&awake), running.desired(&asleep));
    let titles = |objects: &[Object]| -> Vec<String> { objects.iter().map(Object::title).collect() };
    assert_eq!(titles(&before), titles(&after));
    for object in after.iter().filter(|o| o.resource.kind == "Deployment") {
        assert_eq!(object.body["spec"]["replicas"], 0, "{}", object.title());
    }
    let names = ["chat-ollama", "chat-postgres", "chat-redis", "chat-openwebui"];
    let resting = names
        .iter()
        .fold(Cluster::default(), |c, name| c.workload("Deployment", name, 0, 0));
    let said = resting.status(&asleep);
    assert_eq!((&said["phase"], &said["ready"]), (&json!("Suspended"), &json!("0/0")));
    assert_eq!(condition(&said, "Ready").1, "Suspended");
    assert_eq!(condition(&said, "Reconciling").0, "False");
    assert_eq!(running.status(&asleep)["phase"], "Progressing", "pods are still going");
}
