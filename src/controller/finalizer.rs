//! Our finalizer on objects whose end takes work, set and removed by patches that lose against any other change.

use super::Context;
use super::apply::Error;
use crate::base::object::FINALIZER;
use crate::kind::Kind;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

/// Finalizers that we set, and those that the older operators left: removed when an object goes, so that nothing hangs.
pub const FINALIZERS: [&str; 3] = [FINALIZER, "llm.geeper.io/finalizer", "ollama.smithforge.dev/finalizer"];

/// Sets our finalizer where it is missing. False when the object has changed meanwhile, or is gone: then nothing may
/// be done for it, since nobody would undo it.
pub(super) async fn ensure<K: Kind>(context: &Context, meta: &ObjectMeta) -> Result<bool, Error> {
    let mut all = meta.finalizers.clone().unwrap_or_default();
    if all.iter().any(|f| f == FINALIZER) {
        return Ok(true);
    }
    all.push(FINALIZER.into());
    let set = json!({"op": "add", "path": "/metadata/finalizers", "value": all});
    patch::<K>(context, meta, set, "set the finalizer of").await
}

/// Takes our finalizers off an object that is going, unless someone changed it meanwhile.
pub(super) async fn release<K: Kind>(context: &Context, meta: &ObjectMeta) -> Result<(), Error> {
    let all = meta.finalizers.clone().unwrap_or_default();
    let left: Vec<&String> = all.iter().filter(|f| !FINALIZERS.contains(&f.as_str())).collect();
    if left.len() == all.len() {
        return Ok(());
    }
    let set = json!({"op": "replace", "path": "/metadata/finalizers", "value": left});
    // An object that changed comes again with the watch.
    patch::<K>(context, meta, set, "remove the finalizers of")
        .await
        .map(drop)
}

/// Replaces the value of an annotation, unless someone else was first.
pub(super) async fn annotate<K: Kind>(
    context: &Context,
    meta: &ObjectMeta,
    key: &str,
    value: &str,
) -> Result<(), Error> {
    let path = format!("/metadata/annotations/{}", key.replace('~', "~0").replace('/', "~1"));
    let before = meta.annotations.as_ref().and_then(|a| a.get(key));
    let test = json!({"op": "test", "path": path, "value": before});
    let set = json!({"op": "replace", "path": path, "value": value});
    send::<K>(context, meta, json!([test, set]), "annotate").await.map(drop)
}

/// True when the object was as it was seen, and the change was made.
async fn patch<K: Kind>(context: &Context, meta: &ObjectMeta, change: Value, what: &str) -> Result<bool, Error> {
    let unchanged = json!({"op": "test", "path": "/metadata/resourceVersion", "value": meta.resource_version});
    send::<K>(context, meta, json!([unchanged, change]), what).await
}

/// True when the tests of the patch held, and the change was made.
async fn send<K: Kind>(context: &Context, meta: &ObjectMeta, patch: Value, what: &str) -> Result<bool, Error> {
    let (Some(name), Some(namespace)) = (&meta.name, &meta.namespace) else {
        return Ok(false);
    };
    let patch: json_patch::Patch = serde_json::from_value(patch).map_err(|e| Error::Json(name.clone(), e))?;
    let api: Api<K> = Api::namespaced(context.client.clone(), namespace);
    let (parameters, patch) = (PatchParams::default(), Patch::Json::<Value>(patch));
    match api.patch_metadata(name, &parameters, &patch).await {
        Ok(_) => Ok(true),
        // Gone, or changed: a failed test is 422.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409 | 422) => Ok(false),
        Err(source) => Err(Error::Api {
            what: format!("{what} {} {name}", K::kind(&())),
            source: Box::new(source),
        }),
    }
}
