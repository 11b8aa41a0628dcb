//! One pass over one object: read, fill and check, desire, apply and prune, report.

use super::apply::{self, Error};
use super::packed::Parcel;
use super::targets::{Observed, Reached};
use super::{Context, clues, estate, finalizer, inherit, memory, prune, report};
use crate::base::object::{self, Owner};
use crate::base::secret::Secrets;
use crate::base::seen::Seen;
use crate::kind::{Kind, Outcome, Refusal};
use kube::ResourceExt;
use kube::core::DynamicObject;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::controller::Action;
use rand::Rng;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An object that somebody else has just changed is looked at again when the watch has brought the change.
const CHANGED: Duration = Duration::from_secs(1);

/// Brings about what the object says.
pub(super) async fn reconcile<K: Reached>(kept: Arc<Parcel<K>>, context: Arc<Context>) -> Result<Action, Error> {
    let started = Instant::now();
    let result = pass::<K>(kept.open(), &context).await;
    let reason = result.as_ref().err().map(Error::reason);
    context.metrics.observe(&K::kind(&()), reason, started.elapsed());
    if result.is_ok() {
        context.memory.succeeded(&key::<K>(&*kept));
    }
    result
}

/// When to try again after a failure: later each time.
pub(super) fn retry<K: Reached>(kept: &Parcel<K>, error: &Error, context: &Context) -> Action {
    let pause = context.memory.failed(&key::<K>(kept));
    let (kind, namespace, name) = (K::kind(&()), kept.namespace().unwrap_or_default(), kept.name_any());
    tracing::warn!(%kind, namespace, name, %error, retry_in = ?pause, "reconcile failed");
    Action::requeue(pause)
}

/// The object is gone: nothing is remembered of it.
pub(super) fn forget<K: Reached>(context: &Context, namespace: &str, name: &str) {
    let known = context.memory.forget(&memory::key(&K::kind(&()), namespace, name));
    K::forget(namespace, name, known, context);
}

fn key<K: Reached>(kept: &Parcel<K>) -> String {
    memory::key(&K::kind(&()), &kept.namespace().unwrap_or_default(), &kept.name_any())
}

async fn pass<K: Reached>(object: Result<K, Box<InvalidObject>>, context: &Context) -> Result<Action, Error> {
    let object = &match object {
        Ok(object) => object,
        Err(invalid) => {
            if invalid.metadata.deletion_timestamp.is_some() {
                finalizer::release::<K>(context, &invalid.metadata).await?;
            } else {
                report::undecodable::<K>(context, &invalid.metadata, &invalid.error).await?;
            }
            return Ok(Action::await_change());
        }
    };
    let Some(owner) = Owner::of(object) else {
        return Ok(Action::await_change());
    };
    if object.meta().deletion_timestamp.is_some() {
        if let Some(wait) = object.farewell(&owner, context).await? {
            return Ok(Action::requeue(wait));
        }
        finalizer::release::<K>(context, object.meta()).await?;
        return Ok(Action::await_change());
    }
    let object = filled(object)?;
    let mut live = context.cache.shelf(&owner.namespace, &owner.name);
    // Whoever else has the name must be known before anything is done under it.
    if !context.complete().await {
        return Ok(Action::await_change());
    }
    if let Some(rival) = object.rival(&owner, &live, context) {
        return yielded(&object, &owner, rival, context).await;
    }
    let place = (owner.namespace.clone(), owner.name.clone());
    let secrets = match object.secrets() {
        Some(names) => context.wallet.read(&place, &names).await?,
        None => Secrets::default(),
    };
    let mut outcome = Outcome {
        review: object.check(None, &context.settings),
        leftover: leftover(&owner, &mut live),
        ..Outcome::default()
    };
    let mut observed = Observed::default();
    let (mut children, time) = (0, context.now());
    let is_sound = !outcome.review.issues.iter().any(|i| i.fatal);
    if let Some(from) = object.takes_over().filter(|_| is_sound && outcome.leftover.is_none()) {
        outcome.leftover = inherit::take_over(context, &owner, from, &live).await?;
    }
    if is_sound && outcome.leftover.is_none() {
        if K::FINALIZED && !finalizer::ensure::<K>(context, object.meta()).await? {
            return Ok(Action::requeue(CHANGED));
        }
        observed = object.observe(&owner, &live, context);
        let seen = Seen {
            settings: &context.settings,
            owner: &owner,
            live: &live,
            replicas: &observed.replicas,
            secrets: &secrets,
            other: observed.other.as_ref(),
            now: time,
        };
        outcome.review.issues.extend(object.check_live(&seen));
        let desired = object.desired(&seen);
        let held = estate::settle(context, &owner, &desired, &live).await?;
        let manager = inherit::manager(&owner.kind);
        let done = apply::apply(context, &manager, &owner, &desired, &held, &mut live).await?;
        if done.terminating {
            return Ok(Action::await_change());
        }
        children = done.refused.len();
        outcome.missing = done.missing;
        outcome.refused = observed.refused.iter().cloned().chain(done.refused).collect();
        prune::prune(context, &owner, &desired, &mut live).await?;
        live.extend(clues::clues(context, &owner, &live).await);
    }
    let seen = Seen {
        settings: &context.settings,
        owner: &owner,
        live: &live,
        replicas: &observed.replicas,
        secrets: &secrets,
        other: observed.other.as_ref(),
        now: time,
    };
    let status = object.calm(object.status(&seen, &outcome, time), context);
    report::report(context, &object, &owner, &status).await?;
    object.conclude(&owner, &observed, &status, context).await?;
    if children == 0 {
        let pause = object.again(&observed, &status, time);
        Ok(Action::requeue(
            pause.map_or_else(|| jittered(context.resync), |p| p.min(context.resync)),
        ))
    } else {
        Err(Error::Refused(children))
    }
}

/// Says who has what the object would need. Its end is told by the watches.
async fn yielded<K: Reached>(object: &K, owner: &Owner, rival: Refusal, context: &Context) -> Result<Action, Error> {
    let outcome = Outcome {
        review: object.check(None, &context.settings),
        refused: vec![rival],
        rivaled: true,
        ..Outcome::default()
    };
    let seen = Seen {
        settings: &context.settings,
        owner,
        live: &[],
        replicas: &[],
        secrets: &Secrets::default(),
        other: None,
        now: context.now(),
    };
    let status = object.status(&seen, &outcome, seen.now);
    report::report(context, object, owner, &status).await?;
    Ok(Action::requeue(jittered(context.resync)))
}

/// Takes what belongs to a former object of that name off the shelf, and says what the first of it is. Its end is told by
/// the watches, so nobody has to ask again.
fn leftover(owner: &Owner, live: &mut Vec<DynamicObject>) -> Option<String> {
    let former = live.iter().find(|o| owner.follows(&o.metadata)).map(object::title)?;
    live.retain(|o| !owner.follows(&o.metadata));
    let (kind, name) = (&owner.kind, &owner.name);
    Some(format!("waits until {former} of the former {kind} {name} is removed"))
}

/// The object with its defaults, as the webhook would have stored it.
fn filled<K: Kind>(object: &K) -> Result<K, Error> {
    let error = |e| Error::Json(format!("{} {}", K::kind(&()), object.name_any()), e);
    let mut raw = serde_json::to_value(object).map_err(error)?;
    K::fill(&mut raw);
    serde_json::from_value(raw).map_err(error)
}

/// Give or take a fifth, so that not all objects are looked at together.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.8..1.2))
}
