//! The two handlers: fill in what is absent, refuse what breaks a rule. Pure: bytes and settings in, an answer out.

use crate::base::issue::Review;
use crate::base::settings::Settings;
use crate::kind::Form;
use crate::webhook::answer::Answer;
use crate::webhook::request::{self, Request};
use json_patch::{Patch, PatchOperation, diff};
use serde_json::Value;

/// An answer, and what the metrics want to know of the question.
#[derive(Clone, Debug, PartialEq)]
pub struct Handled {
    /// The answer.
    pub answer: Answer,
    /// The operation, or `other`: a label must not take whatever a client sends.
    pub operation: &'static str,
    /// The kind, or `other`.
    pub kind: &'static str,
    /// A patch was thrown away because it would have done more than add to the spec.
    pub discarded: bool,
}

impl Handled {
    fn new(request: &Request, answer: Answer) -> Self {
        let operations = ["CREATE", "UPDATE", "DELETE", "CONNECT"];
        let operation = operations
            .into_iter()
            .find(|o| *o == request.operation)
            .unwrap_or("other");
        let kind = request.kind().map_or("other", |form| form.kind);
        Self {
            answer,
            operation,
            kind,
            discarded: false,
        }
    }

    fn of_nonsense(answer: Answer) -> Self {
        Self {
            answer,
            operation: "other",
            kind: "other",
            discarded: false,
        }
    }
}

/// Fills in constant defaults. With `webhook.refuseInMutating` it also refuses what breaks a rule: the schema is
/// checked after this webhook and before the other, and stops at the first error, so this is the only place that can
/// say everything at once. What does not decode passes untouched and gets the schema's own error.
#[must_use]
pub fn mutate(body: &[u8], settings: &Settings) -> Handled {
    let Ok(request) = Request::read(body) else {
        // The validating webhook gets the same question and refuses it.
        return Handled::of_nonsense(Answer::allow(&request::uid(body)));
    };
    let allow = Answer::allow(&request.uid);
    let Some(form) = request.form() else {
        return Handled::new(&request, allow);
    };
    let Some((filled, review)) = reviewed(&form, &request, settings) else {
        return Handled::new(&request, allow);
    };
    let Ok(review) = review else {
        return Handled::new(&request, allow);
    };
    if settings.webhook.refuse_in_mutating && !review.issues.is_empty() {
        // Warnings come from the validating webhook, which is not asked any more after a refusal here.
        let answer = Answer::invalid(&request, &review.issues).with_warnings(review.spoken());
        return Handled::new(&request, answer);
    }
    let patch = diff(&request.object, &filled);
    if !only_adds_to_spec(&patch) {
        return Handled {
            discarded: true,
            ..Handled::new(&request, allow)
        };
    }
    let answer = Answer::patch(&request.uid, patch);
    Handled::new(&request, answer)
}

/// Refuses what breaks a rule and warns of what is unwise.
#[must_use]
pub fn validate(body: &[u8], settings: &Settings) -> Handled {
    let request = match Request::read(body) {
        Ok(request) => request,
        Err(error) => return Handled::of_nonsense(Answer::nonsense(&request::uid(body), &error)),
    };
    let Some(form) = request.form() else {
        let answer = Answer::allow(&request.uid);
        return Handled::new(&request, answer);
    };
    let answer = match reviewed(&form, &request, settings) {
        None => Answer::undecodable(&request, "the object is not a JSON object"),
        Some((_, Err(error))) => Answer::undecodable(&request, &error),
        Some((_, Ok(review))) => verdict(&request, &review),
    };
    Handled::new(&request, answer)
}

fn verdict(request: &Request, review: &Review) -> Answer {
    let answer = match review.issues.as_slice() {
        [] => Answer::allow(&request.uid),
        issues => Answer::invalid(request, issues),
    };
    answer.with_warnings(review.spoken())
}

/// The object with its defaults, and what there is to say about that. It is filled before both checks, so that they
/// agree with each other and with the reconciler's, even when the mutating webhook was passed over.
fn reviewed(form: &Form, request: &Request, settings: &Settings) -> Option<(Value, Result<Review, String>)> {
    if !request.object.is_object() {
        return None;
    }
    let mut filled = request.object.clone();
    (form.fill)(&mut filled);
    let review = (form.review)(&filled, request.before(), settings);
    Some((filled, review))
}

/// Anything else, sent to the API server, could change what a user wrote, or fail there with an error that no
/// failure policy covers.
fn only_adds_to_spec(patch: &Patch) -> bool {
    patch.0.iter().all(|operation| match operation {
        PatchOperation::Add(add) => add.path.tokens().next().is_some_and(|first| first.decoded() == "spec"),
        _ => false,
    })
}
