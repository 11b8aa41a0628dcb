//! What is kept of a part that is off, what is said of it, and what goes with it.

use super::*;
use crate::base::object::RETAINED_FOR;

impl Cluster {
    /// A claim or a Secret that outlives its part.
    fn kept(self, kind: &str, name: &str, component: &str) -> Self {
        let labels = json!({"app.kubernetes.io/component": component});
        let meta = json!({"labels": labels, "annotations": {RETAINED_FOR: "LMDeployment/chat"}});
        let spec = json!({"resources": {"requests": {"storage": "1Gi"}}});
        self.with("v1", kind, name, json!({"metadata": meta, "spec": spec}))
    }

    /// A claim that goes with its part.
    fn owned(self, name: &str, component: &str) -> Self {
        let labels = json!({"app.kubernetes.io/component": component});
        let owner =
            json!([{"apiVersion": "llm.geeper.io/v1alpha1", "kind": "LMDeployment", "name": "chat", "uid": "u1"}]);
        let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "3Gi"}}});
        self.with(
            "v1",
            "PersistentVolumeClaim",
            name,
            json!({"metadata": {"labels": labels, "ownerReferences": owner}, "spec": spec}),
        )
    }
}

fn retained(cluster: &Cluster, spec: &str) -> Vec<String> {
    let status = cluster.status(&stack(spec));
    let all = status["retained"].as_array().cloned().unwrap_or_default();
    all.iter()
        .map(|kept| format!("{} {}", text(&kept["kind"]), text(&kept["name"])))
        .collect()
}

fn everything() -> Cluster {
    Cluster::default()
        .kept("PersistentVolumeClaim", "chat-openwebui-data", "openwebui")
        .kept("Secret", "chat-openwebui-secret", "openwebui")
        .kept("PersistentVolumeClaim", "chat-postgres-data", "postgres")
        .kept("Secret", "chat-postgres-secret", "postgres")
        .kept("PersistentVolumeClaim", "chat-redis-data", "redis")
        .kept("PersistentVolumeClaim", "chat-pipelines-data", "pipelines")
        .kept("PersistentVolumeClaim", "chat-tabby-data", "tabby")
        .kept("Secret", "chat-tabby-secret", "tabby")
        .kept("PersistentVolumeClaim", "data-chat-ollama-0", "ollama")
        .kept("PersistentVolumeClaim", "data-chat-ollama-1", "ollama")
}

const ALL: &str = "
    ollama: {models: [codellama], replicas: 2, persistence: {enabled: true}}
    openwebui:
      enabled: true
      redis: {enabled: true, persistence: {enabled: true}}
      database: {enabled: true}
      pipelines: {enabled: true, persistence: {enabled: true}}
    tabby: {enabled: true, persistence: {enabled: true}}
    ";

#[test]
fn what_nothing_uses_is_named() {
    assert_eq!(retained(&everything(), ALL), [""; 0]);
    assert_eq!(retained(&everything(), &format!("{ALL}\n    suspend: true")), [""; 0]);
    let off = "{ollama: {models: [codellama], persistence: {enabled: true}}, openwebui: {enabled: false}}";
    assert_eq!(
        retained(&everything(), off),
        [
            "PersistentVolumeClaim chat-openwebui-data",
            "PersistentVolumeClaim chat-pipelines-data",
            "PersistentVolumeClaim chat-postgres-data",
            "PersistentVolumeClaim chat-redis-data",
            "PersistentVolumeClaim chat-tabby-data",
            "PersistentVolumeClaim data-chat-ollama-1",
            "Secret chat-openwebui-secret",
            "Secret chat-postgres-secret",
            "Secret chat-tabby-secret",
        ]
    );
    let one = everything().status(&stack(off))["retained"][0].clone();
    let told = json!({
        "kind": "PersistentVolumeClaim", "name": "chat-openwebui-data", "component": "openwebui", "size": "1Gi",
    });
    assert_eq!(one, told);
}

#[test]
fn what_goes_with_its_part_is_not_said_to_be_kept() {
    let cluster = Cluster::default().owned("chat-tabby-data", "tabby");
    assert_eq!(retained(&cluster, "ollama: {models: [codellama]}"), [""; 0]);
}

#[test]
fn a_claim_that_is_to_stay_after_all_is_made_to_before_its_part_goes() {
    let claim = |tabby: &str| {
        let stack = stack(&format!("{{ollama: {{models: [codellama]}}, tabby: {tabby}}}"));
        let objects = Cluster::default().owned("chat-tabby-data", "tabby").desired(&stack);
        objects
            .into_iter()
            .find(|o| o.title() == "PersistentVolumeClaim chat-tabby-data")
    };
    let gone = "{enabled: false, persistence: {enabled: true, retain: false}}";
    assert_eq!(claim(gone), None, "it is pruned");
    let kept = claim("{enabled: false, persistence: {enabled: true}}").unwrap();
    assert_eq!(kept.body["metadata"]["ownerReferences"], Value::Null);
    assert_eq!(kept.body["spec"]["resources"]["requests"]["storage"], "3Gi", "as it is");
}

#[test]
fn a_change_that_takes_data_away_says_so() {
    let off = "{ollama: {models: [codellama]}, openwebui: {enabled: false}, tabby: {enabled: false}}";
    let warned = |before: &str, after: &str| {
        let review = stack(after).check(Some(&stack(before)), &Settings::default());
        let lost = review.warnings.into_iter().filter(|w| w.text.contains("retain"));
        lost.map(|w| w.text.split(':').next().unwrap_or_default().to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(warned(ALL, off), [""; 0], "it is kept");
    let going = ALL.replace("{enabled: true}", "{enabled: true, retain: false}");
    assert_eq!(
        warned(&going, off),
        [
            "spec.openwebui.redis",
            "spec.openwebui.pipelines",
            "spec.tabby",
            "spec.ollama"
        ]
    );
    assert_eq!(warned(&going, &going), [""; 0]);
    let saved = "{ollama: {persistence: {enabled: true}, models: [codellama]}, tabby: {persistence: {enabled: true}}}";
    assert_eq!(
        warned(&going, saved),
        ["spec.openwebui.redis", "spec.openwebui.pipelines"]
    );
}
