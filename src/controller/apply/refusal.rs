//! Which answers of the API server are about the object, and not about the moment.

use crate::base::object::{Object, Owner};
use crate::kind::Refusal;
use kube::core::Status;

/// A no that stays. A field that the kind does not have is one, although the API server calls it its own error.
pub(super) fn is_final(status: &Status) -> bool {
    let untyped = status.code == 500 && status.message.starts_with("failed to create typed patch object");
    untyped || matches!(status.code, 400 | 403 | 404 | 405 | 413 | 422)
}

/// An object of that name that is not ours.
pub(super) fn conflict(owner: &Owner, object: &Object) -> Refusal {
    let Owner { kind, name, .. } = owner;
    let title = object.title();
    let message = format!("{title} exists and does not belong to {kind} {name}: delete it or rename one of the two");
    Refusal {
        conflict: true,
        message,
    }
}
