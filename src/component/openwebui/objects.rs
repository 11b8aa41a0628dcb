//! Everything that should exist for Open WebUI, and the rule that a first start is one pod's.

use super::{DATA, KEY, NAME, OpenWebuiSpec, PORT};
use crate::base::object::{Form, Generated, Object, find, merge};
use crate::base::secret::Mark;
use crate::base::seen::Seen;
use crate::base::{hash, secret};
use crate::component::common::pod::Pod;
use crate::component::common::{NetworkPolicySpec, ingress, network, persistence};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::core::DynamicObject;
use serde_json::{Map, Value, json};

/// The user that the product's documents test when it is not root.
const UID: i64 = 1000;
/// The annotation of the workload that names what its pods have migrated the database to.
const VERSION: &str = "llm.geeper.io/version";
/// The annotation that says that the first administrator's account was made.
const ADMIN_MADE: &str = "llm.geeper.io/admin-made";

/// What the stack tells Open WebUI of its other parts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wiring {
    /// Addresses of Ollama; the first also embeds.
    pub ollama: Vec<String>,
    /// The model that embeds.
    pub embedding: String,
    /// Variables by which it finds its database, Redis and Pipelines.
    pub variables: Vec<Value>,
    /// What stands for the database: another one is migrated anew.
    pub database: String,
    /// The database is named by a Secret of the manifest, so that another content may be another database.
    pub is_external: bool,
    /// The database outlives the stack, and so must the key that encrypts in it.
    pub outlives: bool,
    /// What it needs at its start is there.
    pub start: bool,
    /// Tells what the Secrets of the manifest hold.
    pub mark: Mark,
}

impl OpenWebuiSpec {
    /// Everything that should exist for the servers; they themselves only with `start`, or when they are there already.
    #[must_use]
    pub fn objects(&self, seen: &Seen<'_>, policy: &NetworkPolicySpec, wiring: &Wiring) -> Vec<Object> {
        let mut pod = self.pod(seen, wiring);
        let secret = seen
            .owner
            .object::<Secret>(NAME, &secret_name(seen), json!({"type": "Opaque"}))
            .generated(vec![Generated {
                key: KEY,
                form: Form::Key,
            }]);
        let keeps = wiring.outlives || self.volume().is_some_and(|v| v.spec.retains());
        let mut objects = vec![if keeps { secret.retained(seen.owner) } else { secret }, pod.service()];
        objects.extend(pod.account());
        objects.extend(network::policy(&pod, policy, &[]));
        objects.extend(pod.budget(self.most().0));
        let claim = format!("{}-data", pod.name);
        objects.extend(self.volume().and_then(|v| v.object(seen, NAME, &claim)));
        objects.extend(ingress::object(&pod, self.ingress.as_ref()));
        objects.extend(self.gateway.as_ref().and_then(|gateway| gateway.object(&pod)));
        if exists(seen) || wiring.start && !wiring.mark.is_awaited(None) {
            objects.extend(self.servers(seen, &mut pod, wiring));
        }
        objects
    }

    /// Never two versions at once, and never two pods on a database that neither has migrated: one of them would crash
    /// (facts, testbed-images 7). So the first pod of a version starts alone, and the others follow when it is Ready.
    fn servers(&self, seen: &Seen<'_>, pod: &mut Pod<'_>, wiring: &Wiring) -> Vec<Object> {
        let content = secret::noted(&pod.annotations).filter(|_| wiring.is_external);
        let version = format!("{}\n{}\n{}", pod.image, wiring.database, json!(content));
        let version = hash::short(&version, 16);
        let live = live(seen);
        let migrated = live.is_some_and(|live| has_migrated(live, &version));
        let mut annotations = json!({VERSION: version});
        // Whoever makes the administrator closes sign-up for the rest of its life, so where it is to be open it is
        // started once more, with the others.
        let made = migrated || live.is_some_and(|live| live.annotations().contains_key(ADMIN_MADE));
        if made && self.admin.is_some() && self.takes_signups() {
            annotations[ADMIN_MADE] = "true".into();
            pod.annotations.insert(ADMIN_MADE.into(), "true".into());
        }
        let replicas = if migrated { self.replicas() } else { 1 };
        let mut object = pod.deployment(replicas, &json!({"type": "Recreate"}), 3600);
        merge(&mut object.body, json!({"metadata": {"annotations": annotations}}));
        let Some(scaling) = self.scaling() else {
            return vec![object];
        };
        let kind = object.resource.kind.clone();
        if migrated {
            object = object.counted(scaling.counted(None));
        }
        // First, so that it does not multiply a pod that must start alone.
        vec![scaling.object(pod, &kind, !migrated), object]
    }

    fn pod<'a>(&'a self, seen: &Seen<'a>, wiring: &Wiring) -> Pod<'a> {
        let name = name(seen);
        let alive = json!({"path": "/health", "port": "http"});
        Pod {
            owner: seen.owner,
            component: NAME,
            common: &self.common,
            image: self.image(seen),
            port: PORT,
            protocol: "http",
            uid: UID,
            container: json!({
                "args": self.common.extra_args,
                // A new version may migrate a large database first.
                "startupProbe": {"httpGet": alive, "periodSeconds": 2, "timeoutSeconds": 5, "failureThreshold": 900},
                // Not while its database or Redis does not answer.
                "readinessProbe": {
                    "httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 5, "timeoutSeconds": 5,
                },
                "livenessProbe": {"httpGet": alive, "periodSeconds": 20, "timeoutSeconds": 10, "failureThreshold": 6},
            }),
            env: self.env(&secret_name(seen), wiring),
            inits: vec![],
            volumes: vec![
                persistence::source("data", self.volume(), &format!("{name}-data")),
                json!({"name": "tmp", "emptyDir": {}}),
            ],
            mounts: vec![
                json!({"name": "data", "mountPath": DATA}),
                json!({"name": "tmp", "mountPath": "/tmp"}),
            ],
            resources: json!({"requests": {"cpu": "100m", "memory": "768Mi"}}),
            tolerations: vec![],
            annotations: wiring.mark.annotation(live(seen)).into_iter().collect::<Map<_, _>>(),
            grace: 30,
            together: self.volume().is_some_and(|v| !v.is_shared()),
            name,
        }
    }
}

/// True when a pod of this version has been Ready on this database.
fn has_migrated(live: &DynamicObject, version: &str) -> bool {
    let count = |field: &str| live.data["status"][field].as_i64().unwrap_or(0);
    let same = live.annotations().get(VERSION).is_some_and(|v| v == version);
    let asked = live.data["spec"]["replicas"].as_i64().unwrap_or(1);
    let seen = live.data["status"]["observedGeneration"].as_i64() >= live.metadata.generation;
    let settled = seen && count("updatedReplicas") >= 1 && count("readyReplicas") >= 1 && count("replicas") <= 1;
    same && (asked > 1 || settled)
}

/// True when the servers exist already: whatever happens to what they need then, they stay.
#[must_use]
pub fn exists(seen: &Seen<'_>) -> bool {
    live(seen).is_some()
}

fn live<'a>(seen: &Seen<'a>) -> Option<&'a DynamicObject> {
    find::<Deployment>(seen.live, &name(seen))
}

/// The Secret that signs sessions.
#[must_use]
pub fn secret_name(seen: &Seen<'_>) -> String {
    format!("{}-secret", name(seen))
}

fn name(seen: &Seen<'_>) -> String {
    format!("{}-{NAME}", seen.owner.name)
}
