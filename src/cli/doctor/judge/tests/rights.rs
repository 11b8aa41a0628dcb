//! What can be wrong with rights: those of the operator, and those of who asks.

use super::*;

#[test]
fn one_may_be_missing() {
    let change = |p: &mut Picture| {
        let right = p
            .rights
            .iter_mut()
            .find(|right| right.need.resource == "statefulsets")
            .unwrap();
        right.lacking = Ok(vec!["create", "patch"]);
    };
    problem(
        change,
        "rights",
        "may not create, patch statefulsets of apps in all namespaces",
    );
}

#[test]
fn they_may_be_nobodys_business() {
    let change = |p: &mut Picture| {
        for right in &mut p.rights {
            right.lacking = Err("subjectaccessreviews is forbidden".into());
        }
    };
    note(change, "rights", "was not looked at: subjectaccessreviews is forbidden");
}

#[test]
fn you_may_lack_some_yourself() {
    note(
        |p| p.own = Ok(false),
        "rights",
        "you: may not create LMDeployments in the namespace ops",
    );
}
