//! What others made for a stack passes into our hands as it is: from the older operator, or from a stack of another kind.

use super::Context;
use super::apply::{Error, made};
use super::cache;
use crate::base::managers;
use crate::base::object::{Object, Owner, RETAINED_FOR, Treatment, title};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions, PropagationPolicy};
use kube::core::DynamicObject;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

/// Their content is never given up, so it is never applied by anyone but who made it.
const DATA: [&str; 2] = ["PersistentVolumeClaim", "Secret"];

/// More changes than this while one is made, and somebody writes without end.
const ATTEMPTS: usize = 8;

/// Takes up what belongs to the stack of our name of another kind. Says what is on its way; the watches tell when it has
/// come, and then the next is looked for.
pub(super) async fn take_over(
    context: &Context,
    owner: &Owner,
    from: &str,
    live: &[DynamicObject],
) -> Result<Option<String>, Error> {
    let mut awaited = None;
    for object in live.iter().filter(|o| owner.succeeds(from, &o.metadata)) {
        awaited.get_or_insert_with(|| title(object));
        if object.metadata.deletion_timestamp.is_none() {
            take(context, owner, from, object).await?;
        }
    }
    Ok(awaited.map(|what| format!("takes over the stack of {from} {}: waits for {what}", owner.name)))
}

async fn take(context: &Context, owner: &Owner, from: &str, object: &DynamicObject) -> Result<(), Error> {
    let Some(resource) = cache::resource(object) else {
        return Ok(());
    };
    let api: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), &owner.namespace, &resource);
    let failed = |source| Error::Api {
        what: format!("take over {}", title(object)),
        source: Box::new(source),
    };
    tracing::info!(owner = owner.reference(), from, object = title(object), "taking over");
    if resource.kind == "StatefulSet" {
        // Its claims are told by a template, which cannot change, whom they are kept for.
        return orphan(&api, &object.metadata).await.map_err(failed);
    }
    let meta = &object.metadata;
    let mut change = vec![json!({"op": "test", "path": "/metadata/resourceVersion", "value": meta.resource_version})];
    let mut owners = json!(meta.owner_references.clone().unwrap_or_default());
    for reference in owners.as_array_mut().into_iter().flatten() {
        if reference["kind"] == from && reference["name"] == owner.name.as_str() {
            *reference = owner.owner_reference();
        }
    }
    if meta.owner_references.is_some() {
        change.push(json!({"op": "replace", "path": "/metadata/ownerReferences", "value": owners}));
    }
    if object.annotations().contains_key(RETAINED_FOR) {
        let path = format!("/metadata/annotations/{}", RETAINED_FOR.replace('/', "~1"));
        change.push(json!({"op": "replace", "path": path, "value": owner.reference()}));
    }
    let theirs = manager(from);
    let Some(moved) = patch(&api, &object.name_any(), &theirs, change).await.map_err(failed)? else {
        return Ok(());
    };
    let is_theirs = |entry: &ManagedFieldsEntry| {
        let applied = entry.operation.as_deref() == Some("Apply");
        entry.manager.as_deref() == Some(&theirs) && (applied || !DATA.contains(&&*resource.kind))
    };
    fold(&api, &moved.metadata, &manager(&owner.kind), is_theirs)
        .await
        .map_err(failed)
}

/// The name under which the controller of a kind writes.
pub(super) fn manager(kind: &str) -> String {
    format!("llm-operator/{}", kind.to_lowercase())
}

/// True for an object that is ours, or was: one that somebody orphaned is taken up again. Claims and Secrets are data: what
/// is in one that only looks like ours is somebody else's.
pub(super) fn is_ours(owner: &Owner, object: &Object, meta: &ObjectMeta) -> bool {
    owner.owns(meta) || owner.lost(meta) && !DATA.contains(&&*object.resource.kind)
}

/// True for an object of the older operator, of a stack of ours. Only its claims and some of its Secrets name no owner: what
/// else names none is somebody's own.
pub(super) fn is_left(owner: &Owner, object: &Object, meta: &ObjectMeta) -> bool {
    let is_named = meta.owner_references.as_ref().is_some_and(|all| !all.is_empty());
    owner.inherits(meta) && (is_named || DATA.contains(&&*object.resource.kind))
}

/// Makes an object of the older operator ours. Its fields pass to us, so that those that we do not apply go with the next
/// apply; of claims and Secrets only the marks change. True when that is all there is to do for now.
pub(super) async fn adopt(
    api: &Api<DynamicObject>,
    owner: &Owner,
    object: &Object,
    meta: &ObjectMeta,
) -> Result<bool, Error> {
    let failed = |source| Error::Api {
        what: format!("take over {}", object.title()),
        source: Box::new(source),
    };
    tracing::info!(
        owner = owner.reference(),
        object = object.title(),
        "taking over from an older operator"
    );
    if !DATA.contains(&&*object.resource.kind) {
        fold(api, meta, &manager(&owner.kind), managers::is_older)
            .await
            .map_err(failed)?;
        return Ok(false);
    }
    let wanted = &object.body["metadata"];
    let owners = wanted.get("ownerReferences").cloned().unwrap_or_else(|| json!([]));
    let mut body = json!({"metadata": {
        "resourceVersion": meta.resource_version, "labels": wanted["labels"], "ownerReferences": owners,
    }});
    if wanted["annotations"].is_object() {
        body["metadata"]["annotations"] = wanted["annotations"].clone();
    }
    if let Treatment::Generated(values) = &object.treatment {
        let secret = api.get(&object.name).await.map_err(failed)?;
        let missing = values.iter().filter(|v| secret.data["data"][v.key].is_null());
        for value in missing {
            body["stringData"][value.key] = made(value.form)
                .map_err(|e| Error::Random(object.name.clone(), e))?
                .into();
        }
    }
    let parameters = PatchParams {
        field_manager: Some(manager(&owner.kind)),
        ..PatchParams::default()
    };
    api.patch(&object.name, &parameters, &Patch::Merge(body))
        .await
        .map_err(failed)?;
    Ok(true)
}

/// Lets what `is_theirs` pass to us. Statuses are written at any time, so an object that changed meanwhile is read again:
/// whose fields they were cannot be told any more once ours are applied.
async fn fold(
    api: &Api<DynamicObject>,
    meta: &ObjectMeta,
    heir: &str,
    is_theirs: impl Fn(&ManagedFieldsEntry) -> bool,
) -> Result<(), kube::Error> {
    let name = meta.name.clone().unwrap_or_default();
    let mut meta = meta.clone();
    for _ in 0..ATTEMPTS {
        let Some(entries) = managers::handed(&meta, heir, &is_theirs) else {
            return Ok(());
        };
        let unchanged = json!({"op": "test", "path": "/metadata/resourceVersion", "value": meta.resource_version});
        let set = json!({"op": "replace", "path": "/metadata/managedFields", "value": entries});
        if patch(api, &name, heir, vec![unchanged, set]).await?.is_some() {
            return Ok(());
        }
        let Some(now) = api.get_metadata_opt(&name).await? else {
            return Ok(());
        };
        meta = now.metadata;
    }
    tracing::warn!(name, "changes too often: fields that others wrote are left in it");
    Ok(())
}

/// The object as it is after the change; `None` when it is not any more what was seen, and comes again with the watch.
async fn patch(
    api: &Api<DynamicObject>,
    name: &str,
    manager: &str,
    change: Vec<Value>,
) -> Result<Option<DynamicObject>, kube::Error> {
    let change: json_patch::Patch = serde_json::from_value(Value::Array(change)).map_err(kube::Error::SerdeError)?;
    let parameters = PatchParams {
        field_manager: Some(manager.into()),
        ..PatchParams::default()
    };
    match api.patch(name, &parameters, &Patch::Json::<Value>(change)).await {
        Ok(object) => Ok(Some(object)),
        // Gone, or changed: a failed test is 422.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409 | 422) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Deletes a workload, and leaves its pods running.
pub(super) async fn orphan(api: &Api<DynamicObject>, meta: &ObjectMeta) -> Result<(), kube::Error> {
    remove(api, meta, PropagationPolicy::Orphan).await
}

/// Deletes what was seen, unless it is gone, or another one by now.
pub(super) async fn remove(
    api: &Api<DynamicObject>,
    meta: &ObjectMeta,
    policy: PropagationPolicy,
) -> Result<(), kube::Error> {
    let parameters = DeleteParams {
        propagation_policy: Some(policy),
        preconditions: Some(Preconditions {
            uid: meta.uid.clone(),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    match api.delete(meta.name.as_deref().unwrap_or_default(), &parameters).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::{Secret, Service};

    #[test]
    fn an_object_without_an_owner_is_left_by_an_older_operator_only_where_that_one_named_none() {
        let owner = Owner::sample();
        let found = |owners: Value| -> ObjectMeta {
            let labels = json!({"llm-deployment": "chat"});
            serde_json::from_value(json!({"labels": labels, "ownerReferences": owners})).expect("it is metadata")
        };
        let service = owner.object::<Service>("ollama", "chat-ollama", json!({}));
        let secret = owner.object::<Secret>("openwebui", "chat-openwebui-secret", json!({}));
        assert!(is_left(&owner, &secret, &found(json!([]))));
        assert!(!is_left(&owner, &service, &found(json!([]))), "somebody's own Service");
        assert!(is_left(&owner, &service, &found(json!([owner.owner_reference()]))));
    }
}
