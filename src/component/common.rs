//! What every component's spec shares: the common block, ingress, gateway and persistence, and their schema.

pub mod check;
pub mod network;
pub mod pod;

use crate::base::crd;
use k8s_openapi::api::core::v1::LocalObjectReference;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
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
    pub env: Option<Vec<Variable>>,
    /// The older name of `env`; both lists count. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 128))]
    pub env_vars: Option<Vec<Variable>>,
    /// Secrets and ConfigMaps whose keys become variables (core/v1 EnvFromSource). Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crd::objects", default)]
    pub env_from: Option<Vec<Value>>,
    /// Further arguments of the process. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 64))]
    pub extra_args: Option<Vec<String>>,
    /// Further volumes of the pod (core/v1 Volume). Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crd::objects", default)]
    pub volumes: Option<Vec<Value>>,
    /// Where those volumes are mounted (core/v1 VolumeMount). Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crd::objects", default)]
    pub volume_mounts: Option<Vec<Value>>,
    /// Containers that run to their end before the component starts (core/v1 Container). Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crd::objects", default)]
    pub init_containers: Option<Vec<Value>>,
    /// Labels that a node must have. Default: any node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_selector: Option<BTreeMap<String, String>>,
    /// Taints that the pods tolerate (core/v1 Toleration). Default: none, with a GPU that of its resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crd::objects", default)]
    pub tolerations: Option<Vec<Value>>,
    /// Scheduling rules (core/v1 Affinity). Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crd::object", default)]
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
    pub service_account: Option<ServiceAccountSpec>,
    /// Annotations of the pods. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_annotations: Option<BTreeMap<String, String>>,
    /// Labels of the pods; they cannot replace those that the operator sets. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_labels: Option<BTreeMap<String, String>>,
    /// Laid over the pod's security context (core/v1 PodSecurityContext). Default: Pod Security "restricted".
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crd::object", default)]
    pub pod_security_context: Option<Value>,
    /// Laid over the container's security context (core/v1 SecurityContext). Default: Pod Security "restricted".
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crd::object", default)]
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
    /// What the scheduler sets aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crd::quantities", default)]
    pub requests: Option<BTreeMap<String, Value>>,
    /// What the container may use at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crd::quantities", default)]
    pub limits: Option<BTreeMap<String, Value>>,
}

/// The Service of a component.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct ServiceSpec {
    /// ClusterIP, NodePort or LoadBalancer. Default: ClusterIP.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<ServiceType>,
    /// The port of the Service; the process listens where it always does. Default: the component's own port.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(range(min = 1, max = 65535))]
    pub port: Option<i32>,
    /// The port on every node, with type NodePort or LoadBalancer. Default: chosen by the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(range(min = 1, max = 65535))]
    pub node_port: Option<i32>,
    /// Who may reach a load balancer, as CIDRs. Default: everyone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 64))]
    pub load_balancer_source_ranges: Option<Vec<String>>,
    /// Annotations of the Service. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// Types of Services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum ServiceType {
    /// Inside the cluster.
    #[default]
    ClusterIP,
    /// On every node.
    NodePort,
    /// Behind a load balancer of the cloud.
    LoadBalancer,
}

/// An environment variable.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Where its value comes from (core/v1 EnvVarSource).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crd::object", default)]
    pub value_from: Option<Value>,
}

/// The ServiceAccount of a component's pods.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccountSpec {
    /// An account that exists. Default: one named like the component's workload is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Annotations of the account that is made. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// Whether and how data is kept.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "!(has(self.enabled) && self.enabled && has(oldSelf.enabled) && oldSelf.enabled) || (has(self.storageClass) ? self.storageClass : '') == (has(oldSelf.storageClass) ? oldSelf.storageClass : '')",
        "message": "storageClass cannot be changed while persistence is on; switch persistence off, apply, and on again",
        "fieldPath": ".storageClass",
    },
    {
        "rule": "!(has(self.enabled) && self.enabled && has(oldSelf.enabled) && oldSelf.enabled) || (has(self.existingClaim) ? self.existingClaim : '') == (has(oldSelf.existingClaim) ? oldSelf.existingClaim : '')",
        "message": "existingClaim cannot be changed while persistence is on; switch persistence off, apply, and on again",
        "fieldPath": ".existingClaim",
    },
]))]
pub struct Persistence {
    /// Whether data outlives the pods. Default: as said at the component.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The size of the claim; it may grow. Default: as said at the component.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crd::quantity", default)]
    pub size: Option<Value>,
    /// The StorageClass; fixed once there is a claim. Default: the cluster's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 253))]
    pub storage_class: Option<String>,
    /// The access modes; fixed once there is a claim. Default: ReadWriteOnce.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 4))]
    pub access_modes: Option<Vec<AccessMode>>,
    /// A claim that exists and is used as it is. Default: claims are made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 253))]
    pub existing_claim: Option<String>,
    /// Whether claims stay when the component or the object goes. Default: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retain: Option<bool>,
}

/// How a volume may be mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum AccessMode {
    /// By one node.
    ReadWriteOnce,
    /// By many nodes.
    ReadWriteMany,
    /// By many nodes, for reading.
    ReadOnlyMany,
    /// By one pod.
    ReadWriteOncePod,
}

/// How a component is reached from outside through an Ingress.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct IngressSpec {
    /// Whether there is an Ingress. Default: true where `host` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The host name. Required when enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 253))]
    pub host: Option<String>,
    /// The path. Default: /.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 1024))]
    pub path: Option<String>,
    /// The IngressClass. Default: the cluster's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 253))]
    pub class_name: Option<String>,
    /// Annotations, passed through as they are. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// A list of `{hosts, secretName}`, or one such object. Default: no TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crd::value", default)]
    pub tls: Option<Value>,
}

/// How a component is reached from outside through a Gateway.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct GatewaySpec {
    /// The Gateway that an HTTPRoute is attached to.
    pub parent_ref: ParentRef,
    /// The host name. Default: that of the Gateway's listener.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 253))]
    pub host: Option<String>,
}

/// A Gateway.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParentRef {
    /// Its name.
    pub name: String,
    /// Its namespace. Default: that of the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// One listener of it. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section_name: Option<String>,
}

/// Whether network policies are made.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicySpec {
    /// Whether there are any. Default: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Who may reach Ollama and Tabby (networking/v1 NetworkPolicyPeer). Default: everyone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crd::objects", default)]
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

    /// The account that the pods run as, given the workload's name.
    #[must_use]
    pub fn account<'a>(&'a self, workload: &'a str) -> &'a str {
        self.service_account
            .as_ref()
            .and_then(|a| a.name.as_deref())
            .unwrap_or(workload)
    }
}

impl Persistence {
    /// True when a claim of ours, or the user's, holds the data.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.enabled == Some(true)
    }

    /// True when claims stay behind.
    #[must_use]
    pub fn retains(&self) -> bool {
        self.retain != Some(false)
    }

    /// The access modes.
    #[must_use]
    pub fn modes(&self) -> Vec<AccessMode> {
        self.access_modes
            .clone()
            .unwrap_or_else(|| vec![AccessMode::ReadWriteOnce])
    }

    /// The spec of a claim, given the component's default size.
    #[must_use]
    pub fn claim(&self, size: &str) -> Value {
        let mut spec = serde_json::json!({
            "accessModes": self.modes(),
            "resources": {"requests": {"storage": self.size.clone().unwrap_or_else(|| size.into())}},
        });
        if let Some(class) = &self.storage_class {
            spec["storageClassName"] = class.clone().into();
        }
        spec
    }
}

impl IngressSpec {
    /// True when an Ingress should exist.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.enabled.unwrap_or(self.host.is_some())
    }
}

/// Writes the type and port of the Service, unless a flat field gives them.
pub fn fill_service(block: &mut serde_json::Map<String, Value>, port: i32) {
    for (field, flat, value) in [
        ("type", "serviceType", Value::from("ClusterIP")),
        ("port", "servicePort", port.into()),
    ] {
        if !block.contains_key(flat)
            && let Some(service) = block
                .entry("service")
                .or_insert_with(|| serde_json::json!({}))
                .as_object_mut()
        {
            service.entry(field).or_insert(value);
        }
    }
}

/// Writes the size of claims that will be made.
pub fn fill_persistence(block: &mut serde_json::Map<String, Value>, size: &str) {
    let storage = |list: &str| block.get("resources").is_some_and(|r| !r[list]["storage"].is_null());
    // An older manifest may give the size as a resource; that one counts.
    if storage("requests") || storage("limits") {
        return;
    }
    if let Some(persistence) = block.get_mut("persistence").and_then(Value::as_object_mut)
        && persistence.get("enabled") == Some(&true.into())
        && !persistence.contains_key("existingClaim")
    {
        persistence.entry("size").or_insert_with(|| size.into());
    }
}
