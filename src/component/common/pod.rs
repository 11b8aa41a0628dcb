//! The pods of a component: one template, one way to make a Deployment, a Service and an account of it.

use super::{Common, ServiceType, Variable};
use crate::base::object::{Object, Owner, merge};
use crate::base::{names, secret};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{LocalObjectReference, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Everything that a component decides about its pods; the rest comes from its common block.
pub struct Pod<'a> {
    /// The owner of everything.
    pub owner: &'a Owner,
    /// The component, which is also the container's name.
    pub component: &'static str,
    /// The common block.
    pub common: &'a Common,
    /// The image that runs.
    pub image: String,
    /// The name of the workload, its account and its Service.
    pub name: String,
    /// Where the process listens.
    pub port: i32,
    /// What is spoken there: some networks tell it by the port's name.
    pub protocol: &'static str,
    /// User and group of the process.
    pub uid: i64,
    /// Fields of the container: command, args, probes, lifecycle.
    pub container: Value,
    /// Variables of the operator.
    pub env: Vec<Value>,
    /// Containers of the operator that run to their end first.
    pub inits: Vec<Value>,
    /// Volumes of the operator.
    pub volumes: Vec<Value>,
    /// Where they are mounted.
    pub mounts: Vec<Value>,
    /// Resources where the manifest gives none.
    pub resources: Value,
    /// Tolerations of the operator.
    pub tolerations: Vec<Value>,
    /// Annotations of the operator, such as hashes of what the process reads at its start.
    pub annotations: Map<String, Value>,
    /// Seconds that a stopping pod gets.
    pub grace: i64,
    /// All of them need one volume that a single node can mount, so they go to one node; one alone is told the same, so
    /// that scaling restarts nobody.
    pub together: bool,
}

impl Pod<'_> {
    /// The template, for a Deployment or a `StatefulSet`.
    #[must_use]
    pub fn template(&self) -> Value {
        let common = self.common;
        let mut labels: Map<String, Value> = common
            .pod_labels
            .iter()
            .flatten()
            .map(|(k, v)| (k.clone(), v.clone().into()))
            .collect();
        labels.extend(self.owner.labels(self.component));
        let mut annotations: Map<String, Value> = common
            .pod_annotations
            .iter()
            .flatten()
            .map(|(k, v)| (k.clone(), v.clone().into()))
            .collect();
        annotations.extend(self.annotations.clone());
        let mut spec = json!({
            "containers": [self.container_body()],
            "volumes": joined(&self.volumes, common.volumes.as_ref()),
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": self.uid, "runAsGroup": self.uid, "fsGroup": self.uid,
                "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": {"type": "RuntimeDefault"},
            },
            "serviceAccountName": common.account(&self.name),
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "terminationGracePeriodSeconds": self.grace,
            "topologySpreadConstraints": [{
                "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": self.owner.selector(self.component)},
            }],
        });
        merge(
            &mut spec,
            json!({
                "securityContext": common.pod_security_context,
                "nodeSelector": common.node_selector,
                "affinity": common.affinity.clone().or_else(|| self.together.then(|| self.beside())),
                "runtimeClassName": common.runtime_class_name,
                "priorityClassName": common.priority_class_name,
                "imagePullSecrets": common.image_pull_secrets.as_ref().map(|s| unique(s)),
                "initContainers": some(joined(&confined(&self.inits), common.init_containers.as_ref().map(|l| confined(l)).as_ref())),
                "tolerations": some(joined(&self.tolerations, common.tolerations.as_ref())),
            }),
        );
        json!({"metadata": {"labels": labels, "annotations": annotations}, "spec": spec})
    }

    /// Where the others of these pods are; the first one may go anywhere.
    fn beside(&self) -> Value {
        json!({"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{
            "topologyKey": "kubernetes.io/hostname",
            "labelSelector": {"matchLabels": self.owner.selector(self.component)},
        }]}})
    }

    fn container_body(&self) -> Value {
        let common = self.common;
        let mut body = json!({
            "name": self.component,
            "image": self.image,
            "ports": [{"name": self.protocol, "containerPort": self.port, "protocol": "TCP"}],
            "env": self.variables(),
            "volumeMounts": joined(&self.mounts, common.volume_mounts.as_ref()),
            "resources": self.resources,
            // Its last words are then in the status of the pod, from where they are told.
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "securityContext": {
                "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
            },
        });
        merge(&mut body, self.container.clone());
        merge(
            &mut body,
            json!({
                "imagePullPolicy": common.image_pull_policy,
                "envFrom": common.env_from,
                "securityContext": common.security_context,
            }),
        );
        if let Some(resources) = &common.resources {
            body["resources"] = without_storage(json!(resources), &self.resources);
        }
        body
    }

    /// The operator's variables, then the manifest's; none twice, since the API server refuses that. Ours win over
    /// one of the manifest, the later one of the manifest wins over the earlier, as in a pod.
    fn variables(&self) -> Vec<Value> {
        let mut known: BTreeSet<&str> = self.env.iter().filter_map(|v| v["name"].as_str()).collect();
        let theirs: Vec<&Variable> = self.common.variables().map(|(_, v)| v).collect();
        let mut kept: Vec<Value> = theirs
            .into_iter()
            .rev()
            .filter(|v| known.insert(&v.name))
            .map(|v| json!(v))
            .collect();
        kept.reverse();
        joined(&self.env, Some(&kept))
    }

    /// The Service on the given port; its target stays what the process listens on.
    #[must_use]
    pub fn service(&self) -> Object {
        let service = self.common.service.clone().unwrap_or_default();
        let kind = self.common.service_kind();
        let mut port = json!({
            "name": self.protocol, "port": self.common.port(self.port), "targetPort": self.protocol, "protocol": "TCP",
        });
        merge(&mut port, json!({"nodePort": service.node_port}));
        let ranges = service
            .load_balancer_source_ranges
            .filter(|_| kind == ServiceType::LoadBalancer);
        let mut spec = json!({"type": kind, "selector": self.owner.selector(self.component), "ports": [port]});
        merge(&mut spec, json!({"loadBalancerSourceRanges": ranges}));
        self.object::<Service>(json!({"metadata": {"annotations": service.annotations}, "spec": spec}))
    }

    /// The account of the pods, unless the manifest names one.
    #[must_use]
    pub fn account(&self) -> Option<Object> {
        let spec = self.common.service_account.clone().unwrap_or_default();
        let fields = json!({"metadata": {"annotations": spec.annotations}, "automountServiceAccountToken": false});
        spec.name.is_none().then(|| self.object::<ServiceAccount>(fields))
    }

    /// A budget that lets one pod go at a time, where there are several.
    #[must_use]
    pub fn budget(&self, replicas: i32) -> Option<Object> {
        let spec = json!({
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": self.owner.selector(self.component)},
        });
        (replicas > 1).then(|| self.object::<PodDisruptionBudget>(json!({"spec": spec})))
    }

    /// A Deployment of these pods.
    #[must_use]
    pub fn deployment(&self, replicas: i32, strategy: &Value, deadline: i32) -> Object {
        self.object::<Deployment>(
            json!({"metadata": {"annotations": secret::noted(&self.annotations)}, "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": self.owner.selector(self.component)},
                "strategy": strategy,
                "progressDeadlineSeconds": deadline,
                "revisionHistoryLimit": 3,
                "template": self.template(),
            }}),
        )
    }

    /// An object that is named like the workload.
    #[must_use]
    pub fn object<K: kube::Resource<DynamicType = ()>>(&self, fields: Value) -> Object {
        let mut object = self.owner.object::<K>(self.component, &self.name, fields);
        let version = crate::base::image::tag(&self.image).unwrap_or_default();
        // A digest is no label value, nor is every tag.
        if !version.is_empty() && names::is_label_value(version) {
            object.body["metadata"]["labels"]["app.kubernetes.io/version"] = version.into();
        }
        object
    }
}

/// Both lists, ours first.
fn joined(ours: &[Value], theirs: Option<&Vec<Value>>) -> Vec<Value> {
    ours.iter().chain(theirs.into_iter().flatten()).cloned().collect()
}

/// Containers of the manifest under Pod Security "restricted", with their last words in the status of the pod, unless they
/// say otherwise.
fn confined(containers: &[Value]) -> Vec<Value> {
    let each = containers.iter().map(|container| {
        let context = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
        let mut confined = json!({"securityContext": context, "terminationMessagePolicy": "FallbackToLogsOnError"});
        merge(&mut confined, container.clone());
        confined
    });
    each.collect()
}

/// None twice: the API server tells them apart by their names.
fn unique(secrets: &[LocalObjectReference]) -> Vec<&LocalObjectReference> {
    let mut known = BTreeSet::new();
    secrets.iter().filter(|s| known.insert(&s.name)).collect()
}

fn some(list: Vec<Value>) -> Option<Vec<Value>> {
    (!list.is_empty()).then_some(list)
}

/// The manifest's resources, without `storage`, which means the claim's size in older manifests, and with what the
/// operator must add, such as a GPU.
fn without_storage(mut resources: Value, ours: &Value) -> Value {
    for list in ["requests", "limits"] {
        if let Some(values) = resources.get_mut(list).and_then(Value::as_object_mut) {
            values.remove("storage");
        }
    }
    let extended = ours["limits"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| name.contains('/'));
    for (name, count) in extended {
        merge(&mut resources, json!({"limits": {name: count}}));
    }
    resources
}
