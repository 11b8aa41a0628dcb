//! Everything that should exist for Tabby: its servers, configuration, log-in Secret, claim, Service and Ingress.

use super::config::Models;
use super::{CONFIG, DATA, NAME, PORT, TOKEN, TabbySpec};
use crate::base::hash;
use crate::base::object::{Form, Generated, Object, find, merge};
use crate::base::seen::Seen;
use crate::component::common::pod::Pod;
use crate::component::common::{NetworkPolicySpec, ingress, network, persistence};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::{Map, Value, json};

/// A process of this user needs nothing of the image's own users.
const UID: i64 = 10001;
const SILENCE: &str = "TABBY_DISABLE_USAGE_COLLECTION";

/// Tabby makes its root private and dies where it does not own it, so the root is a folder that it makes itself, with
/// the mounted configuration linked into it (facts, products 4.1).
const START: &str = r#"mkdir -p "$TABBY_ROOT" && ln -sf /data/config.toml "$TABBY_ROOT/config.toml" && exec /opt/tabby/bin/tabby serve "$@""#;

impl TabbySpec {
    /// Everything that should exist for the servers; they themselves only with `start`, since they die without their
    /// models.
    #[must_use]
    pub fn objects(
        &self,
        seen: &Seen<'_>,
        policy: &NetworkPolicySpec,
        models: &Models,
        ollama: &str,
        start: bool,
    ) -> Vec<Object> {
        let config = models.toml(ollama);
        let pod = self.pod(seen, &hash::short(&config, 16));
        let data = json!({"data": {"config.toml": config}});
        let secret = seen
            .owner
            .object::<Secret>(NAME, &format!("{}-secret", pod.name), json!({"type": "Opaque"}));
        let secret = secret.generated(vec![Generated {
            key: TOKEN,
            form: Form::Uuid,
        }]);
        // What signs the log-ins lives as long as the accounts do.
        let keeps = self.volume().is_some_and(|v| v.spec.retains());
        let mut service = pod.service();
        if self.replicas() > 1 {
            // Each server knows only the accounts that were made on it.
            merge(&mut service.body, json!({"spec": {"sessionAffinity": "ClientIP"}}));
        }
        let mut objects = vec![
            seen.owner
                .object::<ConfigMap>(NAME, &format!("{}-config", pod.name), data),
            if keeps { secret.retained(seen.owner) } else { secret },
            service,
        ];
        objects.extend(pod.account());
        objects.extend(network::policy(&pod, policy, &[]));
        objects.extend(pod.budget(self.replicas()));
        objects.extend(
            self.volume()
                .and_then(|v| v.object(seen, NAME, &format!("{}-data", pod.name))),
        );
        objects.extend(ingress::object(&pod, self.ingress.as_ref()));
        objects.extend(self.gateway.as_ref().and_then(|gateway| gateway.object(&pod)));
        objects.extend(start.then(|| pod.deployment(self.replicas(), &json!({"type": "Recreate"}), 1800)));
        objects
    }

    fn pod<'a>(&'a self, seen: &Seen<'a>, config: &str) -> Pod<'a> {
        let name = format!("{}-{NAME}", seen.owner.name);
        let mut args = vec![json!("--device"), json!(self.device.unwrap_or_default())];
        args.extend(self.common.extra_args.iter().flatten().map(|arg| json!(arg)));
        let probe = json!({"path": "/metrics", "port": "http"});
        Pod {
            owner: seen.owner,
            component: NAME,
            common: &self.common,
            image: self.image(seen),
            port: PORT,
            protocol: "http",
            uid: UID,
            // `/v1/health` asks for a token; `/metrics` does not (facts, products 4.1).
            container: json!({
                "command": ["/bin/sh", "-c", START, NAME],
                "args": args,
                "startupProbe": {"httpGet": probe, "periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 120},
                "readinessProbe": {"httpGet": probe, "periodSeconds": 5, "timeoutSeconds": 5},
                "livenessProbe": {"httpGet": probe, "periodSeconds": 20, "timeoutSeconds": 10, "failureThreshold": 6},
            }),
            env: self.env(&name),
            inits: vec![],
            volumes: vec![
                persistence::source("data", self.volume(), &format!("{name}-data")),
                json!({"name": "config", "configMap": {"name": format!("{name}-config")}}),
                json!({"name": "tmp", "emptyDir": {}}),
            ],
            mounts: vec![
                json!({"name": "data", "mountPath": DATA}),
                json!({"name": "config", "mountPath": CONFIG, "subPath": "config.toml", "readOnly": true}),
                json!({"name": "tmp", "mountPath": "/tmp"}),
            ],
            resources: json!({"requests": {"cpu": "100m", "memory": "512Mi"}}),
            tolerations: vec![],
            annotations: Map::from_iter([("llm.geeper.io/config-hash".to_string(), json!(config))]),
            grace: 30,
            together: false,
            name,
        }
    }

    fn env(&self, name: &str) -> Vec<Value> {
        let root = format!("{DATA}/tabby");
        let mut env = vec![
            json!({"name": "TABBY_ROOT", "value": root}),
            json!({"name": "HOME", "value": root}),
            json!({"name": TOKEN, "valueFrom": {"secretKeyRef": {"name": format!("{name}-secret"), "key": TOKEN}}}),
        ];
        // A private stack reports to nobody, unless its owner says so.
        if !self.common.variable_names().contains(SILENCE) {
            env.push(json!({"name": SILENCE, "value": "1"}));
        }
        env
    }

    /// True when the servers exist already: whatever happens to a model then, they stay.
    #[must_use]
    pub fn exists(seen: &Seen<'_>) -> bool {
        find::<Deployment>(seen.live, &format!("{}-{NAME}", seen.owner.name)).is_some()
    }
}
