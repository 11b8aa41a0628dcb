//! Ollama: the servers that hold the models and answer.

pub mod models;

use super::common::check::{self, Subject};
use super::common::pod::Pod;
use super::common::{AccessMode, Common, NetworkPolicySpec, Persistence, network};
use crate::base::image;
use crate::base::issue::{Concern, Issue, Review};
use crate::base::object::{self, Object, RETAINED_FOR, Treatment, merge};
use crate::base::quantity::Quantity;
use crate::base::seen::Seen;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod as CorePod, Service};
use kube::ResourceExt;
use kube::core::DynamicObject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use validator::Validate;

/// The component's name; also that of its container.
pub const NAME: &str = "ollama";
/// Where the server listens, whatever the Service says.
pub const PORT: i32 = 11434;
/// The size of a claim where the manifest gives none.
pub const SIZE: &str = "50Gi";
/// Seconds that running answers get when a pod stops (SIGTERM alone cuts them at once: facts, testbed-images 4).
pub const DRAIN: i32 = 30;
/// The annotation that says that the start-up gate has been open once.
pub const GATE_OPENED: &str = "llm.geeper.io/gate-opened";

/// Where HOME and the models are: the one writable volume.
const DATA: &str = "/data";
const GATE: &str = "/etc/llm-operator/models";
/// A process of this user needs nothing of the image's own users.
const UID: i64 = 10001;

/// A pull that ended on a full disk can leave an empty list of parts, which fails every later pull of that blob with
/// EOF, even after a restart (facts, testbed-images 4): such blobs are dropped before the server starts.
const START: &str = r#"for f in "$OLLAMA_MODELS"/blobs/sha256-*-partial-*; do
  if [ -e "$f" ] && [ ! -s "$f" ]; then rm -f "${f%-partial-*}"-partial*; fi
done
exec ollama serve "$@""#;

/// Ready when the server answers and every required model is there. A last line without a newline counts as well,
/// else the gate would fail open; the CLI must not eat the list, hence `</dev/null`.
const CHECK: &str = r#"while read -r m || [ -n "$m" ]; do [ -z "$m" ] || ollama show -- "$m" </dev/null >/dev/null || exit 1; done </etc/llm-operator/models/required"#;

/// Ollama servers and the models on them.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct OllamaSpec {
    /// The fields that every component has. Ollama is on unless `enabled` is false.
    #[serde(flatten)]
    #[validate(nested)]
    pub common: Common,
    /// Number of servers, each with all models. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(range(min = 1, max = 10))]
    pub replicas: Option<i32>,
    /// Models to pull: each a string `name[:tag]`, or an object `{name, tag, pullPolicy, insecure}`. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::base::crd::anything", default)]
    pub models: Option<Vec<Value>>,
    /// Where the models are kept. Default: off (pulled again for every new pod), size 50Gi.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    pub persistence: Option<Persistence>,
    /// GPUs of each server. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    pub gpu: Option<Gpu>,
    /// Seconds that running answers get when a pod stops; 0 cuts them. Default: 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(range(min = 0, max = 3600))]
    pub drain_seconds: Option<i32>,
    /// How long a model stays loaded (OLLAMA_KEEP_ALIVE), such as `10m`, seconds, or -1 for ever. Default: 5m.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::base::crd::quantity", default)]
    pub keep_alive: Option<Value>,
    /// Answers at a time for each model (OLLAMA_NUM_PARALLEL). Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(range(min = 1, max = 256))]
    pub num_parallel: Option<i32>,
    /// Models loaded at a time (OLLAMA_MAX_LOADED_MODELS). Default: 3 for each GPU, or 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(range(min = 1, max = 256))]
    pub max_loaded_models: Option<i32>,
    /// Requests that wait at most (OLLAMA_MAX_QUEUE). Default: 512.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(range(min = 1, max = 65536))]
    pub max_queue: Option<i32>,
    /// Tokens of context (OLLAMA_CONTEXT_LENGTH). Default: by the memory of the GPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(range(min = 1, max = 16_777_216))]
    pub context_length: Option<i32>,
    /// Flash attention (OLLAMA_FLASH_ATTENTION). Default: Ollama's own choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flash_attention: Option<bool>,
    /// Type of the KV cache (OLLAMA_KV_CACHE_TYPE). Default: f16.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv_cache_type: Option<KvCacheType>,
}

/// GPUs of each server.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct Gpu {
    /// Who made them; picks the image variant and the resource.
    pub vendor: Vendor,
    /// How many. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(range(min = 1, max = 64))]
    pub count: Option<i32>,
    /// The extended resource, such as `nvidia.com/mig-1g.10gb`. Default: nvidia.com/gpu or amd.com/gpu.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 3, max = 253))]
    pub resource_name: Option<String>,
}

/// Makers of GPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Vendor {
    /// NVIDIA.
    Nvidia,
    /// AMD; another image variant.
    Amd,
}

/// Types of the KV cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KvCacheType {
    /// Half precision.
    F16,
    /// Eight bits.
    #[serde(rename = "q8_0")]
    Q8,
    /// Four bits.
    #[serde(rename = "q4_0")]
    Q4,
}

/// What the start-up gate asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gate {
    /// Names that must be on a server before it is Ready.
    pub required: Vec<String>,
    /// It has been open once: what is added now must not take a serving pod out.
    pub opened: bool,
}

impl Gpu {
    /// The extended resource.
    #[must_use]
    pub fn resource(&self) -> &str {
        self.resource_name.as_deref().unwrap_or(match self.vendor {
            Vendor::Nvidia => "nvidia.com/gpu",
            Vendor::Amd => "amd.com/gpu",
        })
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> i32 {
        self.count.unwrap_or(1)
    }
}

impl OllamaSpec {
    /// Writes constant defaults into the block.
    pub fn fill(block: &mut Map<String, Value>) {
        set(block, "replicas", 1);
        set(block, "drainSeconds", DRAIN);
        super::common::fill_service(block, PORT);
        super::common::fill_persistence(block, SIZE);
    }

    /// Number of servers.
    #[must_use]
    pub fn replicas(&self) -> i32 {
        self.replicas.unwrap_or(1)
    }

    /// The image that runs.
    #[must_use]
    pub fn image(&self, seen: &Seen<'_>) -> String {
        let defaults = &seen.settings.defaults;
        let amd = self.gpu.as_ref().is_some_and(|g| g.vendor == Vendor::Amd);
        let built_in = if amd {
            format!("{}-rocm", defaults.images.ollama)
        } else {
            defaults.images.ollama.clone()
        };
        image::effective(
            self.common.image.as_deref(),
            self.common.image_tag.as_deref(),
            &built_in,
            &defaults.image_registry,
        )
    }

    /// Every rule on the block itself; `old` is the block before the change, where it was on.
    #[must_use]
    pub fn check(&self, path: &str, old: Option<&Self>, allow_unsafe: bool) -> Review {
        let mut review = Review {
            issues: check::bounds(path, self),
            warnings: vec![],
        };
        review.extend(check::common(&Subject {
            path,
            common: &self.common,
            component: NAME,
            variables: &self.variables(),
            useless: &[],
            volumes: &[("data", DATA), ("models", GATE), ("tmp", "/tmp")],
            allow_unsafe,
        }));
        review
            .issues
            .extend(models::check(path, self.models.as_deref().unwrap_or_default()));
        self.check_storage(path, old, &mut review);
        self.check_gpu(path, &mut review);
        if self.common.ingress_enabled.is_some() || self.common.ingress_host.is_some() {
            review.warn(
                Concern::NoEffect,
                format!("{path} has no ingress: Ollama asks nobody for a password"),
            );
        }
        review
    }

    fn check_storage(&self, path: &str, old: Option<&Self>, review: &mut Review) {
        let Some(persistence) = self.persistence.as_ref().filter(|p| p.is_on()) else {
            if self.models.as_ref().is_some_and(|m| !m.is_empty()) {
                review.warn(
                    Concern::DataLoss,
                    format!("{path}.persistence is off: every new pod pulls all models again"),
                );
            }
            return;
        };
        review.issues.extend(check::persistence(
            path,
            persistence,
            old.and_then(|o| o.persistence.as_ref()),
        ));
        let shared = persistence.modes().contains(&AccessMode::ReadWriteMany);
        if let (Some(claim), true, false) = (&persistence.existing_claim, self.replicas() > 1, shared) {
            let detail = "several replicas need a claim that many nodes can write: set accessModes to [ReadWriteMany] if it \
                          is one, or leave existingClaim away and each replica gets a claim of its own";
            let at = format!("{path}.persistence.existingClaim");
            review
                .issues
                .push(Issue::invalid(at, "shared-claim", claim.as_str(), detail).fatal());
        }
    }

    fn check_gpu(&self, path: &str, review: &mut Review) {
        let Some(gpu) = &self.gpu else { return };
        if !gpu.resource().contains('/') {
            let detail = "is not an extended resource such as nvidia.com/gpu";
            review
                .issues
                .push(Issue::invalid(format!("{path}.gpu.resourceName"), "gpu", gpu.resource(), detail).fatal());
        }
        let Some(resources) = &self.common.resources else {
            return;
        };
        for (list, values) in [("requests", &resources.requests), ("limits", &resources.limits)] {
            let Some(value) = values.as_ref().and_then(|v| v.get(gpu.resource())) else {
                continue;
            };
            if Quantity::parse(value).ok() != Quantity::parse(&json!(gpu.count())).ok() {
                let at = format!("{path}.resources.{list}.{}", gpu.resource());
                let detail = format!("must equal {path}.gpu.count, which is {}; leave it away", gpu.count());
                review
                    .issues
                    .push(Issue::invalid(at, "gpu", value.clone(), detail).fatal());
            }
        }
    }

    /// Variables that the operator sets, and by which field.
    fn variables(&self) -> Vec<(&'static str, Option<&'static str>)> {
        let mut owned = vec![
            ("OLLAMA_HOST", None),
            ("OLLAMA_MODELS", None),
            ("OLLAMA_NOPRUNE", None),
            ("HOME", None),
        ];
        owned.extend(
            self.typed()
                .into_iter()
                .filter(|(_, _, v)| v.is_some())
                .map(|(name, field, _)| (name, Some(field))),
        );
        owned
    }

    /// Typed forms of Ollama's variables: name, field, value.
    fn typed(&self) -> [(&'static str, &'static str, Option<String>); 7] {
        let number = |n: Option<i32>| n.map(|n| n.to_string());
        let plain = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_string);
        [
            ("OLLAMA_KEEP_ALIVE", "keepAlive", self.keep_alive.as_ref().map(plain)),
            ("OLLAMA_NUM_PARALLEL", "numParallel", number(self.num_parallel)),
            (
                "OLLAMA_MAX_LOADED_MODELS",
                "maxLoadedModels",
                number(self.max_loaded_models),
            ),
            ("OLLAMA_MAX_QUEUE", "maxQueue", number(self.max_queue)),
            ("OLLAMA_CONTEXT_LENGTH", "contextLength", number(self.context_length)),
            (
                "OLLAMA_FLASH_ATTENTION",
                "flashAttention",
                self.flash_attention.map(|on| u8::from(on).to_string()),
            ),
            (
                "OLLAMA_KV_CACHE_TYPE",
                "kvCacheType",
                self.kv_cache_type.map(|t| plain(&json!(t))),
            ),
        ]
    }

    fn env(&self) -> Vec<Value> {
        let mut env = vec![
            json!({"name": "OLLAMA_HOST", "value": format!("0.0.0.0:{PORT}")}),
            json!({"name": "HOME", "value": DATA}),
            json!({"name": "OLLAMA_MODELS", "value": format!("{DATA}/models")}),
            // Partial files of a pull are kept for as long as it takes, not for an hour.
            json!({"name": "OLLAMA_NOPRUNE", "value": "1"}),
        ];
        let chosen = |name: &str| self.common.variables().any(|(_, v)| v.name == name);
        // A private stack asks no cloud; the image would show a pod every GPU of its node (facts, products 1.1).
        let void = self.gpu.is_none().then_some(("NVIDIA_VISIBLE_DEVICES", "void"));
        let soft = [Some(("OLLAMA_NO_CLOUD", "1")), void];
        env.extend(
            soft.into_iter()
                .flatten()
                .filter(|(n, _)| !chosen(n))
                .map(|(n, v)| json!({"name": n, "value": v})),
        );
        env.extend(
            self.typed()
                .into_iter()
                .filter_map(|(n, _, v)| v.map(|v| json!({"name": n, "value": v}))),
        );
        env
    }

    /// Everything that should exist for the servers.
    #[must_use]
    pub fn objects(&self, seen: &Seen<'_>, policy: &NetworkPolicySpec, gate: &Gate) -> Vec<Object> {
        let pod = self.pod(seen);
        let mut headless = seen.owner.object::<Service>(
            NAME,
            &format!("{}-headless", pod.name),
            json!({"spec": {
                "clusterIP": "None",
                // A pod has a name before its gate opens, so that its models can be pulled to it.
                "publishNotReadyAddresses": true,
                "selector": seen.owner.selector(NAME),
                "ports": [{"name": "http", "port": PORT, "targetPort": "http", "protocol": "TCP"}],
            }}),
        );
        headless.body["spec"]["type"] = "ClusterIP".into();
        let mut objects = vec![gate.object(seen, &pod.name), pod.service(), headless];
        objects.extend(pod.account());
        objects.extend(network::policy(&pod, policy, Some(&seen.settings.namespace)));
        objects.extend(pod.budget(self.replicas()));
        objects.extend(self.grown_claims(seen, &pod.name));
        // Last, so that what its pods mount and name exists before them.
        objects.extend(self.workloads(seen, &pod));
        objects
    }

    fn pod<'a>(&'a self, seen: &Seen<'a>) -> Pod<'a> {
        let drain = self.drain_seconds.unwrap_or(DRAIN);
        let mut container = json!({
            "command": ["/bin/sh", "-c", START, NAME],
            "args": self.common.extra_args.clone().unwrap_or_default(),
            // A pull may take hours: the gate waits for it, and nothing else judges the server before.
            "startupProbe": {
                "exec": {"command": ["/bin/sh", "-c", CHECK]},
                "periodSeconds": 2, "timeoutSeconds": 10, "failureThreshold": 1_000_000,
            },
            "readinessProbe": {"httpGet": {"path": "/api/version", "port": "http"}, "periodSeconds": 5, "timeoutSeconds": 5},
            "livenessProbe": {
                "httpGet": {"path": "/", "port": "http"},
                "periodSeconds": 20, "timeoutSeconds": 10, "failureThreshold": 6,
            },
        });
        if drain > 0 {
            container["lifecycle"] = json!({"preStop": {"sleep": {"seconds": drain}}});
        }
        let data = match self.persistence.as_ref().filter(|p| p.is_on()) {
            Some(Persistence {
                existing_claim: Some(claim),
                ..
            }) => Some(json!({"name": "data", "persistentVolumeClaim": {"claimName": claim}})),
            Some(_) => None,
            None => Some(json!({"name": "data", "emptyDir": {}})),
        };
        let name = format!("{}-{NAME}", seen.owner.name);
        let mut volumes = vec![
            json!({"name": "models", "configMap": {"name": format!("{name}-models")}}),
            json!({"name": "tmp", "emptyDir": {}}),
        ];
        volumes.extend(data);
        let gpu = self.gpu.as_ref();
        let mut resources = json!({"requests": {"cpu": "250m", "memory": "512Mi"}});
        if let Some(gpu) = gpu {
            resources["limits"] = json!({gpu.resource(): gpu.count()});
        }
        Pod {
            owner: seen.owner,
            component: NAME,
            common: &self.common,
            image: self.image(seen),
            port: PORT,
            uid: UID,
            container,
            env: self.env(),
            volumes,
            mounts: vec![
                json!({"name": "data", "mountPath": DATA}),
                json!({"name": "models", "mountPath": GATE, "readOnly": true}),
                json!({"name": "tmp", "mountPath": "/tmp"}),
            ],
            resources,
            tolerations: gpu
                .map(|g| json!({"key": g.resource(), "operator": "Exists", "effect": "NoSchedule"}))
                .into_iter()
                .collect(),
            annotations: Map::new(),
            grace: i64::from(drain) + 10,
            name,
        }
    }

    /// The workload, and the one of the other kind for as long as it must stay.
    fn workloads(&self, seen: &Seen<'_>, pod: &Pod<'_>) -> Vec<Object> {
        let claims = self
            .persistence
            .as_ref()
            .filter(|p| p.is_on() && p.existing_claim.is_none());
        let (new, old) = match claims {
            Some(persistence) => (self.stateful_set(seen, pod, persistence), kept::<Deployment>(seen, pod)),
            None => (self.deployment(pod), kept::<StatefulSet>(seen, pod)),
        };
        let ready = seen
            .live
            .iter()
            .find(|o| is(o, &new))
            .is_some_and(|o| ready_replicas(o) >= self.replicas());
        let stays = self.gpu.is_none() && !ready && !unschedulable(seen.live);
        old.filter(|_| stays).into_iter().chain([new]).collect()
    }

    fn deployment(&self, pod: &Pod<'_>) -> Object {
        let one_node = self
            .persistence
            .as_ref()
            .is_some_and(|p| p.is_on() && !p.modes().contains(&AccessMode::ReadWriteMany));
        let strategy = if one_node {
            // The new pod could not mount the claim while the old one has it.
            json!({"type": "Recreate"})
        } else if self.gpu.is_some() {
            // A spare GPU is not to be counted on.
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}})
        } else {
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})
        };
        // A day: what is pulled is large, and the gate is closed meanwhile.
        pod.deployment(self.replicas(), strategy, 86400)
    }

    fn stateful_set(&self, seen: &Seen<'_>, pod: &Pod<'_>, persistence: &Persistence) -> Object {
        let live = object::find::<StatefulSet>(seen.live, &pod.name);
        let templates = live
            .map(|l| l.data["spec"]["volumeClaimTemplates"].clone())
            .filter(Value::is_array);
        // The templates of a StatefulSet never change; claims that should be larger are grown one by one.
        let templates = templates.map_or_else(
            || json!([self.claim_template(seen, persistence)]),
            |live| trimmed(&live),
        );
        pod.object::<StatefulSet>(json!({"spec": {
            "replicas": self.replicas(),
            "serviceName": format!("{}-headless", pod.name),
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": seen.owner.selector(NAME)},
            "revisionHistoryLimit": 3,
            "persistentVolumeClaimRetentionPolicy": {
                "whenDeleted": if persistence.retains() { "Retain" } else { "Delete" },
                "whenScaled": "Retain",
            },
            "volumeClaimTemplates": templates,
            "template": pod.template(),
        }}))
    }

    fn size(&self) -> Value {
        let asked = self.persistence.as_ref().and_then(|p| p.size.clone());
        let storage = || {
            let resources = self.common.resources.as_ref()?;
            let list = |l: &Option<std::collections::BTreeMap<String, Value>>| l.as_ref()?.get("storage").cloned();
            list(&resources.requests).or_else(|| list(&resources.limits))
        };
        asked.or_else(storage).unwrap_or_else(|| SIZE.into())
    }

    fn claim_template(&self, seen: &Seen<'_>, persistence: &Persistence) -> Value {
        let mut spec = persistence.claim(SIZE);
        spec["resources"]["requests"]["storage"] = self.size();
        json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {
                "name": "data",
                "labels": seen.owner.labels(NAME),
                "annotations": {RETAINED_FOR: seen.owner.reference()},
            },
            "spec": spec,
        })
    }

    /// Claims that are smaller than the manifest says, with their new size.
    fn grown_claims(&self, seen: &Seen<'_>, workload: &str) -> Vec<Object> {
        let Some(wanted) = Quantity::parse(&self.size()).ok() else {
            return vec![];
        };
        let prefix = format!("data-{workload}-");
        let small = object::all::<PersistentVolumeClaim>(seen.live).filter(|claim| {
            let size = Quantity::parse(&claim.data["spec"]["resources"]["requests"]["storage"]);
            claim.name_any().starts_with(&prefix) && size.is_ok_and(|size| size < wanted)
        });
        let grow = |claim: &DynamicObject| {
            let fields = json!({"spec": {"resources": {"requests": {"storage": self.size()}}}});
            seen.owner
                .object::<PersistentVolumeClaim>(NAME, &claim.name_any(), fields)
                .retained(seen.owner)
        };
        small.map(grow).collect()
    }
}

impl Gate {
    fn object(&self, seen: &Seen<'_>, workload: &str) -> Object {
        let lines: String = self.required.iter().map(|name| format!("{name}\n")).collect();
        let mut fields = json!({"data": {"required": lines}});
        if self.opened {
            merge(&mut fields, json!({"metadata": {"annotations": {GATE_OPENED: "true"}}}));
        }
        seen.owner
            .object::<ConfigMap>(NAME, &format!("{workload}-models"), fields)
    }

    /// The gate as it stands in the cluster.
    #[must_use]
    pub fn live(seen: &Seen<'_>) -> Self {
        let map = object::find::<ConfigMap>(seen.live, &format!("{}-{NAME}-models", seen.owner.name));
        let lines = map
            .and_then(|m| m.data["data"]["required"].as_str())
            .unwrap_or_default();
        let noted = map.is_some_and(|m| m.annotations().contains_key(GATE_OPENED));
        Self {
            required: lines.lines().map(str::to_string).collect(),
            opened: noted || workload(seen).is_some_and(|w| ready_replicas(w) > 0),
        }
    }
}

/// The live workload of the servers, of whichever kind.
#[must_use]
pub fn workload<'a>(seen: &Seen<'a>) -> Option<&'a DynamicObject> {
    let name = format!("{}-{NAME}", seen.owner.name);
    object::find::<StatefulSet>(seen.live, &name).or_else(|| object::find::<Deployment>(seen.live, &name))
}

fn kept<K: kube::Resource<DynamicType = ()>>(seen: &Seen<'_>, pod: &Pod<'_>) -> Option<Object> {
    object::find::<K>(seen.live, &pod.name)?;
    let mut object = pod.object::<K>(json!({}));
    object.treatment = Treatment::Kept;
    Some(object)
}

fn is(live: &DynamicObject, object: &Object) -> bool {
    live.types.as_ref().is_some_and(|t| t.kind == object.resource.kind) && live.name_any() == object.name
}

fn ready_replicas(workload: &DynamicObject) -> i32 {
    workload.data["status"]["readyReplicas"]
        .as_i64()
        .and_then(|n| i32::try_from(n).ok())
        .unwrap_or(0)
}

fn unschedulable(live: &[DynamicObject]) -> bool {
    object::all::<CorePod>(live).any(|pod| {
        let conditions = pod.data["status"]["conditions"].as_array();
        conditions
            .into_iter()
            .flatten()
            .any(|c| c["type"] == "PodScheduled" && c["reason"] == "Unschedulable")
    })
}

/// Live claim templates without what the API server added, so that applying them again changes nothing.
fn trimmed(templates: &Value) -> Value {
    let each = templates.as_array().into_iter().flatten().map(|t| {
        let mut template = t.clone();
        if let Some(fields) = template.as_object_mut() {
            fields.remove("status");
        }
        template
    });
    each.collect()
}

fn set(block: &mut Map<String, Value>, field: &str, value: impl Into<Value>) {
    block.entry(field).or_insert_with(|| value.into());
}
