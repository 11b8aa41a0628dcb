//! Tabby on an Ollama that is not the stack's own: it waits for that one, and not for ever.

use super::*;
use crate::base::seen::Failure;
use jiff::SignedDuration;
use std::collections::BTreeSet;

const SPEC: &str = "{ollama: {enabled: false}, tabby: {enabled: true, chatModel: llama3, completionModel: codellama, \
                    ollamaServiceName: other}}";

fn holds(names: &[&str]) -> Other {
    let keys = names.iter().map(|name| ModelName::parse(name).unwrap().key());
    Other::Holds(keys.collect::<BTreeSet<_>>())
}

fn starts(cluster: &Cluster, stack: &LMDeployment) -> bool {
    has(&cluster.desired(stack), "Deployment chat-tabby")
}

fn with(other: Other) -> Cluster {
    Cluster {
        other: Some(other),
        ..Cluster::default()
    }
}

#[test]
fn it_starts_once_that_one_holds_all_of_its_models() {
    let stack = stack(SPEC);
    assert!(!starts(&with(Other::Unasked), &stack));
    let half = with(holds(&["llama3", "nomic-embed-text"]));
    assert!(!starts(&half, &stack));
    let said = half.status(&stack);
    let expected = (
        "False",
        "NotPulled",
        "Tabby waits: Service other has not got codellama:latest; pull it there, or name another model; after 10 minutes \
         it is started all the same",
    );
    assert_eq!(condition(&said, "Ready"), expected);
    assert_eq!(condition(&said["tabbyStatus"], "Available"), expected);
    assert!(starts(
        &with(holds(&["LLAMA3", "codellama:latest", "nomic-embed-text"])),
        &stack
    ));
}

#[test]
fn after_ten_minutes_it_goes_ahead_and_says_so() {
    let mut stack = stack(SPEC);
    let failure = Failure {
        reason: Reason::NoServer,
        message: "Service other does not exist".into(),
    };
    let mut cluster = with(Other::Silent(failure));
    cluster.now = Timestamp::from_second(1000).unwrap();
    stack.status = serde_json::from_value(cluster.status(&stack)).unwrap();
    for (seconds, expected) in [(0, false), (599, false), (600, true), (6000, true)] {
        cluster.now = Timestamp::from_second(1000).unwrap() + SignedDuration::from_secs(seconds);
        assert_eq!(starts(&cluster, &stack), expected, "after {seconds} s");
        // The time of the condition is that of its first day, however often it is written.
        stack.status = serde_json::from_value(cluster.status(&stack)).unwrap();
    }
    let started = cluster.workload("Deployment", "chat-tabby", 1, 0);
    let said = started.status(&stack);
    let expected = ("True", "NoServer", "Tabby is not ready: Service other does not exist");
    assert_eq!(condition(&said, "Degraded"), expected);
}

#[test]
fn that_one_is_asked_until_it_is_ready_and_no_longer() {
    let stack = stack(SPEC);
    let asked = |cluster: &Cluster| stack.asks(&cluster.live);
    assert_eq!(asked(&Cluster::default()), Some(("other".to_string(), None)));
    assert!(asked(&Cluster::default().workload("Deployment", "chat-tabby", 1, 0)).is_some());
    assert!(asked(&Cluster::default().workload("Deployment", "chat-tabby", 1, 1)).is_none());
    let own = super::stack("{ollama: {models: [codellama]}, tabby: {enabled: true}}");
    assert_eq!(own.asks(&[]), None);
}

#[test]
fn whatever_happens_to_that_one_later_it_stays() {
    let stack = stack(SPEC);
    let lost = with(holds(&[])).workload("Deployment", "chat-tabby", 1, 1);
    assert!(starts(&lost, &stack));
}
