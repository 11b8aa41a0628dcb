//! Servers that hang before their start-up gate has opened: no liveness probe runs yet, so nobody else restarts them.

use super::apply::Error;
use super::{Context, lock, report};
use crate::base::condition::Reason;
use crate::kind::ollamamodel::Place;
use crate::kind::ollamamodel::plan::Note;
use crate::ollama::fleet::Address;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, Preconditions};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// One server of a stack is restarted in this time, at most.
const PAUSE: Duration = Duration::from_secs(600);

/// When each stack last had a server restarted.
#[derive(Default)]
pub(super) struct Restarts(Mutex<HashMap<Place, Instant>>);

/// Restarts a server that hangs, while others answer: a fault of the network must not cost anyone their models.
pub(super) fn mind(place: &Place, context: &Arc<Context>) {
    let Some(hung) = context.fleet.hung(place) else { return };
    if !context.restarts.is_due(place) {
        return;
    }
    let (place, context) = (place.clone(), Arc::clone(context));
    tokio::spawn(async move {
        if context.fleet.reaches_others(&hung.id).await
            && context.restarts.take(&place)
            && let Err(error) = Box::pin(replace(&place, &hung, &context)).await
        {
            tracing::warn!(pod = hung.pod, %error, "a server that hangs was not replaced");
        }
    });
}

async fn replace(place: &Place, hung: &Address, context: &Context) -> Result<(), Error> {
    let Place::Stack(namespace, stack) = place else {
        return Ok(());
    };
    tracing::warn!(
        namespace,
        stack,
        pod = hung.pod,
        "replacing a server that hangs before its gate has opened"
    );
    delete(namespace, hung, context).await?;
    let message = format!(
        "Pod {} took questions and answered none before its models were there; it was replaced",
        hung.pod
    );
    let reason = Reason::Restarted;
    let all = context.index.stacks(namespace, stack);
    // Of several of one name, only one has servers; which one was clear when they were made, and does not matter here.
    if let Some(known) = all.iter().min_by_key(|known| known.age()) {
        report::tell_of(context, &known.reference, &Note { reason, message }).await;
    }
    Ok(())
}

impl Restarts {
    fn is_due(&self, place: &Place) -> bool {
        let all = lock(&self.0);
        all.get(place).is_none_or(|at| at.elapsed() >= PAUSE)
    }

    /// True for the one that may restart now.
    fn take(&self, place: &Place) -> bool {
        let mut all = lock(&self.0);
        all.retain(|_, at| at.elapsed() < PAUSE);
        let free = !all.contains_key(place);
        all.entry(place.clone()).or_insert_with(Instant::now);
        free
    }
}

async fn delete(namespace: &str, hung: &Address, context: &Context) -> Result<(), Error> {
    let api: Api<Pod> = Api::namespaced(context.client.clone(), namespace);
    let parameters = DeleteParams {
        // It answers nobody, so it has nothing to finish.
        grace_period_seconds: Some(1),
        preconditions: Some(Preconditions {
            uid: Some(hung.id.clone()),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    match api.delete(&hung.pod, &parameters).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(source) => Err(Error::Api {
            what: format!("delete Pod {}", hung.pod),
            source: Box::new(source),
        }),
    }
}
