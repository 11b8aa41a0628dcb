//! What is known of the routes by which a stack is reached through Gateways.

use super::LMDeployment;
use crate::base::condition::{Reason, State};
use crate::base::seen::Seen;
use crate::component::common::GatewaySpec;
use crate::component::common::gateway::{DEFINITION, Fate};
use crate::component::{openwebui, tabby};
use crate::kind::Outcome;

impl LMDeployment {
    /// The components that a Gateway shall lead to.
    fn gateways(&self) -> Vec<(&'static str, &GatewaySpec)> {
        let chat = self.chat().and_then(|chat| chat.web.gateway.as_ref());
        let tabby = self.tabby().and_then(|tabby| tabby.gateway.as_ref());
        let each = [chat.map(|g| (openwebui::NAME, g)), tabby.map(|g| (tabby::NAME, g))];
        each.into_iter().flatten().collect()
    }

    /// True when the manifest names a Gateway.
    #[must_use]
    pub fn has_gateway(&self) -> bool {
        !self.gateways().is_empty()
    }
}

/// What a person can do about routes that the cluster does not serve.
pub(super) fn missing(outcome: &Outcome) -> Option<(Reason, String)> {
    let titles = outcome.missing.join(", ");
    let text = format!(
        "{titles}: the cluster has no Gateway API (v1 of {DEFINITION}); install it, or remove gateway from the manifest"
    );
    (!titles.is_empty()).then_some((Reason::GatewayMissing, text))
}

/// What keeps requests out although the pods are well.
pub(super) fn trouble(stack: &LMDeployment, seen: &Seen<'_>, outcome: &Outcome) -> Option<(Reason, String)> {
    let no = |fate: Fate| match fate {
        Fate::Refused(text) => Some((Reason::RouteRefused, text)),
        Fate::Taken | Fate::Waits(_) => None,
    };
    missing(outcome).or_else(|| fates(stack, seen).into_iter().find_map(no))
}

/// Whether requests come in; nothing where no Gateway is named.
pub(super) fn state(stack: &LMDeployment, seen: &Seen<'_>, outcome: &Outcome) -> Option<State> {
    let kind = "Exposed";
    if !stack.has_gateway() {
        return None;
    }
    if let Some((reason, text)) = trouble(stack, seen, outcome) {
        return Some(State::new(kind, false, reason, text));
    }
    let waits = fates(stack, seen).into_iter().find_map(|fate| match fate {
        Fate::Waits(text) => Some(text),
        Fate::Taken | Fate::Refused(_) => None,
    });
    Some(match waits {
        Some(text) => State::new(kind, false, Reason::RouteWaiting, text),
        None => State::new(kind, true, Reason::Accepted, "every Gateway takes its route"),
    })
}

fn fates(stack: &LMDeployment, seen: &Seen<'_>) -> Vec<Fate> {
    let name = &seen.owner.name;
    let each = stack.gateways().into_iter();
    each.map(|(component, gateway)| gateway.fate(seen, &format!("{name}-{component}")))
        .collect()
}
