//! What becomes of a stack as its models come, its pods start, and its manifest changes.

use super::*;
use crate::base::condition::Reason;
use crate::base::object::{Owner, Treatment, find};
use crate::base::secret::Secrets;
use crate::base::seen::{ModelState, Other};
use crate::component::ollama::GATE_OPENED;
use crate::kind::{Refusal, ollamamodel};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::core::DynamicObject;

#[cfg(test)]
mod chat;
#[cfg(test)]
mod data;
#[cfg(test)]
mod other;
#[cfg(test)]
mod reach;
#[cfg(test)]
mod trouble;

fn stack(spec: &str) -> LMDeployment {
    let spec: Value = serde_saphyr::from_str(spec).unwrap();
    let mut object = json!({
        "apiVersion": "llm.geeper.io/v1alpha1", "kind": "LMDeployment", "spec": spec,
        "metadata": {"name": "chat", "namespace": "team", "uid": "u1", "generation": 3},
    });
    LMDeployment::fill(&mut object);
    serde_json::from_value(object).unwrap()
}

/// A cluster as one stack sees it.
#[derive(Default)]
struct Cluster {
    live: Vec<DynamicObject>,
    outcome: Outcome,
    secrets: Secrets,
    other: Option<Other>,
    now: Timestamp,
}

impl Cluster {
    fn with(mut self, version: &str, kind: &str, name: &str, fields: Value) -> Self {
        let labels = json!({"app.kubernetes.io/component": name.rsplit('-').next()});
        let mut object =
            json!({"apiVersion": version, "kind": kind, "metadata": {"name": name, "generation": 1, "labels": labels}});
        crate::base::object::merge(&mut object, fields);
        self.live.push(serde_json::from_value(object).unwrap());
        self
    }

    fn workload(self, kind: &str, name: &str, replicas: i32, ready: i32) -> Self {
        let status = json!({
            "observedGeneration": 1, "replicas": replicas, "readyReplicas": ready, "updatedReplicas": ready,
        });
        self.with(
            "apps/v1",
            kind,
            name,
            json!({"spec": {"replicas": replicas}, "status": status}),
        )
    }

    /// A model in a state, failed for that reason where one is given.
    fn model(self, name: &str, state: ModelState, reason: Option<Reason>) -> Self {
        let child = ollamamodel::child_name(&owner(), &ModelName::parse(name).unwrap());
        let status = if reason.is_none() { "True" } else { "False" };
        let reason = reason.unwrap_or(Reason::ModelsReady).name();
        let condition = json!({
            "type": "Ready", "status": status, "reason": reason, "message": "m",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        });
        let fields = json!({"status": {"state": state, "conditions": [condition]}});
        self.with("ollama.smithforge.dev/v1alpha1", "OllamaModel", &child, fields)
    }

    fn gate(self, required: &str, opened: bool) -> Self {
        let annotations = if opened {
            json!({GATE_OPENED: "true"})
        } else {
            json!({})
        };
        let fields = json!({"data": {"required": required}, "metadata": {"annotations": annotations}});
        self.with("v1", "ConfigMap", "chat-ollama-models", fields)
    }

    fn pod(self, name: &str, component: &str, status: &Value) -> Self {
        let labels = json!({"app.kubernetes.io/component": component});
        self.with(
            "v1",
            "Pod",
            name,
            json!({"metadata": {"labels": labels}, "status": status}),
        )
    }

    fn claim(self, name: &str, size: &str, class: &str) -> Self {
        let spec = json!({
            "accessModes": ["ReadWriteOnce"], "storageClassName": class, "resources": {"requests": {"storage": size}},
        });
        self.with("v1", "PersistentVolumeClaim", name, json!({"spec": spec}))
    }

    fn desired(&self, stack: &LMDeployment) -> Vec<Object> {
        let settings = Settings {
            namespace: "system".into(),
            ..Settings::default()
        };
        stack.desired(&self.seen(&settings, &owner()))
    }

    fn status(&self, stack: &LMDeployment) -> Value {
        let settings = Settings::default();
        stack.status(&self.seen(&settings, &owner()), &self.outcome, self.now)
    }

    fn seen<'a>(&'a self, settings: &'a Settings, owner: &'a Owner) -> Seen<'a> {
        Seen {
            settings,
            owner,
            live: &self.live,
            replicas: &[],
            secrets: &self.secrets,
            other: self.other.as_ref(),
            now: self.now,
        }
    }

    fn required(&self, stack: &LMDeployment) -> String {
        let objects = self.desired(stack);
        text(&get(&objects, "ConfigMap", "chat-ollama-models").body["data"]["required"])
    }
}

fn owner() -> Owner {
    Owner {
        api_version: "llm.geeper.io/v1alpha1".into(),
        kind: "LMDeployment".into(),
        name: "chat".into(),
        namespace: "team".into(),
        uid: "u1".into(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().into()
}

fn has(objects: &[Object], title: &str) -> bool {
    objects.iter().any(|o| o.title() == title)
}

fn get<'a>(objects: &'a [Object], kind: &str, name: &str) -> &'a Object {
    let title = format!("{kind} {name}");
    let found = objects.iter().find(|o| o.title() == title);
    found.unwrap_or_else(|| panic!("no {title}"))
}

fn condition<'a>(status: &'a Value, kind: &str) -> (&'a str, &'a str, &'a str) {
    let all = status["conditions"].as_array().unwrap();
    let condition = all.iter().find(|c| c["type"] == kind).unwrap();
    let of = |field: &str| condition[field].as_str().unwrap();
    (of("status"), of("reason"), of("message"))
}

fn variable<'a>(object: &'a Object, name: &str) -> Vec<&'a Value> {
    let env = &object.body["spec"]["template"]["spec"]["containers"][0]["env"];
    env.as_array()
        .unwrap()
        .iter()
        .filter(|v| v["name"] == name)
        .map(|v| &v["value"])
        .collect()
}

mod gate {
    use super::*;
    use ModelState::{Failed, Pulling, Ready};

    #[test]
    fn before_it_opens_every_model_is_required_that_can_come() {
        let stack = stack("ollama: {models: [a, b, {name: c, pullPolicy: Never}, d]}");
        let cluster = Cluster::default()
            .model("a", Ready, None)
            .model("b", Failed, Some(Reason::RegistryError))
            .model("d", Failed, Some(Reason::UnknownModel));
        assert_eq!(cluster.required(&stack), "a:latest\nb:latest\n");
    }

    #[test]
    fn after_it_has_been_open_a_model_joins_when_it_is_there() {
        let before = stack("ollama: {models: [a, b]}");
        let opened = || Cluster::default().gate("a:latest\n", true);
        assert_eq!(opened().model("b", Pulling, None).required(&before), "a:latest\n");
        assert_eq!(
            opened().model("b", Ready, None).required(&before),
            "a:latest\nb:latest\n"
        );
        // What was required stays so while a new pod pulls it again.
        assert_eq!(opened().model("a", Pulling, None).required(&before), "a:latest\n");
        let after = stack("ollama: {models: [b]}");
        assert_eq!(opened().model("b", Pulling, None).required(&after), "");
    }

    #[test]
    fn a_ready_pod_is_what_opens_it_for_good() {
        let stack = stack("ollama: {models: [a]}");
        let open = |cluster: &Cluster| {
            let objects = cluster.desired(&stack);
            let map = get(&objects, "ConfigMap", "chat-ollama-models");
            map.body["metadata"]["annotations"][GATE_OPENED] == "true"
        };
        let closed = || Cluster::default().gate("a:latest\n", false);
        assert!(!open(&closed().workload("Deployment", "chat-ollama", 1, 0)));
        assert!(open(&closed().workload("Deployment", "chat-ollama", 1, 1)));
        assert!(open(&Cluster::default().gate("a:latest\n", true)));
    }

    #[test]
    fn a_model_in_other_case_is_the_same_model() {
        let stack = stack("ollama: {models: [Llama3, LLAMA3]}");
        let objects = Cluster::default().desired(&stack);
        assert_eq!(objects.iter().filter(|o| o.resource.kind == "OllamaModel").count(), 1);
    }
}

mod tabby {
    use super::*;
    use ModelState::{Failed, Ready};

    const SPEC: &str = "{ollama: {models: ['codellama:7b']}, tabby: {enabled: true}}";

    #[test]
    fn it_starts_when_its_models_are_there_and_then_stays() {
        let stack = stack(SPEC);
        let starts = |cluster: &Cluster| has(&cluster.desired(&stack), "Deployment chat-tabby");
        assert!(!starts(&Cluster::default()));
        let open = || Cluster::default().gate("codellama:7b\n", true);
        let first = || open().model("codellama:7b", Ready, None);
        assert!(!starts(&open()));
        assert!(!starts(&first()));
        assert!(starts(&first().model("nomic-embed-text", Ready, None)));
        // Models that are there are of no use to it while nobody is let in to them.
        let closed = Cluster::default().model("codellama:7b", Ready, None);
        assert!(!starts(&closed.model("nomic-embed-text", Ready, None)));
        let lost = Cluster::default().model("codellama:7b", Failed, Some(Reason::UnknownModel));
        assert!(starts(&lost.workload("Deployment", "chat-tabby", 1, 1)));
    }

    #[test]
    fn on_another_ollama_it_asks_that_one_and_implies_no_model() {
        let stack = stack(
            "{ollama: {models: [codellama]}, tabby: {enabled: true, ollamaServiceName: other, ollamaServicePort: 80}}",
        );
        let objects = Cluster::default().desired(&stack);
        assert!(has(&objects, "Deployment chat-tabby"));
        assert_eq!(objects.iter().filter(|o| o.resource.kind == "OllamaModel").count(), 1);
        let config = text(&get(&objects, "ConfigMap", "chat-tabby-config").body["data"]["config.toml"]);
        assert!(config.contains("http://other:80/v1"), "{config}");
    }

    #[test]
    fn naming_the_stacks_own_service_changes_nothing() {
        let named =
            stack("{ollama: {models: ['codellama:7b']}, tabby: {enabled: true, ollamaServiceName: chat-ollama}}");
        assert_eq!(
            Cluster::default().desired(&named),
            Cluster::default().desired(&stack(SPEC))
        );
    }

    #[test]
    fn a_changed_port_of_ollama_reaches_it() {
        let stack = stack("{ollama: {models: ['codellama:7b'], servicePort: 80}, tabby: {enabled: true}}");
        let objects = Cluster::default().desired(&stack);
        let config = text(&get(&objects, "ConfigMap", "chat-tabby-config").body["data"]["config.toml"]);
        assert!(config.contains("http://chat-ollama:80/v1"), "{config}");
    }

    #[test]
    fn its_claim_is_as_large_as_an_older_manifest_says_and_keeps_what_it_was_made_with() {
        let stack = stack(
            "{ollama: {models: [codellama]}, tabby: {enabled: true, persistence: {enabled: true}, resources: {requests: {storage: 30Gi, cpu: 1}}}}",
        );
        let size = |cluster: &Cluster| {
            get(&cluster.desired(&stack), "PersistentVolumeClaim", "chat-tabby-data").body["spec"].clone()
        };
        assert_eq!(size(&Cluster::default())["resources"]["requests"]["storage"], "30Gi");
        let live = size(&Cluster::default().claim("chat-tabby-data", "40Gi", "slow"));
        assert_eq!(live["resources"]["requests"]["storage"], "40Gi");
        assert_eq!(live["storageClassName"], "slow");
    }

    #[test]
    fn what_opens_its_accounts_is_kept_with_them() {
        let secret = |spec: &str| {
            let objects = Cluster::default().desired(&stack(spec));
            get(&objects, "Secret", "chat-tabby-secret").clone()
        };
        let owned = |secret: &Object| secret.body["metadata"]["ownerReferences"].is_array();
        assert!(owned(&secret(SPEC)));
        let kept = "{ollama: {models: [codellama]}, tabby: {enabled: true, persistence: {enabled: true}}}";
        assert!(!owned(&secret(kept)));
        assert!(matches!(secret(kept).treatment, Treatment::Generated(_)));
        assert!(owned(&secret(
            &kept.replace("enabled: true}}", "enabled: true, retain: false}}")
        )));
    }

    #[test]
    fn several_servers_keep_their_visitors_apart() {
        let affinity = |spec: &str| {
            let objects = Cluster::default().desired(&stack(spec));
            get(&objects, "Service", "chat-tabby").body["spec"]["sessionAffinity"].clone()
        };
        assert_eq!(affinity(SPEC), Value::Null);
        assert_eq!(
            affinity("{ollama: {models: [codellama]}, tabby: {enabled: true, replicas: 2}}"),
            "ClientIP"
        );
    }
}

mod pods {
    use super::*;

    fn deployment(spec: &str) -> Object {
        get(&Cluster::default().desired(&stack(spec)), "Deployment", "chat-ollama").clone()
    }

    #[test]
    fn no_variable_stands_twice() {
        let object = deployment(
            "
            ollama:
              numParallel: 2
              env: [{name: OLLAMA_HOST, value: evil}, {name: OLLAMA_NO_CLOUD, value: '0'}, {name: A, value: first}]
              envVars: [{name: A, value: last}, {name: OLLAMA_NUM_PARALLEL, value: '9'}]
            ",
        );
        assert_eq!(variable(&object, "OLLAMA_HOST"), ["0.0.0.0:11434"]);
        assert_eq!(variable(&object, "OLLAMA_NUM_PARALLEL"), ["2"]);
        assert_eq!(variable(&object, "OLLAMA_NO_CLOUD"), ["0"]);
        assert_eq!(variable(&object, "A"), ["last"]);
    }

    #[test]
    fn a_gpu_is_hidden_only_from_those_who_ask_for_none() {
        let hidden = |spec: &str| variable(&deployment(spec), "NVIDIA_VISIBLE_DEVICES").len() == 1;
        assert!(hidden("ollama: {}"));
        assert!(!hidden("ollama: {gpu: {vendor: nvidia}}"));
        assert!(!hidden("ollama: {resources: {limits: {nvidia.com/gpu: 1}}}"));
        assert!(!hidden("ollama: {runtimeClassName: nvidia}"));
    }

    #[test]
    fn a_part_of_a_gpu_is_on_the_same_nodes_as_a_whole_one() {
        let object = deployment("ollama: {gpu: {vendor: nvidia, resourceName: nvidia.com/mig-1g.10gb}}");
        let spec = &object.body["spec"]["template"]["spec"];
        let keys: Vec<&Value> = spec["tolerations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|t| &t["key"])
            .collect();
        assert_eq!(keys, ["nvidia.com/gpu", "nvidia.com/mig-1g.10gb"]);
        assert_eq!(
            spec["containers"][0]["resources"]["limits"],
            json!({"nvidia.com/mig-1g.10gb": 1})
        );
    }

    #[test]
    fn resources_are_those_of_the_manifest_without_storage() {
        let object =
            deployment("ollama: {resources: {requests: {cpu: 1, storage: 9Gi}}, gpu: {vendor: amd, count: 2}}");
        let container = &object.body["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(
            container["resources"],
            json!({"requests": {"cpu": 1}, "limits": {"amd.com/gpu": 2}})
        );
        assert_eq!(container["image"], "ollama/ollama:0.32.15-rocm");
        let only = deployment("ollama: {resources: {requests: {cpu: 1}}}");
        let container = &only.body["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["resources"], json!({"requests": {"cpu": 1}}));
    }

    #[test]
    fn the_pods_of_a_rollout_fit_where_there_is_no_spare_room() {
        let strategy = |spec: &str| deployment(spec).body["spec"]["strategy"].clone();
        let rolling = |surge: i32| json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": 1 - surge}});
        assert_eq!(strategy("ollama: {}"), rolling(1));
        assert_eq!(strategy("ollama: {gpu: {vendor: nvidia}}"), rolling(0));
        assert_eq!(
            strategy("ollama: {resources: {limits: {nvidia.com/gpu: 1}}}"),
            rolling(0)
        );
        let one = "ollama: {persistence: {enabled: true, existingClaim: mine}}";
        assert_eq!(strategy(one), json!({"type": "Recreate"}));
        let many = "ollama: {persistence: {enabled: true, existingClaim: mine, accessModes: [ReadWriteMany]}}";
        assert_eq!(strategy(many), rolling(1));
    }

    #[test]
    fn a_stopping_pod_drains_within_its_grace() {
        let of = |seconds: i32| {
            let object = deployment(&format!("ollama: {{drainSeconds: {seconds}}}"));
            let spec = object.body["spec"]["template"]["spec"].clone();
            (
                spec["containers"][0]["lifecycle"].clone(),
                spec["terminationGracePeriodSeconds"].clone(),
            )
        };
        assert_eq!(of(90), (json!({"preStop": {"sleep": {"seconds": 90}}}), json!(100)));
        assert_eq!(of(0), (Value::Null, json!(10)));
        assert_eq!(of(-100), (Value::Null, json!(10)));
    }

    #[test]
    fn labels_of_the_manifest_do_not_replace_ours() {
        let object = deployment("ollama: {podLabels: {app: mine, llm-deployment: other, team: ml}}");
        let labels = &object.body["spec"]["template"]["metadata"]["labels"];
        assert_eq!(
            (&labels["app"], &labels["llm-deployment"], &labels["team"]),
            (&json!("ollama"), &json!("chat"), &json!("ml"))
        );
        assert_eq!(labels["app.kubernetes.io/version"], Value::Null);
    }

    #[test]
    fn what_is_no_label_is_not_made_one() {
        let version = |image: &str| {
            deployment(&format!("ollama: {{image: '{image}'}}")).body["metadata"]["labels"]["app.kubernetes.io/version"]
                .clone()
        };
        assert_eq!(version("a:1.0"), "1.0");
        assert_eq!(version("a:1.0-"), Value::Null);
        assert_eq!(
            version("a@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            Value::Null
        );
    }
}

mod network {
    use super::*;

    fn ingress(spec: &str) -> Value {
        let objects = Cluster::default().desired(&stack(spec));
        get(&objects, "NetworkPolicy", "chat-ollama").body["spec"]["ingress"].clone()
    }

    const FROM: &str = "networkPolicy: {from: [{podSelector: {}}]}";

    #[test]
    fn those_who_must_reach_ollama_always_may() {
        let peers = ingress(&format!(
            "{{ollama: {{models: [codellama]}}, tabby: {{enabled: true}}, {FROM}}}"
        ));
        let peers = peers[0]["from"].as_array().unwrap().clone();
        assert_eq!(peers.len(), 3);
        assert_eq!(
            peers[1]["podSelector"]["matchLabels"]["app.kubernetes.io/component"],
            "tabby"
        );
        assert_eq!(
            peers[1]["podSelector"]["matchLabels"]["app.kubernetes.io/instance"],
            "chat"
        );
        let operator = &peers[2]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"];
        assert_eq!(operator, "system");
        let alone = ingress(&format!("{{ollama: {{models: [codellama]}}, {FROM}}}"));
        assert_eq!(alone[0]["from"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn without_a_list_everyone_may() {
        assert_eq!(ingress("ollama: {}")[0]["from"], Value::Null);
        let none = stack("{ollama: {}, networkPolicy: {enabled: false}}");
        assert!(!has(&Cluster::default().desired(&none), "NetworkPolicy chat-ollama"));
    }
}

mod storage {
    use super::*;

    const KEPT: &str = "ollama: {replicas: 2, persistence: {enabled: true, size: 10Gi}}";

    #[test]
    fn what_a_claim_cannot_follow_is_told() {
        let settings = Settings::default();
        let cluster =
            Cluster::default()
                .claim("data-chat-ollama-0", "20Gi", "slow")
                .claim("chat-tabby-data", "1Gi", "slow");
        let said = |spec: &str| -> Vec<String> {
            let issues = stack(spec).check_live(&cluster.seen(&settings, &owner()));
            assert!(
                issues.iter().all(|i| !i.fatal),
                "the stack goes on with the claims as they are"
            );
            issues.iter().map(ToString::to_string).collect()
        };
        assert_eq!(said(KEPT), [""; 0], "a larger claim of the cluster's own class is fine");
        assert_eq!(
            said("ollama: {persistence: {enabled: true, storageClass: fast}}"),
            [
                "spec.ollama.persistence.storageClass: Invalid value: \"fast\": PersistentVolumeClaim data-chat-ollama-0 \
              has \"slow\" and keeps it: put that here, or delete the claim with its data"
            ]
        );
        let shared = "tabby: {enabled: true, persistence: {enabled: true, accessModes: [ReadWriteMany]}}";
        let shared = said(&format!("{{ollama: {{models: [a]}}, {shared}}}"));
        assert!(
            shared.len() == 1 && shared[0].contains("chat-tabby-data has [\"ReadWriteOnce\"]"),
            "{shared:?}"
        );
        assert_eq!(
            said("ollama: {persistence: {enabled: true, storageClass: slow}}"),
            [""; 0]
        );
    }

    fn template(objects: &[Object]) -> Value {
        get(objects, "StatefulSet", "chat-ollama").body["spec"]["volumeClaimTemplates"][0]["spec"].clone()
    }

    #[test]
    fn claims_grow_one_by_one_and_templates_stay() {
        let live = json!({"spec": {"replicas": 2, "volumeClaimTemplates": [{
            "metadata": {"name": "data", "creationTimestamp": null}, "status": {"phase": "Pending"},
            "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "slow", "volumeMode": "Filesystem",
                     "resources": {"requests": {"storage": "5Gi"}}},
        }]}});
        let cluster = Cluster::default()
            .with("apps/v1", "StatefulSet", "chat-ollama", live)
            .claim("data-chat-ollama-0", "5Gi", "slow")
            .claim("data-chat-ollama-1", "10Gi", "slow")
            .claim("other", "1Gi", "slow");
        let objects = cluster.desired(&stack(KEPT));
        let grown: Vec<&Object> = objects
            .iter()
            .filter(|o| o.resource.kind == "PersistentVolumeClaim")
            .collect();
        assert_eq!(grown.len(), 1);
        assert_eq!(grown[0].name, "data-chat-ollama-0");
        assert_eq!(
            grown[0].body["spec"],
            json!({"resources": {"requests": {"storage": "10Gi"}}})
        );
        assert_eq!(
            template(&objects),
            json!({"accessModes": ["ReadWriteOnce"], "storageClassName": "slow", "resources": {"requests": {"storage": "5Gi"}}})
        );
    }

    #[test]
    fn what_is_sent_again_is_what_was_sent_first() {
        let stack = stack(KEPT);
        let first = Cluster::default().desired(&stack);
        let body = get(&first, "StatefulSet", "chat-ollama").body.clone();
        let mut stored = body.clone();
        stored["spec"]["volumeClaimTemplates"][0]["spec"]["volumeMode"] = "Filesystem".into();
        stored["spec"]["volumeClaimTemplates"][0]["status"] = json!({"phase": "Pending"});
        let cluster = Cluster {
            live: vec![serde_json::from_value(stored).unwrap()],
            ..Cluster::default()
        };
        assert_eq!(get(&cluster.desired(&stack), "StatefulSet", "chat-ollama").body, body);
    }

    #[test]
    fn claims_that_are_not_used_are_left_alone() {
        let cluster = || Cluster::default().claim("data-chat-ollama-0", "5Gi", "slow");
        for spec in ["ollama: {}", "ollama: {persistence: {enabled: true, existingClaim: x}}"] {
            let objects = cluster().desired(&stack(spec));
            assert!(
                objects.iter().all(|o| o.resource.kind != "PersistentVolumeClaim"),
                "{spec}"
            );
        }
        assert!(find::<PersistentVolumeClaim>(&cluster().live, "data-chat-ollama-0").is_some());
    }

    #[test]
    fn claims_go_with_the_object_only_where_that_is_asked_for() {
        let policy = |spec: &str| {
            let objects = Cluster::default().desired(&stack(spec));
            get(&objects, "StatefulSet", "chat-ollama").body["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"].clone()
        };
        assert_eq!(policy(KEPT), "Retain");
        assert_eq!(
            policy("ollama: {persistence: {enabled: true, retain: false}}"),
            "Delete"
        );
    }
}

mod switching {
    use super::*;

    const NEW: &str = "ollama: {replicas: 2, models: [a], persistence: {enabled: true}}";

    fn old_stays(cluster: &Cluster, spec: &str) -> bool {
        let objects = cluster.desired(&stack(spec));
        assert!(get(&objects, "StatefulSet", "chat-ollama").treatment == Treatment::Applied);
        let old = objects.iter().find(|o| o.title() == "Deployment chat-ollama");
        old.is_some_and(|o| o.treatment == Treatment::Kept)
    }

    fn both(ready: i32) -> Cluster {
        Cluster::default()
            .workload("Deployment", "chat-ollama", 2, 2)
            .workload("StatefulSet", "chat-ollama", 2, ready)
    }

    #[test]
    fn the_old_workload_goes_when_the_new_one_is_ready() {
        assert!(old_stays(
            &Cluster::default().workload("Deployment", "chat-ollama", 2, 2),
            NEW
        ));
        assert!(old_stays(&both(1), NEW));
        assert!(!old_stays(&both(2), NEW));
        assert!(find::<Deployment>(&both(2).live, "chat-ollama").is_some());
        assert!(find::<StatefulSet>(&both(2).live, "chat-ollama").is_some());
    }

    #[test]
    fn it_goes_first_where_there_is_no_room_for_both() {
        assert!(!old_stays(
            &both(0),
            "ollama: {replicas: 2, persistence: {enabled: true}, gpu: {vendor: nvidia}}"
        ));
        let unscheduled = |message: &str| {
            let condition = json!({
                "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
            });
            json!({"conditions": [condition]})
        };
        let stuck = unscheduled("0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate");
        assert!(!old_stays(&both(0).pod("chat-ollama-0", "ollama", &stuck), NEW));
        // A claim that the scheduler has not seen yet comes by itself.
        let early = unscheduled("persistentvolumeclaim \"data-chat-ollama-0\" not found");
        assert!(old_stays(&both(0).pod("chat-ollama-0", "ollama", &early), NEW));
        // Tabby's trouble is not Ollama's.
        assert!(old_stays(&both(0).pod("chat-tabby-x", "tabby", &stuck), NEW));
    }

    #[test]
    fn meanwhile_the_stack_is_on_its_way_and_still_serves() {
        let ready = both(0).model("a", ModelState::Ready, None);
        let status = ready.status(&stack(NEW));
        assert_eq!(
            (&status["ready"], &status["phase"]),
            (&json!("2/2"), &json!("Progressing"))
        );
        assert_eq!(condition(&status, "Ready").0, "False");
    }
}

mod status {
    use super::*;
    use ModelState::{Failed, Pending, Ready};

    const SPEC: &str = "ollama: {replicas: 2, models: [a]}";

    fn running(ready: i32) -> Cluster {
        Cluster::default().workload("Deployment", "chat-ollama", 2, ready)
    }

    #[test]
    fn phases_follow_the_replicas() {
        let phase = |cluster: Cluster| text(&cluster.status(&stack(SPEC))["phase"]);
        assert_eq!(phase(Cluster::default()), "Pending");
        assert_eq!(phase(running(0)), "Pending");
        assert_eq!(phase(running(1)), "Progressing");
        assert_eq!(phase(running(2)), "Ready");
    }

    #[test]
    fn a_stack_that_is_as_it_should_be() {
        let status = running(2).model("a", Ready, None).status(&stack(SPEC));
        for (kind, expected) in [
            ("Ready", "True"),
            ("ModelsReady", "True"),
            ("Valid", "True"),
            ("Reconciling", "False"),
            ("Progressing", "False"),
            ("Stalled", "False"),
            ("Degraded", "False"),
        ] {
            assert_eq!(condition(&status, kind).0, expected, "{kind}");
        }
        assert_eq!(
            (&status["ready"], &status["modelsReady"]),
            (&json!("2/2"), &json!("1/1"))
        );
        assert_eq!(status["observedGeneration"], 3);
        assert_eq!(status["endpoints"]["ollama"], "http://chat-ollama.team.svc:11434");
        assert_eq!(status["effectiveImages"]["ollama"], "ollama/ollama:0.32.15");
    }

    #[test]
    fn a_rollout_is_not_the_end_of_it() {
        let mut cluster = running(2).model("a", Ready, None);
        cluster.live[0].metadata.generation = Some(2);
        let status = cluster.status(&stack(SPEC));
        assert_eq!(
            condition(&status, "Ready"),
            ("False", "RollingOut", "2 of 2 replicas are ready")
        );
        assert_eq!(condition(&status, "Reconciling").0, "True");
    }

    #[test]
    fn what_its_author_must_mend_is_stalled_and_the_pods_serve_on() {
        let unknown = || running(2).model("a", Failed, Some(Reason::UnknownModel));
        let status = unknown().status(&stack(SPEC));
        assert_eq!(condition(&status, "Stalled").1, "UnknownModel");
        assert_eq!(condition(&status, "Reconciling").0, "False");
        assert_eq!(condition(&status, "Degraded").0, "True");
        assert_eq!(status["phase"], "Ready");
        // A registry that is away may come back.
        let status = running(2)
            .model("a", Failed, Some(Reason::RegistryError))
            .status(&stack(SPEC));
        assert_eq!(condition(&status, "Stalled").0, "False");
        assert_eq!(condition(&status, "Reconciling").0, "True");
        // Tabby waits for the model in vain, which is no rollout.
        let tabby = "{ollama: {replicas: 2, models: [a]}, tabby: {enabled: true}}";
        let status = unknown().model("nomic-embed-text", Ready, None).status(&stack(tabby));
        assert_eq!(condition(&status, "Stalled").1, "UnknownModel");
    }

    #[test]
    fn what_the_api_server_refuses_is_stalled() {
        let mut cluster = running(2).model("a", Ready, None);
        cluster.outcome.refused = vec![Refusal {
            conflict: true,
            message: "Service chat-ollama exists and is not ours".into(),
        }];
        let status = cluster.status(&stack(SPEC));
        for kind in ["Stalled", "Ready"] {
            assert_eq!(condition(&status, kind).1, "Conflict");
        }
        assert_eq!(
            condition(&status, "Ready").2,
            "Service chat-ollama exists and is not ours"
        );
    }

    #[test]
    fn what_cannot_be_followed_is_failed_and_what_is_merely_wrong_is_told() {
        let mut cluster = running(2).model("a", Ready, None);
        let issue = || Issue::invalid("spec.ollama.replicas", "bounds", 11, "must be 1 to 10");
        cluster.outcome.review.issues = vec![issue()];
        let status = cluster.status(&stack(SPEC));
        assert_eq!(
            condition(&status, "Valid"),
            (
                "False",
                "Invalid",
                "spec.ollama.replicas: Invalid value: 11: must be 1 to 10"
            )
        );
        assert_eq!(
            (condition(&status, "Ready").0, &status["phase"]),
            ("True", &json!("Ready"))
        );
        cluster.outcome.review.issues = vec![issue().fatal()];
        let status = cluster.status(&stack(SPEC));
        assert_eq!(
            (condition(&status, "Stalled").1, &status["phase"]),
            ("Invalid", &json!("Failed"))
        );
    }

    #[test]
    fn a_model_that_nobody_pulls_is_said_to_be_such() {
        let stack = stack("ollama: {replicas: 2, models: [{name: a, pullPolicy: Never}]}");
        let status = running(2).model("a", Pending, Some(Reason::NotPulled)).status(&stack);
        assert_eq!(
            condition(&status, "ModelsReady"),
            (
                "False",
                "NotPulled",
                "not on every server yet: a:latest (pullPolicy is Never)"
            )
        );
    }

    #[test]
    fn replicas_beyond_counting_are_counted_as_many() {
        let mut stack = stack("{ollama: {models: [a]}, tabby: {enabled: true}}");
        stack.spec.ollama.as_mut().unwrap().replicas = Some(i32::MAX);
        assert_eq!(Cluster::default().status(&stack)["totalReplicas"], i32::MAX);
    }
}
