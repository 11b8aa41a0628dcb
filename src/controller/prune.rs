//! One loop that removes what no longer should exist.

use super::apply::{Error, is};
use super::{Context, cache};
use crate::base::object::{GOES_WITH, Object, Owner};
use kube::api::{DeleteParams, Preconditions};
use kube::core::DynamicObject;
use kube::{Api, ResourceExt};

/// Deletes what is ours by uid, labelled as this stack's, and not desired. A claim only where it says that its manifest does
/// not want it kept. Never Secrets, which may open what is kept, or pods, which belong to their workloads.
pub(super) async fn prune(
    context: &Context,
    owner: &Owner,
    desired: &[Object],
    live: &mut Vec<DynamicObject>,
) -> Result<(), Error> {
    let mut i = 0;
    while i < live.len() {
        let object = &live[i];
        let Some(types) = object.types.clone() else {
            i += 1;
            continue;
        };
        let kept = match types.kind.as_str() {
            "Secret" | "Pod" => true,
            "PersistentVolumeClaim" => object.annotations().get(GOES_WITH) != Some(&owner.reference()),
            _ => false,
        };
        let ours = object.owner_references().iter().any(|o| o.uid == owner.uid);
        let going = object.metadata.deletion_timestamp.is_some();
        if kept || !ours || going || desired.iter().any(|d| is(object, d)) {
            i += 1;
            continue;
        }
        delete(context, owner, object).await?;
        live.remove(i);
    }
    Ok(())
}

async fn delete(context: &Context, owner: &Owner, object: &DynamicObject) -> Result<(), Error> {
    let Some(resource) = cache::resource(object) else {
        return Ok(());
    };
    let name = object.name_any();
    let api: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), &owner.namespace, &resource);
    let parameters = DeleteParams {
        preconditions: Some(Preconditions {
            uid: object.uid(),
            resource_version: None,
        }),
        ..DeleteParams::background()
    };
    match api.delete(&name, &parameters).await {
        Ok(_) => {
            tracing::info!(
                owner = owner.reference(),
                kind = resource.kind,
                name,
                "removed, since it is no longer wanted"
            );
            Ok(())
        }
        // Gone, or another object by now.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(source) => Err(Error::Api {
            what: format!("delete {} {name}", resource.kind),
            source: Box::new(source),
        }),
    }
}
