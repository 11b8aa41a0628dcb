//! What the operator may do, and what whoever asks may do.

use crate::cli::doctor::finding::Finding;
use crate::cli::doctor::needs::Need;
use crate::cli::doctor::picture::Picture;

const PART: &str = "rights";

pub(super) fn findings(picture: &Picture) -> Vec<Finding> {
    let account = format!(
        "ServiceAccount {}/{}",
        picture.installation.namespace(),
        picture.installation.account
    );
    let mut found = vec![];
    let mut unanswered = vec![];
    for right in &picture.rights {
        match &right.lacking {
            Err(why) => unanswered.push(why),
            Ok(verbs) if verbs.is_empty() => {}
            Ok(verbs) => found.push(
                Finding::problem(
                    PART,
                    account.clone(),
                    format!("may not {} {}", verbs.join(", "), title(&right.need)),
                )
                .at("verbs", verbs.join(","))
                .remedy(format!(
                    "{} with rbac.create: true, or a rule of your own for this",
                    picture.installation.upgrade()
                )),
            ),
        }
    }
    // One right that could not be asked about is the same as all of them.
    if let Some(why) = unanswered.first() {
        found.push(Finding::unseen(PART, account, why));
    } else if found.is_empty() {
        let verbs: usize = picture.rights.iter().map(|right| right.need.verbs.len()).sum();
        found.push(Finding::ok(
            PART,
            account,
            format!("has all of the {verbs} rights that the operator needs"),
        ));
    }
    found.push(own(picture));
    found
}

/// Such as `deployments.apps in the namespace a`.
fn title(need: &Need) -> String {
    let mut title = need.resource.clone();
    if !need.group.is_empty() {
        title = format!("{title} of {}", need.group);
    }
    if let Some(name) = &need.name {
        title = format!("{title} named {name}");
    }
    match &need.namespace {
        Some(namespace) => format!("{title} in the namespace {namespace}"),
        None if need.name.is_none() => format!("{title} in all namespaces"),
        None => title,
    }
}

fn own(picture: &Picture) -> Finding {
    let place = &picture.trial.0;
    match &picture.own {
        Err(why) => Finding::unseen(PART, "you", why),
        Ok(true) => Finding::ok(
            PART,
            "you",
            format!("may create LMDeployments in the namespace {place}"),
        ),
        Ok(false) => Finding::note(
            PART,
            "you",
            format!("may not create LMDeployments in the namespace {place}"),
        )
        .at("verbs", "create")
        .remedy("the chart value rbac.aggregate: true adds our kinds to the cluster's edit and admin roles"),
    }
}
