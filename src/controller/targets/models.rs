//! Models: what their servers report, and the work that follows from it.

use super::{Observed, Reached};
use crate::base::condition::Reason;
use crate::base::model::ModelName;
use crate::base::object::Owner;
use crate::base::seen::{ModelState, Replica};
use crate::controller::apply::Error;
use crate::controller::cache::Touched;
use crate::controller::index::{Index, Presence, Site};
use crate::controller::packed::Parcel;
use crate::controller::places::Found;
use crate::controller::{Context, finalizer, memory, report};
use crate::kind::Refusal;
use crate::kind::ollamamodel::plan::{Note, plan};
use crate::kind::ollamamodel::refresh::REFRESH;
use crate::kind::ollamamodel::{OllamaModel, Place, ReplicaStatus};
use crate::ollama::metrics::Standing;
use jiff::Timestamp;
use kube::core::DynamicObject;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;
use kube::{Resource, ResourceExt};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

/// Progress is written at most this often.
const PACE: Duration = Duration::from_secs(5);

impl Reached for OllamaModel {
    const FINALIZED: bool = true;

    fn enter(index: &Index, store: Store<Parcel<Self>>, absent: Presence) {
        index.add_models(store, absent);
    }

    fn heard(event: &Event<Parcel<Self>>, store: &Store<Parcel<Self>>, context: &Context) {
        let note = |object: &Parcel<Self>, is_there: bool| {
            let model = is_there.then(|| object.open().ok()).flatten();
            let name = (object.namespace().unwrap_or_default(), object.name_any());
            context.index.place(name, model.and_then(|model| model.site(context)))
        };
        let changed = match event {
            Event::Apply(object) => note(object, true),
            Event::Delete(object) => note(object, false),
            Event::InitDone => {
                let all = store.state();
                let placed = all.iter().flat_map(|object| note(object, true));
                placed.chain(context.index.sweep()).collect()
            }
            // The store shows what is listed once all of it has come.
            Event::Init | Event::InitApply(_) => return,
        };
        for place in changed {
            count_unmanaged(&place, context);
        }
    }

    fn reached(touched: &Touched, store: &Store<Parcel<Self>>, index: &Index) -> Vec<ObjectRef<Parcel<Self>>> {
        let names = match touched {
            Touched::Child {
                namespace,
                stack,
                pod: true,
            } => index.models_at(&Place::Stack(namespace.clone(), stack.clone()), None),
            Touched::Service { namespace, name } => index.models_of_service(namespace, name),
            Touched::Servers(news) => index.models_at(&news.place, news.model.as_deref()),
            Touched::Child { pod: false, .. } | Touched::Offer => vec![],
        };
        let references = names
            .iter()
            .map(|(namespace, name)| ObjectRef::new(name).within(namespace));
        // Another scope has the others.
        references.filter(|reference| store.get(reference).is_some()).collect()
    }

    fn observe(&self, _: &Owner, _: &[DynamicObject], context: &Context) -> Observed {
        let mut observed = Observed::default();
        let (Some(place), Some(wish)) = (self.place(&context.settings), self.wish(context.now())) else {
            return observed;
        };
        let addresses = match context.places.find(&place) {
            Found::Servers(addresses) => addresses,
            Found::Missing => return observed,
            Found::Unknown => {
                observed.replicas = self.before();
                return observed;
            }
            Found::Refused(message) => {
                observed.refused.push(Refusal {
                    conflict: false,
                    message,
                });
                return observed;
            }
        };
        let others = self.sharers(context, &wish.name.key());
        let same = others
            .iter()
            .filter(|o| o.spec.model().is_ok_and(|m| m.key() == wish.name.key()));
        if let Some(elder) = self.elder(same) {
            let message = self.conflict(elder);
            observed.refused.push(Refusal {
                conflict: true,
                message,
            });
            return observed;
        }
        let servers = context.fleet.servers(&place, &addresses, &wish);
        let plan = plan(&wish, &servers, &self.holders());
        for action in &plan.actions {
            context.fleet.act(action, &wish, self.spec.insecure == Some(true));
        }
        observed.replicas = plan.replicas;
        observed.notes = plan.notes;
        observed
    }

    /// A state is told at once; how far a pull is, now and then.
    fn calm(&self, mut status: Value, context: &Context) -> Value {
        let old = self.status.as_ref().and_then(|s| s.progress);
        let pulling =
            status["state"] == "pulling" && self.status.as_ref().and_then(|s| s.state) == Some(ModelState::Pulling);
        if let (Some(old), true) = (old, pulling)
            && status["progress"] != old
        {
            let (namespace, name) = (self.namespace().unwrap_or_default(), self.name_any());
            let key = memory::key(&Self::kind(&()), &namespace, &name);
            if !context.memory.is_time(&key, PACE) {
                status["progress"] = old.into();
            }
        }
        status
    }

    fn again(&self, _: &Observed, _: &Value, _: Timestamp) -> Option<Duration> {
        None
    }

    async fn conclude(
        &self,
        owner: &Owner,
        observed: &Observed,
        status: &Value,
        context: &Context,
    ) -> Result<(), Error> {
        self.show(status, context);
        let key = memory::key(&owner.kind, &owner.namespace, &owner.name);
        for note in context.memory.new_notes(&key, &observed.notes) {
            report::note(context, self, &note).await;
        }
        let token = status["refreshToken"].as_str();
        if token.is_some() && token != self.status.as_ref().and_then(|s| s.refresh_token.as_deref()) {
            report::note(context, self, &self.refresh_note(observed, status)).await;
        }
        if let Some(stamp) = self.stamp(token) {
            finalizer::annotate::<Self>(context, self.meta(), REFRESH, &stamp).await?;
        }
        Ok(())
    }

    async fn farewell(&self, owner: &Owner, context: &Context) -> Result<Option<Duration>, Error> {
        super::farewell::farewell(self, owner, context).await
    }

    /// Servers that no model is for are not asked any more.
    fn forget(namespace: &str, name: &str, _: bool, context: &Context) {
        context.models.forget(namespace, name);
        let is_named = |place: &Place| !context.index.models_at(place, None).is_empty();
        for place in context.fleet.keep(is_named) {
            count_unmanaged(&place, context);
        }
        context
            .places
            .keep(|namespace, name| !context.index.models_of_service(namespace, name).is_empty());
    }
}

impl OllamaModel {
    /// By which the model is found.
    fn site(&self, context: &Context) -> Option<Site> {
        let place = self.place(&context.settings)?;
        let needs = self.needs().iter().map(ModelName::key).collect();
        Some(Site { place, needs })
    }

    /// Other models that need a model of that name on one of the same servers.
    pub(super) fn sharers(&self, context: &Context, key: &str) -> Vec<Self> {
        let Some(own) = self.place(&context.settings) else {
            return vec![];
        };
        let mut others = context.index.others(self, &own, key);
        if others.is_empty() {
            return others;
        }
        let ids: BTreeSet<String> = context.places.addresses(&own).into_iter().map(|a| a.id).collect();
        others.retain(|other| {
            let place = other.place(&context.settings);
            let overlaps = |place: &Place| context.places.addresses(place).iter().any(|a| ids.contains(&a.id));
            place.is_some_and(|place| place == own || overlaps(&place))
        });
        others
    }

    /// The servers as they were, until the present ones are known: nothing flaps after a restart of the operator.
    fn before(&self) -> Vec<Replica> {
        let replicas = self.status.iter().flat_map(|s| s.replicas.iter().flatten());
        let unasked = |r: &ReplicaStatus| Replica {
            pod: r.pod.clone(),
            state: r.state,
            known: false,
            digest: r.digest.clone(),
            size: None,
            failure: None,
            progress: None,
            pulled: false,
            refreshed: None,
        };
        replicas.map(unasked).collect()
    }

    /// The pods that were known to hold the model.
    fn holders(&self) -> BTreeSet<String> {
        let replicas = self.status.iter().flat_map(|s| s.replicas.iter().flatten());
        let ready = replicas.filter(|r| r.state == ModelState::Ready);
        ready.map(|r| r.pod.clone()).collect()
    }

    fn show(&self, status: &Value, context: &Context) {
        let replicas = status["replicas"].as_array();
        let count = |is: fn(&&Value) -> bool| replicas.into_iter().flatten().filter(is).count();
        let standing = Standing {
            state: serde_json::from_value(status["state"].clone()).unwrap_or_default(),
            servers: count(|_| true),
            ready: count(|r| r["state"] == "ready"),
        };
        let model = status["model"].as_str().unwrap_or_default();
        context
            .models
            .show(&self.namespace().unwrap_or_default(), &self.name_any(), model, standing);
    }

    fn refresh_note(&self, observed: &Observed, status: &Value) -> Note {
        let failure = observed.replicas.iter().find_map(|r| r.failure.as_ref());
        let before = self.status.as_ref().and_then(|s| s.digest.as_deref());
        let message = match (failure, status["digest"].as_str()) {
            (Some(failure), _) => format!("the refresh failed, and the model is what it was: {}", failure.message),
            (None, now) if now == before => "refreshed; the digest is unchanged".to_string(),
            (None, now) => format!("refreshed; the digest is now {}", now.unwrap_or("unknown")),
        };
        let reason = failure.map_or(Reason::Refreshed, |f| f.reason);
        Note { reason, message }
    }
}

/// Models on the servers of a place that no object names: they are left alone, and shown.
pub(in crate::controller) fn count_unmanaged(place: &Place, context: &Context) {
    let namespace = match place {
        Place::Stack(namespace, _) | Place::Service(namespace, ..) => namespace,
        Place::Url(_) => "",
    };
    let held = context.fleet.inventory(place);
    let count = held.map(|held| context.index.unwanted(place, &held));
    context.models.unmanaged(namespace, &place.to_string(), count);
}
