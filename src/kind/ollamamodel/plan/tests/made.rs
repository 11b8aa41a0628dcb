//! Wishes and servers, for the cases of the plan.

use super::*;

pub(super) fn wish(policy: PullPolicy) -> Wish {
    Wish {
        name: ModelName::parse("tiny").unwrap(),
        policy,
        digest: None,
        derived: None,
        refresh: None,
        keep_alive: None,
        token: "u/1".into(),
    }
}

pub(super) fn derived(spec: serde_json::Value) -> Wish {
    let derived = Derived::of(&serde_json::from_value(spec).unwrap());
    Wish {
        derived,
        ..wish(PullPolicy::IfNotPresent)
    }
}

pub(super) fn server(pod: &str, inventory: Inventory) -> Server {
    Server {
        id: format!("id-{pod}"),
        pod: pod.into(),
        volume: format!("volume-{pod}"),
        inventory,
        pull: None,
        made: None,
        refreshed: None,
        changed: false,
        loaded: None,
    }
}

pub(super) fn empty(pod: &str) -> Server {
    server(pod, Inventory::Known(None, None))
}

fn held(digest: &str, modified: &str) -> Held {
    Held {
        name: "tiny:latest".into(),
        digest: digest.into(),
        size: 1,
        modified: modified.into(),
    }
}

pub(super) fn holding(pod: &str, digest: &str, modified: &str) -> Server {
    server(pod, Inventory::Known(Some(held(digest, modified)), None))
}

pub(super) fn at_work(server: Server, pull: Pull) -> Server {
    Server {
        pull: Some(pull),
        ..server
    }
}

pub(super) fn failed(reason: Reason) -> Pull {
    Pull::Waiting(Some(Failure {
        reason,
        message: "m".into(),
    }))
}

pub(super) fn planned(wish: &Wish, servers: &[Server]) -> Plan {
    plan(wish, servers, &BTreeSet::new())
}

pub(super) fn one(wish: &Wish, server: Server) -> (usize, ModelState) {
    let plan = planned(wish, &[server]);
    (plan.actions.len(), plan.replicas[0].state)
}

pub(super) fn pull(pod: &str, token: &str) -> Action {
    Action::Pull(format!("id-{pod}"), token.into())
}
