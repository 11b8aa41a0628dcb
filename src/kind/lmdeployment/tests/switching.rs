//! From one kind of workload to the other.

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
