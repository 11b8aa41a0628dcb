//! What every component's spec shares: the common block, its Service, claims, Ingress and policy, and their schema.

pub mod autoscaling;
pub mod bounds;
pub mod check;
pub mod gateway;
pub mod ingress;
pub mod network;
pub mod persistence;
pub mod pod;
mod safety;
pub mod secret;
pub mod service;
mod volumes;

use crate::base::seen::Seen;
use crate::base::{crd, image};
pub use autoscaling::AutoscalingSpec;
pub use gateway::GatewaySpec;
pub use ingress::IngressSpec;
use k8s_openapi::api::core::v1::LocalObjectReference;
pub use persistence::{AccessMode, Persistence};
use schemars::JsonSchema;
pub use secret::SecretKey;
use serde::{Deserialize, Serialize};
use serde_json::Value;
pub use service::{ServiceSpec, ServiceType};
use std::collections::{BTreeMap, BTreeSet};
use validator::Validate;

/// The fields that every component has.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct Common {
    /// Whether the component runs. Never filled in; what an absent value means is said at the component.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The container image, with or without a tag. Default: the built-in image of the installation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 512))]
    pub image: Option<String>,
    /// The tag, where `image` has none. Default: the tag of the built-in image.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 128))]
    pub image_tag: Option<String>,
    /// When the node pulls the image. Default: Kubernetes' own rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<PullPolicy>,
    /// Secrets of this namespace with registry credentials. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 16))]
    pub image_pull_secrets: Option<Vec<LocalObjectReference>>,
    /// Requests and limits of the container. Default: those of the component.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// The Service. Default: ClusterIP on the component's own port.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    pub service: Option<ServiceSpec>,
    /// Further environment variables of the container. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 128))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub env: Option<Vec<Variable>>,
    /// The older name of `env`; both lists count. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 128))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub env_vars: Option<Vec<Variable>>,
    /// Secrets and ConfigMaps whose keys become variables (core/v1 EnvFromSource). Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crd::objects")]
    pub env_from: Option<Vec<Value>>,
    /// Further arguments of the process. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 64))]
    pub extra_args: Option<Vec<String>>,
    /// Further volumes of the pod (core/v1 Volume). Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crd::objects")]
    pub volumes: Option<Vec<Value>>,
    /// Where those volumes are mounted (core/v1 VolumeMount). Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crd::objects")]
    pub volume_mounts: Option<Vec<Value>>,
    /// Containers that run to their end before the component starts (core/v1 Container). Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crd::objects")]
    pub init_containers: Option<Vec<Value>>,
    /// Labels that a node must have. Default: any node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_selector: Option<BTreeMap<String, String>>,
    /// Taints that the pods tolerate (core/v1 Toleration). Default: none, with a GPU that of its resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crd::objects")]
    pub tolerations: Option<Vec<Value>>,
    /// Scheduling rules (core/v1 Affinity). Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crd::object")]
    pub affinity: Option<Value>,
    /// The RuntimeClass of the pods, such as `nvidia`. Default: the cluster's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 253))]
    pub runtime_class_name: Option<String>,
    /// The PriorityClass of the pods. Default: the cluster's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 253))]
    pub priority_class_name: Option<String>,
    /// The ServiceAccount of the pods. Default: one of its own, without a token in the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    pub service_account: Option<ServiceAccountSpec>,
    /// Annotations of the pods. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_annotations: Option<BTreeMap<String, String>>,
    /// Labels of the pods; they cannot replace those that the operator sets. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_labels: Option<BTreeMap<String, String>>,
    /// Laid over the pod's security context (core/v1 PodSecurityContext). Default: Pod Security "restricted".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crd::object")]
    pub pod_security_context: Option<Value>,
    /// Laid over the container's security context (core/v1 SecurityContext). Default: Pod Security "restricted".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crd::object")]
    pub security_context: Option<Value>,
    /// Deprecated: `service.type`, which counts where both are given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_type: Option<ServiceType>,
    /// Deprecated: `service.port`, which counts where both are given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(range(min = 1, max = 65535))]
    pub service_port: Option<i32>,
    /// Deprecated: `ingress.enabled`, which counts where both are given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress_enabled: Option<bool>,
    /// Deprecated: `ingress.host`, which counts where both are given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 253))]
    pub ingress_host: Option<String>,
}

/// When a node pulls an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(transform = crate::base::crd::choice)]
pub enum PullPolicy {
    /// At every start.
    Always,
    /// When the node has it not.
    IfNotPresent,
    /// Never.
    Never,
}

/// Requests and limits.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// What the scheduler sets aside. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crd::quantities")]
    pub requests: Option<BTreeMap<String, Value>>,
    /// What the container may use at most. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crd::quantities")]
    pub limits: Option<BTreeMap<String, Value>>,
}

/// An environment variable.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value. Default: empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Where its value comes from (core/v1 EnvVarSource). Default: `value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crd::object")]
    pub value_from: Option<Value>,
}

/// The ServiceAccount of a component's pods.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccountSpec {
    /// An account that exists. Default: one named like the component's workload is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 253))]
    pub name: Option<String>,
    /// Annotations of the account that is made. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// Whether network policies are made.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicySpec {
    /// Whether there are any. Default: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Who may reach Ollama, Open WebUI and Tabby (networking/v1 NetworkPolicyPeer). Default: everyone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crd::objects")]
    pub from: Option<Vec<Value>>,
}

impl Common {
    /// Both lists of variables, with the path of each.
    pub fn variables(&self) -> impl Iterator<Item = (String, &Variable)> {
        let list = |field: &'static str, list: &'static str| move |i: usize| format!("{field}{list}[{i}]");
        let env = self
            .env
            .iter()
            .flatten()
            .enumerate()
            .map(move |(i, v)| (list("", "env")(i), v));
        env.chain(
            self.env_vars
                .iter()
                .flatten()
                .enumerate()
                .map(move |(i, v)| (list("", "envVars")(i), v)),
        )
    }

    /// The port of the Service, given the component's own.
    #[must_use]
    pub fn port(&self, own: i32) -> i32 {
        self.service
            .as_ref()
            .and_then(|s| s.port)
            .or(self.service_port)
            .unwrap_or(own)
    }

    /// The type of the Service.
    #[must_use]
    pub fn service_kind(&self) -> ServiceType {
        self.service
            .as_ref()
            .and_then(|s| s.kind)
            .or(self.service_type)
            .unwrap_or_default()
    }

    /// Names of the variables that the manifest sets.
    #[must_use]
    pub fn variable_names(&self) -> BTreeSet<&str> {
        self.variables().map(|(_, v)| v.name.as_str()).collect()
    }

    /// Names of the resources that the manifest asks for or limits.
    pub fn resource_names(&self) -> impl Iterator<Item = &str> {
        let lists = self.resources.iter().flat_map(|r| [&r.requests, &r.limits]);
        lists.flatten().flat_map(|list| list.keys().map(String::as_str))
    }

    /// The size of claims where an older manifest gives it: as a resource of the container.
    #[must_use]
    pub fn storage(&self) -> Option<&Value> {
        let resources = self.resources.as_ref()?;
        let storage =
            |list: &'_ Option<BTreeMap<String, Value>>| list.as_ref().is_some_and(|l| l.contains_key("storage"));
        let list = [&resources.requests, &resources.limits]
            .into_iter()
            .find(|l| storage(l))?;
        list.as_ref()?.get("storage")
    }

    /// The block of an inner part of the stack, of which a manifest says no more than its image and its resources.
    #[must_use]
    pub fn inner(image: Option<&String>, resources: Option<&Resources>) -> Self {
        Self {
            image: image.cloned(),
            resources: resources.cloned(),
            ..Self::default()
        }
    }

    /// The image that runs, given the built-in one.
    #[must_use]
    pub fn effective_image(&self, seen: &Seen<'_>, built_in: &str) -> String {
        let registry = &seen.settings.defaults.image_registry;
        image::effective(self.image.as_deref(), self.image_tag.as_deref(), built_in, registry)
    }

    /// The account that the pods run as, given the workload's name.
    #[must_use]
    pub fn account<'a>(&'a self, workload: &'a str) -> &'a str {
        self.service_account
            .as_ref()
            .and_then(|a| a.name.as_deref())
            .unwrap_or(workload)
    }
}
