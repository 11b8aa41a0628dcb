//! What an `OllamaModel` says of itself.

use super::OllamaModel;
use crate::base::condition::{self, Reason, State};
use crate::base::object::STACKS;
use crate::base::seen::{Failure, ModelState, Replica, Seen};
use crate::component::common::PullPolicy;
use crate::kind::Outcome;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Progress is written in steps of this many percent.
const STEP: i64 = 5;

/// The observed state of a model.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OllamaModelStatus {
    /// pending, pulling, ready or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<ModelState>,
    /// The digest of its manifest, as the servers report it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
    /// The size for people, such as 4.7 GB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formatted_size: Option<String>,
    /// When something was last pulled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_pull_time: Option<Time>,
    /// Why it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Percent of the bytes that have arrived, over all servers, in steps of 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<i64>,
    /// Each server.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["pod"]))]
    pub replicas: Option<Vec<ReplicaStatus>>,
    /// Servers that hold it, as in 2/3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// Its name with its tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The last refresh that was carried out: the token of the annotation, or the time where that was `true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// The generation of the spec that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled and Valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Option<Vec<Condition>>,
}

/// The model on one server.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaStatus {
    /// The pod.
    pub pod: String,
    /// pending, pulling, ready or failed.
    pub state: ModelState,
    /// The digest that this server reports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Why it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl OllamaModelStatus {
    /// Why the model failed; `None` when it did not.
    #[must_use]
    pub fn failure(&self) -> Option<Reason> {
        let ready = self
            .conditions
            .iter()
            .flatten()
            .find(|c| c.type_ == "Ready" && c.status == "False")?;
        Reason::FAILURES.into_iter().find(|r| r.name() == ready.reason)
    }
}

pub(super) fn of(model: &OllamaModel, seen: &Seen<'_>, outcome: &Outcome, now: Timestamp) -> OllamaModelStatus {
    let old = model.status.clone().unwrap_or_default();
    let replicas: Vec<Replica> = seen.replicas.iter().map(|r| remembered(r, &old)).collect();
    let replicas = if is_news(&replicas, &old) { &replicas[..] } else { &[] };
    let stopped = stopped(outcome);
    let state = if stopped.is_some() {
        ModelState::Failed
    } else {
        state(replicas)
    };
    let ready = replicas.iter().filter(|r| r.state == ModelState::Ready).count();
    let failure = failure(replicas, stopped);
    let size = replicas.iter().find_map(|r| r.size);
    let digest = replicas.iter().find_map(|r| r.digest.clone());
    let newly = old.last_pull_time.is_none() || old.state != Some(ModelState::Ready) || old.digest != digest;
    let pulled = replicas.iter().any(|r| r.pulled) && state == ModelState::Ready && newly;
    OllamaModelStatus {
        state: Some(state),
        digest,
        size,
        formatted_size: size.map(formatted),
        last_pull_time: if pulled { Some(Time(now)) } else { old.last_pull_time },
        error: failure.as_ref().map(|f| f.message.clone()),
        progress: Some(progress(replicas, state, old.progress)),
        replicas: Some(replicas.iter().map(ReplicaStatus::of).collect()),
        on: Some(format!("{ready}/{}", replicas.len())),
        model: model.spec.model().ok().map(|m| m.short()),
        refresh_token: model.refreshed(replicas, now).or(old.refresh_token),
        observed_generation: model.metadata.generation,
        conditions: Some(condition::merge(
            &old.conditions.unwrap_or_default(),
            states(model, state, failure, replicas, outcome),
            model.metadata.generation,
            now,
        )),
    }
}

/// Why nothing is done for the object at all.
fn stopped(outcome: &Outcome) -> Option<Failure> {
    let invalid = outcome.review.issues.iter().find(|i| i.fatal).map(|issue| Failure {
        reason: Reason::Invalid,
        message: issue.to_string(),
    });
    let refused = outcome.refused.first().map(|refusal| Failure {
        reason: if refusal.conflict {
            Reason::Conflict
        } else {
            Reason::TargetRefused
        },
        message: refusal.message.clone(),
    });
    invalid.or(refused)
}

/// What is told: what stopped it, else what failed, else what is waited for.
fn failure(replicas: &[Replica], stopped: Option<Failure>) -> Option<Failure> {
    let mut failed = replicas.iter().filter(|r| r.state == ModelState::Failed);
    let failed = || failed.find_map(|r| r.failure.clone());
    // What failed on a server that holds the model all the same is no reason for anything.
    let mut waiting = replicas.iter().filter(|r| r.state != ModelState::Ready);
    stopped
        .or_else(failed)
        .or_else(|| waiting.find_map(|r| r.failure.clone()))
}

/// A server that was not asked yet, as after a restart of the operator, is as it was: nothing flaps for it.
fn remembered(replica: &Replica, old: &OllamaModelStatus) -> Replica {
    let before = old
        .replicas
        .iter()
        .flatten()
        .find(|r| r.pod == replica.pod && !replica.known);
    let Some(before) = before.filter(|r| r.state == ModelState::Ready) else {
        return replica.clone();
    };
    Replica {
        state: before.state,
        digest: before.digest.clone(),
        size: old.size,
        ..replica.clone()
    }
}

/// Servers are told of from the first answer on: one that starts has nothing to wait for, and may hold the model already.
fn is_news(replicas: &[Replica], old: &OllamaModelStatus) -> bool {
    let told = old.replicas.iter().flatten().next().is_some();
    told || replicas.iter().any(|r| r.known)
}

/// Ready when every server has it; else the state that says most: failed, then pulling.
fn state(replicas: &[Replica]) -> ModelState {
    let any = |state| replicas.iter().any(|r| r.state == state);
    match replicas {
        [] => ModelState::Pending,
        _ if replicas.iter().all(|r| r.state == ModelState::Ready) => ModelState::Ready,
        _ if any(ModelState::Failed) => ModelState::Failed,
        _ if any(ModelState::Pulling) => ModelState::Pulling,
        _ => ModelState::Pending,
    }
}

/// Over all servers; a step is written when it is whole, and it never goes back within one pull.
fn progress(replicas: &[Replica], state: ModelState, old: Option<i64>) -> i64 {
    if state == ModelState::Ready {
        return 100;
    }
    // Wide enough for whatever a server may say.
    let (mut done, mut total) = (0_i128, 0_i128);
    for (completed, all) in replicas.iter().filter_map(|r| r.progress) {
        done += i128::from(completed);
        total += i128::from(all);
    }
    let percent = if total > 0 {
        (done * 100 / total).clamp(0, 99)
    } else {
        0
    };
    let percent = i64::try_from(percent).unwrap_or(0) / STEP * STEP;
    if state == ModelState::Pulling {
        percent.max(old.filter(|o| *o < 100).unwrap_or(0))
    } else {
        percent
    }
}

fn states(
    model: &OllamaModel,
    state: ModelState,
    failure: Option<Failure>,
    replicas: &[Replica],
    outcome: &Outcome,
) -> Vec<State> {
    let issues: Vec<String> = outcome.review.issues.iter().map(ToString::to_string).collect();
    let valid = if issues.is_empty() {
        State::new("Valid", true, Reason::Accepted, "the manifest holds to every rule")
    } else {
        State::new("Valid", false, Reason::Invalid, issues.join("; "))
    };
    let (reason, message) = match (failure, state) {
        (_, ModelState::Ready) => (Reason::ModelsReady, "every server holds the model".into()),
        (Some(Failure { reason, message }), _) => match reason.way_out() {
            Some(way_out) => (reason, format!("{message}: {way_out}")),
            None => (reason, message),
        },
        (None, ModelState::Pulling) => (Reason::Pulling, "the model is being pulled".into()),
        _ if replicas.is_empty() => (Reason::NoServer, no_server(model)),
        _ if model.spec.policy() == PullPolicy::Never => {
            (Reason::NotPulled, "not there, and pullPolicy is Never".into())
        }
        _ => (Reason::Pulling, "waits for its turn to be pulled".into()),
    };
    let ready = state == ModelState::Ready;
    let stuck = state == ModelState::Failed && reason.is_users();
    vec![
        State::new("Ready", ready, reason, &message),
        State::new("Reconciling", !ready && !stuck, reason, &message),
        State::new("Stalled", stuck, reason, &message),
        valid,
    ]
}

fn no_server(model: &OllamaModel) -> String {
    let target = model.spec.target.clone().unwrap_or_default();
    let stack = target
        .deployment_ref
        .map(|d| format!("of {} {}", d.kind.as_deref().unwrap_or(STACKS[0]), d.name));
    let service = target.service.map(|s| format!("behind Service {}", s.name));
    format!(
        "no server {} has answered yet",
        stack.or(service).unwrap_or_else(|| "of the target".into())
    )
}

/// Bytes for people, in the decimal units that Ollama prints.
fn formatted(bytes: i64) -> String {
    let units = [("GB", 1_000_000_000_i64), ("MB", 1_000_000), ("KB", 1_000)];
    match units.into_iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes} B"),
    }
}

impl ReplicaStatus {
    fn of(replica: &Replica) -> Self {
        Self {
            pod: replica.pod.clone(),
            state: replica.state,
            digest: replica.digest.clone(),
            error: replica
                .failure
                .clone()
                .filter(|_| replica.state != ModelState::Ready)
                .map(|f| f.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replica(state: ModelState, progress: Option<(i64, i64)>) -> Replica {
        Replica {
            pod: "p".into(),
            state,
            known: true,
            digest: None,
            size: None,
            failure: None,
            progress,
            pulled: false,
            refreshed: None,
        }
    }

    #[test]
    fn progress_counts_in_steps_and_never_back() {
        let pulling = |done| [replica(ModelState::Pulling, Some((done, 1000)))];
        assert_eq!(progress(&pulling(149), ModelState::Pulling, None), 10);
        assert_eq!(progress(&pulling(20), ModelState::Pulling, Some(10)), 10);
        assert_eq!(progress(&pulling(1000), ModelState::Pulling, Some(10)), 95);
        assert_eq!(progress(&[], ModelState::Ready, Some(95)), 100);
        assert_eq!(progress(&pulling(0), ModelState::Pulling, Some(100)), 0);
        let wild = replica(ModelState::Pulling, Some((i64::MAX, i64::MAX)));
        assert_eq!(progress(&[wild.clone(), wild], ModelState::Pulling, None), 95);
    }

    #[test]
    fn a_server_that_was_not_asked_yet_is_as_it_was() {
        let ready = ReplicaStatus {
            pod: "p".into(),
            state: ModelState::Ready,
            digest: Some("d".into()),
            error: None,
        };
        let old = OllamaModelStatus {
            replicas: Some(vec![ready]),
            size: Some(7),
            ..OllamaModelStatus::default()
        };
        let unasked = Replica {
            known: false,
            ..replica(ModelState::Pending, None)
        };
        let seen = remembered(&unasked, &old);
        assert_eq!(
            (seen.state, seen.size, seen.digest.as_deref()),
            (ModelState::Ready, Some(7), Some("d"))
        );
        assert_eq!(
            remembered(&replica(ModelState::Pending, None), &old).state,
            ModelState::Pending
        );
        assert_eq!(
            remembered(
                &Replica {
                    pod: "new".into(),
                    ..unasked
                },
                &old
            )
            .state,
            ModelState::Pending
        );
    }

    #[test]
    fn servers_are_told_of_from_the_first_answer_on() {
        let (mut old, asked) = (OllamaModelStatus::default(), replica(ModelState::Pending, None));
        let unasked = Replica {
            known: false,
            ..asked.clone()
        };
        assert!(!is_news(&[unasked.clone(), unasked.clone()], &old));
        assert!(is_news(&[unasked.clone(), asked], &old));
        old.replicas = Some(vec![ReplicaStatus::default()]);
        assert!(is_news(&[unasked], &old), "after a restart nothing is taken back");
    }

    #[test]
    fn a_model_is_ready_when_every_server_has_it() {
        use ModelState::{Failed, Pending, Pulling, Ready};
        let of = |states: &[ModelState]| state(&states.iter().map(|s| replica(*s, None)).collect::<Vec<_>>());
        assert_eq!(of(&[]), Pending);
        assert_eq!(of(&[Ready, Ready]), Ready);
        assert_eq!(of(&[Ready, Pulling]), Pulling);
        assert_eq!(of(&[Failed, Pulling]), Failed);
    }

    #[test]
    fn sizes_are_for_people() {
        assert_eq!(formatted(4_700_000_000), "4.7 GB");
        assert_eq!(formatted(258_984), "258.9 KB");
        assert_eq!(formatted(12), "12 B");
    }
}
