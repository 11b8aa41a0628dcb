//! What can be wrong with admission.

use super::*;

fn tried(p: &mut Picture, change: impl FnOnce(&mut Trial)) {
    change(p.trial.1.as_mut().unwrap());
}

#[test]
fn a_configuration_may_be_gone() {
    problem(
        |p| p.validating = Ok(None),
        "webhooks",
        "ValidatingWebhookConfiguration",
    );
    problem(|p| p.mutating = Ok(None), "webhooks", "nothing is filled in");
}

#[test]
fn it_may_trust_nobody_or_somebody_else() {
    let wiped = |p: &mut Picture| p.validating = Ok(Some(read(configuration("checks.llm.geeper.io", &[]))));
    let found = problem(wiped, "webhooks", "trusts nobody");
    assert_eq!(
        found.field.as_deref(),
        Some("webhooks[checks.llm.geeper.io].clientConfig.caBundle")
    );
    let other = [authority().certificate];
    let other = |p: &mut Picture| p.validating = Ok(Some(read(configuration("checks.llm.geeper.io", &other))));
    problem(other, "webhooks", "does not trust what is served");
}

#[test]
fn it_may_call_somebody_else_or_let_everything_pass() {
    let trusted = [authority().certificate];
    let mut elsewhere = configuration("defaults.llm.geeper.io", &trusted);
    elsewhere["webhooks"][0]["clientConfig"]["service"]["name"] = "other".into();
    problem(
        |p| p.mutating = Ok(Some(read(elsewhere))),
        "webhooks",
        "calls no Service llm-operator-webhook.ops.svc",
    );
    let lenient = |p: &mut Picture| {
        let mut value = json!(p.validating.as_ref().unwrap());
        value["webhooks"][0]["failurePolicy"] = "Ignore".into();
        p.validating = Ok(Some(read(value)));
    };
    note(lenient, "webhooks", "objects pass unchecked while no operator answers");
}

#[test]
fn admission_may_not_work() {
    let refused = |message: &str| Err(Box::new(read(status(500, "InternalError", message))));
    let unreachable = "failed calling webhook \"checks.llm.geeper.io\": no endpoints available";
    let change = |p: &mut Picture| tried(p, |t| t.good = refused(unreachable));
    let found = problem(change, "webhooks", "no endpoints available");
    assert!(found.remedy.unwrap().contains("10250"));
    let bare = |p: &mut Picture| tried(p, |t| t.good = Ok(json!({"spec": {"ollama": {}}})));
    problem(bare, "webhooks", "was admitted, but not filled");
    problem(
        |p| tried(p, |t| t.bad = Ok(json!({}))),
        "webhooks",
        "with the model \"not a model\" was admitted",
    );
    problem(
        |p| tried(p, |t| t.bad = refused("a policy")),
        "webhooks",
        "for another cause: a policy",
    );
    problem(
        |p| tried(p, |t| t.good = refused("a quota")),
        "webhooks",
        "was not admitted: a quota",
    );
    let forbidden = |p: &mut Picture| {
        tried(p, |t| {
            t.good = Err(Box::new(read(status(403, "Forbidden", "you may not"))));
        });
    };
    note(forbidden, "webhooks", "was not looked at: you may not");
}
