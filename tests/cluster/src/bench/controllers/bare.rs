//! The objects of a stack made by nobody's operator: what the control plane alone needs for them.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Result;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use kube::api::{Api, DynamicObject, ListParams, PostParams};
use kube::core::ApiResource;
use kube::runtime::wait::{await_condition, conditions};
use kube::{Client, ResourceExt};
use serde_json::Value;

use super::stacks::CREATORS;
use crate::bench::bed::{Bed, LIMIT};
use crate::bench::figures::count;
use crate::bench::record::Table;
use crate::bench::say;

/// What a stack is made of, in the order in which the operator makes it; its models aside, which need the operator.
fn kinds() -> [ApiResource; 8] {
    [
        ApiResource::erase::<Secret>(&()),
        ApiResource::erase::<ConfigMap>(&()),
        ApiResource::erase::<ServiceAccount>(&()),
        ApiResource::erase::<PersistentVolumeClaim>(&()),
        ApiResource::erase::<Service>(&()),
        ApiResource::erase::<NetworkPolicy>(&()),
        ApiResource::erase::<Deployment>(&()),
        ApiResource::erase::<Ingress>(&()),
    ]
}

/// An object, and how the API server addresses it.
type Child = (ApiResource, DynamicObject);

/// Where.
const NAMESPACE: &str = "bare";

/// Makes what that many stacks of a namespace are made of once more, each object with one request.
pub async fn bare(bed: &Bed, namespace: &str, stacks: usize) -> Result<Table> {
    say("  the same objects without an operator");
    bed.namespace(NAMESPACE, &[]).await?;
    let client = bed.cluster.client().await?;
    let all = objects(&client, namespace, stacks).await?;
    let number: usize = all.values().map(Vec::len).sum();
    let begin = Instant::now();
    stream::iter(all.into_values())
        .map(|objects| create(client.clone(), objects))
        .buffer_unordered(CREATORS)
        .try_collect::<()>()
        .await?;
    let created = begin.elapsed().as_secs_f64();
    until_available(&client).await?;
    let (seconds, stacks) = (begin.elapsed().as_secs_f64(), count(stacks));
    let columns = ["objects per stack", "created in s", "*seconds", "*seconds per stack"];
    let mut table = Table::new("The same objects, without an operator", "stacks", &columns);
    table.row(
        stacks.to_string(),
        [count(number) / stacks, created, seconds, seconds / stacks],
    );
    Ok(table)
}

/// The objects of the first stacks, by stack, as somebody would write them.
async fn objects(client: &Client, namespace: &str, stacks: usize) -> Result<BTreeMap<String, Vec<Child>>> {
    let mut all: BTreeMap<String, Vec<Child>> = BTreeMap::new();
    let ours = ListParams::default().labels("app.kubernetes.io/managed-by=llm-operator");
    for kind in kinds() {
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &kind);
        for object in api.list(&ours).await? {
            let stack = object.labels().get("llm-deployment").cloned().unwrap_or_default();
            let index = stack.trim_start_matches('s').parse::<usize>();
            if index.is_ok_and(|index| index < stacks) {
                let object = plain(object, &kind);
                all.entry(stack).or_default().push((kind.clone(), object));
            }
        }
    }
    Ok(all)
}

/// Without what the API server and its controllers have added.
fn plain(object: DynamicObject, kind: &ApiResource) -> DynamicObject {
    let mut fresh = DynamicObject::new(&object.name_any(), kind).data(object.data);
    fresh.metadata.labels = object.metadata.labels;
    if let Some(spec) = fresh.data.get_mut("spec").and_then(Value::as_object_mut) {
        let set: &[&str] = match kind.kind.as_str() {
            "Service" if spec["clusterIP"] != "None" => &["clusterIP", "clusterIPs"],
            "PersistentVolumeClaim" => &["volumeName"],
            _ => &[],
        };
        spec.retain(|field, _| !set.contains(&field.as_str()));
    }
    if let Value::Object(fields) = &mut fresh.data {
        fields.remove("status");
    }
    fresh
}

async fn create(client: Client, objects: Vec<Child>) -> Result<()> {
    for (kind, object) in objects {
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), NAMESPACE, &kind);
        api.create(&PostParams::default(), &object).await?;
    }
    Ok(())
}

async fn until_available(client: &Client) -> Result<()> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), NAMESPACE);
    for deployment in deployments.list_metadata(&ListParams::default()).await? {
        let name = deployment.name_any();
        let available = await_condition(deployments.clone(), &name, conditions::is_deployment_completed());
        tokio::time::timeout(LIMIT * 3, available).await??;
    }
    Ok(())
}
