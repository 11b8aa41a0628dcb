//! How many run where load decides.

use super::*;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;

const SCALED: &str = "ollama: {replicas: 4, autoscaling: {enabled: true, minReplicas: 2, maxReplicas: 5}}";

fn autoscaler<'a>(objects: &'a [Object], name: &str) -> Option<&'a Object> {
    objects
        .iter()
        .find(|o| o.resource.kind == "HorizontalPodAutoscaler" && o.name == name)
}

#[test]
fn a_count_that_load_decides_is_not_sent() {
    let objects = Cluster::default().desired(&stack(SCALED));
    let workload = get(&objects, "Deployment", "chat-ollama");
    assert_eq!(workload.body["spec"]["replicas"], Value::Null);
    let counted = workload.counted.unwrap();
    assert_eq!((counted.least, counted.most, counted.start), (2, 5, 2));
    let scaler = &autoscaler(&objects, "chat-ollama").unwrap().body["spec"];
    assert_eq!((&scaler["minReplicas"], &scaler["maxReplicas"]), (&json!(2), &json!(5)));
    assert_eq!(scaler["scaleTargetRef"]["kind"], "Deployment");
    let budget = get(&objects, "PodDisruptionBudget", "chat-ollama");
    assert_eq!(budget.body["spec"]["maxUnavailable"], 1);
}

#[test]
fn another_kind_of_workload_begins_with_as_many_as_there_are() {
    let kept = format!(
        "{}, persistence: {{enabled: true}}}}",
        SCALED.trim_end_matches('}').to_owned() + "}"
    );
    let cluster = Cluster::default().workload("Deployment", "chat-ollama", 3, 3);
    let objects = cluster.desired(&stack(&kept));
    assert_eq!(get(&objects, "StatefulSet", "chat-ollama").counted.unwrap().start, 3);
    let target = &autoscaler(&objects, "chat-ollama").unwrap().body["spec"]["scaleTargetRef"];
    assert_eq!(target["kind"], "StatefulSet");
}

#[test]
fn the_status_counts_what_the_workload_says() {
    let cluster = Cluster::default().workload("Deployment", "chat-ollama", 3, 3);
    let status = cluster.status(&stack(SCALED));
    assert_eq!((&status["ready"], &status["phase"]), (&json!("3/3"), &json!("Ready")));
    let below = Cluster::default().workload("Deployment", "chat-ollama", 1, 1);
    assert_eq!(below.status(&stack(SCALED))["ready"], "1/2");
}

#[test]
fn an_autoscaler_without_metrics_is_told() {
    let message = "failed to get cpu utilization";
    let conditions = json!([{"type": "ScalingActive", "status": "False", "message": message}]);
    let cluster = Cluster::default().workload("Deployment", "chat-ollama", 2, 2).with(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        "chat-ollama",
        json!({"status": {"conditions": conditions}}),
    );
    assert!(find::<HorizontalPodAutoscaler>(&cluster.live, "chat-ollama").is_some());
    let status = cluster.status(&stack(SCALED));
    let told = status["ollamaStatus"]["conditions"].as_array().unwrap();
    let scaling = told.iter().find(|c| c["type"] == "Scaling").unwrap();
    assert_eq!(
        (&scaling["status"], &scaling["reason"]),
        (&json!("False"), &json!("NotScaling"))
    );
    assert!(text(&scaling["message"]).contains(message), "{scaling}");
}

#[test]
fn what_rests_is_not_woken_by_load() {
    let objects = Cluster::default().desired(&stack(&format!("suspend: true\n{SCALED}")));
    assert_eq!(autoscaler(&objects, "chat-ollama"), None);
    let workload = get(&objects, "Deployment", "chat-ollama");
    assert_eq!(
        (&workload.body["spec"]["replicas"], workload.counted),
        (&json!(0), None)
    );
}

#[test]
fn a_first_start_is_one_pods_whatever_the_load() {
    let spec = "openwebui: {enabled: true, autoscaling: {enabled: true, minReplicas: 2, maxReplicas: 3}, persistence: \
                {accessModes: [ReadWriteMany]}}";
    let inner = |cluster: Cluster| {
        let postgres = cluster.workload("Deployment", "chat-postgres", 1, 1);
        postgres.workload("Deployment", "chat-redis", 1, 1)
    };
    let bounds = |objects: &[Object]| {
        let scaler = &autoscaler(objects, "chat-openwebui").unwrap().body["spec"];
        (scaler["minReplicas"].clone(), scaler["maxReplicas"].clone())
    };
    let objects = inner(Cluster::default()).desired(&stack(spec));
    assert_eq!(bounds(&objects), (json!(1), json!(1)));
    let first = get(&objects, "Deployment", "chat-openwebui");
    assert_eq!(first.body["spec"]["replicas"], 1);
    let position = |kind: &str| {
        let is = |o: &Object| o.resource.kind == kind && o.name == "chat-openwebui";
        objects.iter().position(is)
    };
    assert!(position("HorizontalPodAutoscaler") < position("Deployment"));

    let mut migrated = inner(Cluster::default()).workload("Deployment", "chat-openwebui", 1, 1);
    let annotations = first.body["metadata"]["annotations"].clone();
    migrated.live.last_mut().unwrap().metadata.annotations = serde_json::from_value(annotations).unwrap();
    let objects = migrated.desired(&stack(spec));
    assert_eq!(bounds(&objects), (json!(2), json!(3)));
    let counted = get(&objects, "Deployment", "chat-openwebui").counted.unwrap();
    assert_eq!((counted.least, counted.most), (2, 3));
}

const ROUTED: &str = "{ollama: {models: [codellama:7b-code]}, tabby: {enabled: true, service: {port: 9000}, gateway: \
                      {parentRef: {name: web}, host: code.example.com}}}";

#[test]
fn a_route_leads_to_the_service() {
    let objects = Cluster::default().desired(&stack(ROUTED));
    let route = &get(&objects, "HTTPRoute", "chat-tabby-ingress").body;
    assert_eq!(route["apiVersion"], "gateway.networking.k8s.io/v1");
    let backend = &route["spec"]["rules"][0]["backendRefs"][0];
    assert_eq!(
        (&backend["name"], &backend["port"]),
        (&json!("chat-tabby"), &json!(9000))
    );
    let status = Cluster::default().status(&stack(ROUTED));
    assert_eq!(status["endpoints"]["tabbyPublic"], "https://code.example.com");
}

#[test]
fn what_a_gateway_says_of_the_generation_before_does_not_count() {
    let answered = |generation: i64, status: &str| {
        let said = json!([{"type": "Accepted", "status": status, "observedGeneration": generation, "reason": "r", "message": "m"}]);
        let fields = json!({"metadata": {"generation": 2}, "status": {"parents": [{"conditions": said}]}});
        let cluster = Cluster::default().with(
            "gateway.networking.k8s.io/v1",
            "HTTPRoute",
            "chat-tabby-ingress",
            fields,
        );
        let status = cluster.status(&stack(ROUTED));
        let all = status["conditions"].as_array().unwrap();
        text(&all.iter().find(|c| c["type"] == "Exposed").unwrap()["reason"])
    };
    assert_eq!(answered(1, "False"), "RouteWaiting");
    assert_eq!(answered(2, "False"), "RouteRefused");
    assert_eq!(answered(2, "True"), "Accepted");
}
