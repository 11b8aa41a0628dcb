//! What a cluster may lack.

use super::*;

#[test]
fn there_may_be_no_default_class() {
    problem(|p| p.classes = Ok(vec![]), "storage", "none of 0 is the default");
}

#[test]
fn volumes_may_not_grow_or_have_two_defaults() {
    note(
        |p| p.classes.as_mut().unwrap()[0].allow_volume_expansion = None,
        "storage",
        "its volumes cannot grow",
    );
    let twice = |p: &mut Picture| {
        let again = p.classes.as_ref().unwrap()[0].clone();
        p.classes.as_mut().unwrap().push(again);
    };
    note(twice, "storage", "several are the default");
}

#[test]
fn there_may_be_no_gpu_and_nodes_that_are_away() {
    let bare = json!({"metadata": {"name": "n"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    note(|p| p.nodes = Ok(vec![read(bare)]), "nodes", "no node offers a GPU");
    let away = json!({"metadata": {"name": "m"}, "status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}});
    problem(
        |p| p.nodes.as_mut().unwrap().push(read(away)),
        "nodes",
        "1 of 2 are Ready",
    );
}

#[test]
fn kinds_of_others_may_be_missing() {
    for (group, title) in [
        ("keda.sh", "KEDA"),
        ("cert-manager.io", "cert-manager"),
        ("gateway.networking.k8s.io", "Gateway API"),
    ] {
        let change = |p: &mut Picture| {
            p.groups.as_mut().unwrap().remove(group);
        };
        note(change, "kinds", &format!("{title}: is not there"));
    }
}
