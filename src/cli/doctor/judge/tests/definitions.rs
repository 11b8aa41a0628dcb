//! What can be wrong with the definitions of our kinds.

use super::*;

fn first(p: &mut Picture, change: impl FnOnce(&mut Value)) {
    let mut value = json!(p.definitions[0].1.as_ref().unwrap());
    change(&mut value);
    p.definitions[0].1 = Ok(Some(read(value)));
}

#[test]
fn one_may_be_missing() {
    let change = |p: &mut Picture| p.definitions[0].1 = Ok(None);
    let found = problem(change, "definitions", "lmdeployments.llm.geeper.io: is not there");
    assert!(found.remedy.unwrap().contains("llm-operator crd | kubectl apply"));
}

#[test]
fn an_older_name_may_be_left_out_on_purpose() {
    let change = |p: &mut Picture| {
        p.installation.legacy = false;
        p.definitions[1].1 = Ok(None);
    };
    note(change, "definitions", "ollamadeployments.llm.geeper.io: is not there");
    problem(
        |p| p.definitions[1].1 = Ok(None),
        "definitions",
        "ollamadeployments.llm.geeper.io: is not there",
    );
}

#[test]
fn one_may_be_of_another_version() {
    let path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/ollama/properties/replicas";
    let change = |p: &mut Picture| first(p, |d| d.pointer_mut(path).unwrap()["maximum"] = 3.into());
    let found = problem(change, "definitions", "is not that of llm-operator");
    assert!(found.field.unwrap().ends_with("ollama.properties.replicas.maximum"));
    assert_eq!(found.value.as_deref(), Some("3.0"));
}

#[test]
fn one_may_not_be_in_use() {
    problem(
        |p| first(p, |d| d["spec"]["versions"][0]["served"] = false.into()),
        "definitions",
        "must be served",
    );
    let refused = json!({"type": "NamesAccepted", "status": "False", "reason": "r", "message": "taken by another"});
    let change = |p: &mut Picture| first(p, |d| d["status"]["conditions"] = json!([refused]));
    problem(change, "definitions", "taken by another");
    let other = |p: &mut Picture| first(p, |d| d["spec"]["versions"][0]["name"] = "v9".into());
    problem(other, "definitions", "has no version v1alpha1");
    let stored = |p: &mut Picture| first(p, |d| d["status"]["storedVersions"] = json!(["v1alpha1", "v0"]));
    note(stored, "definitions", "may still be stored as v0");
}
