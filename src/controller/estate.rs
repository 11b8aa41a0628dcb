//! The workloads that the older operator left: each makes way for ours, which select their pods by other labels, and its
//! pods serve until ours are Ready.

use super::Context;
use super::apply::Error;
use super::inherit::{orphan, remove};
use crate::base::object::{Object, Owner, STACKS, title};
use crate::component::ollama;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use kube::api::PropagationPolicy;
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, Resource, ResourceExt};
use serde_json::Value;
use std::collections::BTreeSet;

/// What is left of one component.
struct Left<'a> {
    component: &'a str,
    deployment: Option<&'a DynamicObject>,
    sets: Vec<&'a DynamicObject>,
    pods: Vec<&'a DynamicObject>,
}

/// Takes the next step for each component, and gives the titles of what must not be applied yet.
pub(super) async fn settle(
    context: &Context,
    owner: &Owner,
    desired: &[Object],
    live: &[DynamicObject],
) -> Result<BTreeSet<String>, Error> {
    let mut held = BTreeSet::new();
    let old = estate(context, owner);
    let components: BTreeSet<&str> = old.iter().filter_map(component).collect();
    for component in components {
        let left = Left::of(&old, owner, component);
        let name = format!("{}-{component}", owner.name);
        let is_wanted = |kinds: &[&str]| {
            let mut all = desired.iter();
            all.find(|o| o.name == name && kinds.contains(&&*o.resource.kind))
        };
        let service = is_wanted(&["Service"]).map(Object::title);
        let Some(workload) = is_wanted(&["Deployment", "StatefulSet"]) else {
            // It waits for something else: until then the old one serves. What is off, or unknown here, is left alone.
            held.extend(service.filter(|_| left.deployment.is_some()));
            continue;
        };
        held.extend(
            left.step(context, owner, workload, live)
                .await?
                .titles(workload, service),
        );
    }
    Ok(held)
}

/// What has to wait.
enum Held {
    Nothing,
    Service,
    Workload,
    Both,
}

impl Held {
    fn titles(&self, workload: &Object, service: Option<String>) -> impl Iterator<Item = String> {
        let waits = matches!(self, Self::Workload | Self::Both).then(|| workload.title());
        waits
            .into_iter()
            .chain(service.filter(|_| matches!(self, Self::Service | Self::Both)))
    }
}

impl<'a> Left<'a> {
    fn of(old: &'a [DynamicObject], owner: &Owner, component: &'a str) -> Self {
        let name = format!("{}-{component}", owner.name);
        let of = move |kind: &'static str| {
            old.iter().filter(move |o| {
                self::component(o) == Some(component) && o.types.as_ref().is_some_and(|t| t.kind == kind)
            })
        };
        let is_ours = |o: &&DynamicObject| o.owner_references().iter().any(|r| r.uid == owner.uid);
        let of_deployment = |o: &&DynamicObject| o.name_any().starts_with(&format!("{name}-"));
        Self {
            component,
            deployment: of("Deployment").filter(is_ours).find(|o| o.name_any() == name),
            sets: of("ReplicaSet").filter(of_deployment).collect(),
            pods: of("Pod").filter(of_deployment).collect(),
        }
    }

    async fn step(
        &self,
        context: &Context,
        owner: &Owner,
        workload: &Object,
        live: &[DynamicObject],
    ) -> Result<Held, Error> {
        if let Some(deployment) = self.deployment {
            if deployment.metadata.deletion_timestamp.is_none() {
                tracing::info!(
                    owner = owner.reference(),
                    object = title(deployment),
                    "making way, its pods go on"
                );
                let answer = orphan(&api::<Deployment>(context, owner), &deployment.metadata).await;
                answer.map_err(|source| failed("orphan the pods of", deployment, source))?;
            }
            return Ok(Held::Both);
        }
        if self.shares_data() {
            // Two programs must not write to the same files, and the new pod may not get the claim before.
            self.drain(context, owner).await?;
            return Ok(if self.pods.is_empty() {
                Held::Nothing
            } else {
                Held::Workload
            });
        }
        if is_ready(workload, live) || ollama::finds_no_room(live, self.component) {
            self.drain(context, owner).await?;
            return Ok(Held::Nothing);
        }
        Ok(if self.sets.is_empty() {
            Held::Nothing
        } else {
            Held::Service
        })
    }

    fn shares_data(&self) -> bool {
        let volumes = self
            .pods
            .iter()
            .filter_map(|pod| pod.data["spec"]["volumes"].as_array());
        volumes.flatten().next().is_some()
    }

    async fn drain(&self, context: &Context, owner: &Owner) -> Result<(), Error> {
        for set in self.sets.iter().filter(|set| set.metadata.deletion_timestamp.is_none()) {
            tracing::info!(
                owner = owner.reference(),
                object = title(set),
                "draining the pods of an older operator"
            );
            let answer = remove(
                &api::<ReplicaSet>(context, owner),
                &set.metadata,
                PropagationPolicy::Background,
            )
            .await;
            answer.map_err(|source| failed("drain", set, source))?;
        }
        Ok(())
    }
}

/// Ends what was left of a stack that goes: its owner would take along only what still names it.
pub(super) async fn clear(context: &Context, owner: &Owner) -> Result<(), Error> {
    let old = estate(context, owner);
    let components: BTreeSet<&str> = old.iter().filter_map(component).collect();
    for component in components {
        let left = Left::of(&old, owner, component);
        if left.deployment.is_none() {
            left.drain(context, owner).await?;
        }
    }
    Ok(())
}

fn estate(context: &Context, owner: &Owner) -> Vec<DynamicObject> {
    if STACKS.contains(&&*owner.kind) {
        context.estate.shelf(&owner.namespace, &owner.name)
    } else {
        vec![]
    }
}

fn component(object: &DynamicObject) -> Option<&str> {
    object.labels().get("app").map(String::as_str)
}

/// True when the workload runs as it is wanted, or shall not run.
fn is_ready(workload: &Object, live: &[DynamicObject]) -> bool {
    let wanted = workload.body["spec"]["replicas"].as_i64().unwrap_or(1);
    let found = live.iter().find(|o| super::apply::is(o, workload));
    let ready = found.and_then(|o| o.data["status"]["readyReplicas"].as_i64());
    found.is_some_and(|o| !matches!(o.data["status"], Value::Null)) && ready.unwrap_or(0) >= wanted || wanted == 0
}

fn api<K: Resource<DynamicType = ()>>(context: &Context, owner: &Owner) -> Api<DynamicObject> {
    Api::namespaced_with(context.client.clone(), &owner.namespace, &ApiResource::erase::<K>(&()))
}

fn failed(what: &str, object: &DynamicObject, source: kube::Error) -> Error {
    Error::Api {
        what: format!("{what} {}", title(object)),
        source: Box::new(source),
    }
}
