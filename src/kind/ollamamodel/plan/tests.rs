//! The cases of the plan.

mod made;

use super::*;
use made::{at_work, derived, empty, failed, holding, one, planned, pull, server, wish};
use serde_json::json;

#[test]
fn what_is_absent_is_pulled_once() {
    let wish = wish(PullPolicy::IfNotPresent);
    assert_eq!(one(&wish, empty("a")), (1, ModelState::Pending));
    assert_eq!(
        one(&wish, at_work(empty("a"), Pull::Running(1, 2))),
        (0, ModelState::Pulling)
    );
    assert_eq!(one(&wish, at_work(empty("a"), Pull::Done)), (0, ModelState::Pending));
    assert_eq!(one(&wish, holding("a", "d", "")), (0, ModelState::Ready));
}

#[test]
fn the_policy_decides() {
    assert_eq!(one(&wish(PullPolicy::Never), empty("a")), (0, ModelState::Pending));
    let always = wish(PullPolicy::Always);
    assert_eq!(one(&always, holding("a", "d", "")), (1, ModelState::Ready));
    assert_eq!(
        one(&always, at_work(holding("a", "d", ""), Pull::Done)),
        (0, ModelState::Ready)
    );
}

#[test]
fn nothing_is_done_blindly() {
    assert_eq!(
        one(&wish(PullPolicy::Always), server("a", Inventory::Unknown)),
        (0, ModelState::Pending)
    );
    let silent = Failure {
        reason: Reason::ServerUnreachable,
        message: "m".into(),
    };
    let silent = server("a", Inventory::Silent(silent));
    assert_eq!(one(&wish(PullPolicy::IfNotPresent), silent), (0, ModelState::Pending));
    let unknown = at_work(empty("a"), failed(Reason::UnknownModel));
    assert_eq!(one(&wish(PullPolicy::IfNotPresent), unknown), (1, ModelState::Failed));
}

#[test]
fn servers_that_differ_end_on_the_newest() {
    let wish = wish(PullPolicy::IfNotPresent);
    let servers = [
        holding("a", "old", "2026-01-01"),
        holding("b", "new", "2026-02-01"),
        holding("c", "old", "2026-01-02"),
    ];
    let plan = planned(&wish, &servers);
    assert_eq!(plan.actions, [pull("a", "drift/new"), pull("c", "drift/new")]);
    assert_eq!(plan.notes[0].reason, Reason::DigestDrift);
    assert!(
        plan.replicas.iter().all(|r| r.state == ModelState::Ready),
        "they serve meanwhile"
    );
    let never = Wish {
        policy: PullPolicy::Never,
        ..wish
    };
    assert!(planned(&never, &servers).actions.is_empty());
}

#[test]
fn one_server_of_a_volume_works_for_all() {
    let shared = |server: Server| Server {
        volume: "v".into(),
        ..server
    };
    let wish = wish(PullPolicy::IfNotPresent);
    let servers = [shared(empty("a")), shared(empty("b")), empty("c")];
    assert_eq!(planned(&wish, &servers).actions, [pull("a", "u/1"), pull("c", "u/1")]);
    let servers = [
        shared(empty("a")),
        shared(at_work(empty("b"), failed(Reason::RegistryError))),
    ];
    assert_eq!(
        planned(&wish, &servers).actions,
        [pull("b", "u/1")],
        "the one that has begun goes on"
    );
    let servers = [shared(empty("a")), shared(at_work(empty("b"), Pull::Running(1, 2)))];
    assert!(planned(&wish, &servers).actions.is_empty());
}

#[test]
fn an_unexpected_digest_is_pulled_once_and_then_a_failure() {
    let wish = Wish {
        digest: Some("aa".into()),
        ..wish(PullPolicy::IfNotPresent)
    };
    assert_eq!(one(&wish, holding("a", "AA", "")), (0, ModelState::Ready));
    assert_eq!(one(&wish, holding("a", "bb", "")), (1, ModelState::Pending));
    let after = at_work(holding("a", "bb", ""), failed(Reason::DigestMismatch));
    assert_eq!(one(&wish, after), (1, ModelState::Failed));
    let never = Wish {
        policy: PullPolicy::Never,
        ..wish
    };
    let plan = planned(&never, &[holding("a", "bb", "")]);
    assert!(plan.actions.is_empty());
    assert_eq!(
        plan.replicas[0].failure.as_ref().unwrap().reason,
        Reason::DigestMismatch
    );
}

#[test]
fn a_refresh_acts_once_on_each_server() {
    let wish = Wish {
        refresh: Some("t".into()),
        ..wish(PullPolicy::IfNotPresent)
    };
    let done = Server {
        refreshed: Some("t".into()),
        ..at_work(holding("b", "d", ""), Pull::Done)
    };
    let plan = planned(&wish, &[at_work(holding("a", "d", ""), Pull::Done), done]);
    assert_eq!(plan.actions, [pull("a", "refresh/t")]);
    assert_eq!(plan.replicas[1].refreshed.as_deref(), Some("t"));
}

#[test]
fn a_lost_model_is_told_and_brought_back() {
    let wish = wish(PullPolicy::IfNotPresent);
    let had = BTreeSet::from(["a".to_string()]);
    let lost = plan(&wish, &[empty("a")], &had);
    assert_eq!((lost.notes[0].reason, lost.actions.len()), (Reason::ModelLost, 1));
    assert!(
        plan(&wish, &[empty("b")], &had).notes.is_empty(),
        "another pod never had it"
    );
    assert!(plan(&wish, &[server("a", Inventory::Unknown)], &had).notes.is_empty());
}

#[test]
fn derived_models_are_compared_made_and_copied() {
    let made = derived(json!({"name": "tiny", "from": "base", "system": "x"}));
    assert_eq!(
        planned(&made, &[empty("a")]).actions,
        [Action::Create("id-a".into(), "u/1".into())]
    );
    let there = holding("a", "d", "");
    assert_eq!(
        planned(&made, std::slice::from_ref(&there)).actions,
        [Action::Compare("id-a".into())]
    );
    let same = Server {
        made: Some(true),
        ..there.clone()
    };
    assert_eq!(one(&made, same), (0, ModelState::Ready));
    let other = Server {
        made: Some(false),
        ..at_work(there, Pull::Done)
    };
    assert_eq!(one(&made, other), (1, ModelState::Pending));
    let copied = derived(json!({"name": "tiny", "from": "base"}));
    assert_eq!(
        planned(&copied, &[empty("a")]).actions,
        [Action::Copy("id-a".into(), "u/1".into())]
    );
    let never = Wish {
        policy: PullPolicy::Never,
        ..made
    };
    assert_eq!(
        one(&never, empty("a")),
        (0, ModelState::Pending),
        "nothing brings its base"
    );
}

#[test]
fn a_model_is_loaded_once() {
    let wish = Wish {
        keep_alive: Some("-1".into()),
        ..wish(PullPolicy::IfNotPresent)
    };
    assert_eq!(
        planned(&wish, &[holding("a", "d", "")]).actions,
        [Action::Load("id-a".into())]
    );
    let warm = Server {
        loaded: Some("-1".into()),
        ..holding("a", "d", "")
    };
    assert!(planned(&wish, &[warm]).actions.is_empty());
}

#[test]
fn a_model_goes_from_every_server() {
    let servers = [
        empty("a"),
        holding("b", "d", ""),
        at_work(empty("c"), Pull::Running(1, 2)),
        server("d", Inventory::Unknown),
    ];
    let all = removal(&servers, false);
    assert_eq!(
        all.partings,
        [Parting::Delete("id-b".into()), Parting::Cancel("id-c".into())]
    );
    assert_eq!(all.silent, ["d"]);
    let kept = removal(&servers, true);
    assert_eq!(
        (kept.partings, kept.silent.len()),
        (vec![Parting::Cancel("id-c".into())], 0)
    );
    assert!(removal(&servers[..1], false).is_over());
}
