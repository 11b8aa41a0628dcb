//! Two stacks of one name and different kinds: what they are made of would have the same names, so one of them waits.

use crate::base::object::{Owner, STACKS};
use crate::controller::index::Known;
use crate::kind::Refusal;
use kube::ResourceExt;
use kube::core::DynamicObject;

/// Why the stack of this owner may not be touched, where another of our kinds has it. `all` are the stacks of that name.
///
/// One that takes this one over has it from then on, even before its first step, so that nobody works against it. Else
/// whoever owns what lives has it, and where nothing lives yet, whoever was there first.
pub(super) fn refusal(owner: &Owner, live: &[DynamicObject], all: &[Known]) -> Option<Refusal> {
    let others = || all.iter().filter(|other| other.kind() != owner.kind && !other.going);
    if let Some(heir) = others().find(|other| other.takes_over == Some(own(owner))) {
        return Some(taken_over(owner, heir));
    }
    let this = all.iter().find(|one| one.uid() == owner.uid)?;
    let takes = |other: &Known| this.takes_over == Some(other.kind());
    let holds = |known: &Known| {
        live.iter()
            .any(|o| o.owner_references().iter().any(|r| r.uid == known.uid()))
    };
    // Also one that is going: until it has gone, its objects are its own.
    let all_others = all.iter().filter(|other| other.kind() != owner.kind && !takes(other));
    let holder = all_others.clone().find(|other| holds(other));
    let elder = || {
        all_others
            .clone()
            .find(|other| !other.going && other.age() < this.age() && !holds(this))
    };
    holder.or_else(elder).map(|other| conflict(owner, other))
}

fn own(owner: &Owner) -> &'static str {
    STACKS.into_iter().find(|kind| *kind == owner.kind).unwrap_or_default()
}

fn conflict(owner: &Owner, other: &Known) -> Refusal {
    let (kind, name, uid) = (other.kind(), &owner.name, other.uid());
    Refusal {
        conflict: true,
        message: format!(
            "{kind} {name} (uid {uid}) has the stack of this name, and nothing is touched: rename one of the two, delete \
             {kind} {name}, or take its stack over with the annotation llm.geeper.io/take-over-from: {kind}/{name}"
        ),
    }
}

fn taken_over(owner: &Owner, heir: &Known) -> Refusal {
    let (kind, name, uid) = (heir.kind(), &owner.name, heir.uid());
    Refusal {
        conflict: true,
        message: format!(
            "{kind} {name} (uid {uid}) has taken this stack over, and nothing is touched: delete {} {name}, which takes \
             nothing of the stack along",
            owner.kind
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn owner(kind: &str) -> Owner {
        Owner {
            api_version: "llm.geeper.io/v1alpha1".into(),
            kind: kind.into(),
            name: "chat".into(),
            namespace: "team".into(),
            uid: format!("uid of {kind}"),
        }
    }

    fn known(kind: &str, second: i64, takes_over: Option<&'static str>) -> Known {
        Known::new(&owner(kind), second, takes_over)
    }

    fn owned_by(kind: &str) -> Vec<DynamicObject> {
        let reference = owner(kind).owner_reference();
        let object = json!({"metadata": {"name": "chat-ollama", "ownerReferences": [reference]}});
        vec![serde_json::from_value(object).unwrap()]
    }

    #[track_caller]
    fn waits(kind: &str, live: &[DynamicObject], all: &[Known], why: Option<&str>) {
        let refusal = refusal(&owner(kind), live, all);
        assert_eq!(refusal.is_some(), why.is_some(), "{kind}: {refusal:?}");
        if let (Some(refusal), Some(why)) = (refusal, why) {
            assert!(
                refusal.conflict && refusal.message.starts_with(why),
                "{}",
                refusal.message
            );
        }
    }

    const NEW: &str = "LMDeployment";
    const OLD: &str = "OllamaDeployment";

    #[test]
    fn alone_nobody_waits() {
        waits(NEW, &[], &[known(NEW, 1, None)], None);
    }

    #[test]
    fn whoever_owns_the_stack_has_it_and_else_the_elder() {
        let all = [known(NEW, 1, None), known(OLD, 2, None)];
        let told = "LMDeployment chat (uid uid of LMDeployment) has the stack";
        waits(OLD, &[], &all, Some(told));
        waits(NEW, &[], &all, None);
        let live = owned_by(OLD);
        waits(OLD, &live, &all, None);
        waits(
            NEW,
            &live,
            &all,
            Some("OllamaDeployment chat (uid uid of OllamaDeployment) has the stack"),
        );
    }

    #[test]
    fn one_that_is_taken_over_waits_from_the_first_moment_on() {
        let all = [known(NEW, 2, Some(OLD)), known(OLD, 1, None)];
        for live in [vec![], owned_by(OLD), owned_by(NEW)] {
            waits(NEW, &live, &all, None);
            waits(
                OLD,
                &live,
                &all,
                Some("LMDeployment chat (uid uid of LMDeployment) has taken this stack over"),
            );
        }
    }

    #[test]
    fn two_that_take_each_other_over_both_wait() {
        let all = [known(NEW, 2, Some(OLD)), known(OLD, 1, Some(NEW))];
        waits(NEW, &owned_by(OLD), &all, Some("OllamaDeployment chat"));
        waits(OLD, &owned_by(OLD), &all, Some("LMDeployment chat"));
    }

    #[test]
    fn a_third_is_not_passed_over() {
        let all = [known(NEW, 3, Some(OLD)), known("Deployment", 1, None)];
        waits(NEW, &owned_by("Deployment"), &all, Some("Deployment chat"));
    }
}
