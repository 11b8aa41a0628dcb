//! The end of a model's object: the model goes from its servers with the last object that needs it.

use crate::base::condition::Reason;
use crate::base::object::{FINALIZER, Owner, STACKS};
use crate::controller::apply::Error;
use crate::controller::cache::Touched;
use crate::controller::places::Found;
use crate::controller::{Context, report};
use crate::kind::ollamamodel::plan::{Note, Removal, Wish, removal};
use crate::kind::ollamamodel::{OllamaModel, Place};
use crate::ollama::fleet::{Address, News};
use jiff::SignedDuration;
use kube::ResourceExt;
use std::collections::BTreeSet;
use std::time::Duration;

/// Servers tell when they are done; this is for those that do not.
const LOOK: Duration = Duration::from_secs(2);

/// How long to wait before looking again; `None` when nothing is left to do.
pub(super) async fn farewell(model: &OllamaModel, _: &Owner, context: &Context) -> Result<Option<Duration>, Error> {
    if !model.finalizers().iter().any(|f| f == FINALIZER) {
        return Ok(None);
    }
    // Whoever else needs the model must be known before it is deleted.
    if !context.complete().await {
        return Ok(Some(LOOK));
    }
    let (Some(place), Some(wish)) = (model.place(&context.settings), model.wish(context.now())) else {
        return Ok(None);
    };
    let addresses = match context.places.find(&place) {
        Found::Unknown => return Ok(Some(LOOK)),
        Found::Missing | Found::Refused(_) => vec![],
        Found::Servers(addresses) => addresses,
    };
    let keep = model.retains() || is_going(model, &place, context);
    let mut left = end(model, &wish, &place, &addresses, keep, context);
    // A server that never held it, as far as is known, need not be waited for.
    if !model.was_there() && left.partings.is_empty() {
        left.silent.clear();
    }
    if left.is_over() {
        if !keep && model.was_there() && !addresses.is_empty() {
            let message = format!(
                "{} is on no server of {place} any more, unless others need it",
                wish.name
            );
            report::note(
                context,
                model,
                &Note {
                    reason: Reason::Deleted,
                    message,
                },
            )
            .await;
        }
        succeed(model, &wish, &place, context);
        return Ok(None);
    }
    let since = model
        .metadata
        .deletion_timestamp
        .as_ref()
        .map(|t| context.now().duration_since(t.0));
    let limit = SignedDuration::from_secs(i64::try_from(context.settings.models.release_seconds).unwrap_or(i64::MAX));
    if since.is_none_or(|since| since < limit) {
        return Ok(Some(LOOK));
    }
    let message = format!(
        "let go after {} s although it may still be on {}, which cannot be reached",
        limit.as_secs(),
        if left.silent.is_empty() {
            place.to_string()
        } else {
            left.silent.join(", ")
        }
    );
    report::note(
        context,
        model,
        &Note {
            reason: Reason::Released,
            message,
        },
    )
    .await;
    succeed(model, &wish, &place, context);
    Ok(None)
}

/// A stack that goes takes its servers along, and what it retains is retained whole. A stack of the same name that came
/// after it is another one.
fn is_going(model: &OllamaModel, place: &Place, context: &Context) -> bool {
    let Place::Stack(namespace, name) = place else {
        return false;
    };
    let all = context.index.stacks(namespace, name);
    let stays = |uid: &str| all.iter().any(|stack| !stack.going && stack.uid() == uid);
    let mut owners = model.owner_references().iter().filter(|o| STACKS.contains(&&*o.kind));
    !all.iter().any(|stack| !stack.going) || owners.any(|owner| !stays(&owner.uid))
}

/// Whoever waited for this object to go, because it defined the model otherwise, is looked at again.
fn succeed(_: &OllamaModel, wish: &Wish, place: &Place, context: &Context) {
    let news = News {
        place: place.clone(),
        model: Some(wish.name.key()),
    };
    // Without a receiver there is nobody left to tell.
    let _ = context.touched.send(Touched::Servers(news));
}

/// Ends work on the model, and deletes it where nobody else needs it. On servers of a stack, the base that only this
/// model was made from goes with it.
fn end(
    model: &OllamaModel,
    wish: &Wish,
    place: &Place,
    addresses: &[Address],
    keep: bool,
    context: &Context,
) -> Removal {
    let mut left = Removal::default();
    let base = wish
        .derived
        .as_ref()
        .map(|d| d.base.clone())
        .filter(|_| place.is_stack());
    for name in [Some(wish.name.clone()), base].into_iter().flatten() {
        let needed = needed(model, &name.key(), context);
        let of_name = Wish {
            name: name.clone(),
            derived: None,
            ..wish.clone()
        };
        let mut servers = context.fleet.servers(place, addresses, &of_name);
        // A pod that never ran and keeps nothing has no model.
        let may_hold = |id: &str| {
            addresses
                .iter()
                .any(|a| a.id == id && (a.url.is_some() || a.volume != a.id))
        };
        servers.retain(|s| !needed.contains(&s.id) && may_hold(&s.id));
        let removal = removal(&servers, keep);
        for parting in &removal.partings {
            context.fleet.part(parting, &name);
        }
        left.partings.extend(removal.partings);
        left.silent.extend(removal.silent);
    }
    left
}

/// The servers on which others need the model.
fn needed(model: &OllamaModel, key: &str, context: &Context) -> BTreeSet<String> {
    let others = model.sharers(context, key).into_iter();
    let places = others.filter_map(|other| other.place(&context.settings));
    let addresses = places.flat_map(|place| context.places.addresses(&place));
    addresses.map(|address| address.id).collect()
}
