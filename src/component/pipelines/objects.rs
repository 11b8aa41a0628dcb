//! Everything that should exist for Pipelines, and the variables by which Open WebUI finds it.

use super::langfuse::{FILE, FILTER};
use super::{KEY, KEY_THERE, LangfuseSpec, NAME, PORT, PipelinesSpec};
use crate::base::hash;
use crate::base::object::{Form, Generated, Object, find};
use crate::base::secret::Mark;
use crate::base::seen::Seen;
use crate::component::common::pod::Pod;
use crate::component::common::secret::{plain, variable};
use crate::component::common::{NetworkPolicySpec, network, persistence};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::core::DynamicObject;
use serde_json::{Map, Value, json};

/// A process of this user needs nothing of the image's own users.
const UID: i64 = 10001;
const FILTERS: &str = "/etc/llm-operator/langfuse";

/// Fetches the pipelines. The image's own start fetches into the wrong folder when `dir` is given, and of several
/// addresses only the first, so it gets none. What was fetched before and is no longer named goes; settings stay, and
/// so does what a person has put there. Nothing is touched before everything has arrived.
const FETCH: &str = r#"set -eu
rm -rf /tmp/fetched; mkdir -p /tmp/fetched "$PIPELINES_DIR"
for url in $ADDRESSES; do
  file=${url%%[?#]*}; file=${file##*/}
  case $url in https://github.com/*/blob/*) url="${url%%[?#]*}?raw=true" ;; esac
  echo "fetching $file"
  curl --fail --silent --show-error --location --retry 5 --retry-connrefused --max-time 120 --output "/tmp/fetched/$file" "$url"
done
if [ -d /etc/llm-operator/langfuse ]; then cp /etc/llm-operator/langfuse/*.py /tmp/fetched/; fi
cd "$PIPELINES_DIR"
if [ -f .fetched ]; then while read -r file; do rm -f -- "$file"; done <.fetched; fi
ls /tmp/fetched >.fetched
for file in /tmp/fetched/*; do [ ! -e "$file" ] || cp -- "$file" .; done"#;

impl PipelinesSpec {
    /// Everything that should exist; `consumers` are the pods that ask it, `mark` tells what its Secrets hold.
    #[must_use]
    pub fn objects(
        &self,
        seen: &Seen<'_>,
        policy: &NetworkPolicySpec,
        langfuse: Option<&LangfuseSpec>,
        consumers: &[Value],
        mark: &Mark,
    ) -> Vec<Object> {
        let pod = self.pod(seen, langfuse, mark);
        let mut objects: Vec<Object> = self.secret(seen).into_iter().collect();
        objects.extend(langfuse.map(|_| {
            let data = json!({"data": {FILE: FILTER}});
            seen.owner
                .object::<ConfigMap>(NAME, &format!("{}-langfuse", pod.name), data)
        }));
        objects.push(pod.service());
        objects.extend(pod.account());
        objects.extend(network::inner(&pod, policy, consumers));
        objects.extend(pod.budget(self.replicas()));
        let claim = format!("{}-data", pod.name);
        objects.extend(self.volume().and_then(|v| v.object(seen, NAME, &claim)));
        if !mark.is_awaited(live(seen)) {
            objects.push(pod.deployment(self.replicas(), &json!({"type": "Recreate"}), 1800));
        }
        objects
    }

    fn pod<'a>(&'a self, seen: &Seen<'a>, langfuse: Option<&LangfuseSpec>, mark: &Mark) -> Pod<'a> {
        let name = name(seen);
        let folder = self.folder();
        let mut volumes = vec![
            persistence::source("data", self.volume(), &format!("{name}-data")),
            json!({"name": "tmp", "emptyDir": {}}),
        ];
        let mounts = vec![
            json!({"name": "data", "mountPath": folder}),
            json!({"name": "tmp", "mountPath": "/tmp"}),
        ];
        let mut annotations: Map<String, Value> = mark.annotation(live(seen)).into_iter().collect();
        let mut env = vec![self.key(seen), plain("PIPELINES_DIR", folder), plain("HOME", "/tmp")];
        if let Some(langfuse) = langfuse {
            env.extend(langfuse.variables(&seen.owner.name));
            volumes.push(json!({"name": "langfuse", "configMap": {"name": format!("{name}-langfuse")}}));
            annotations.insert("llm.geeper.io/config-hash".into(), hash::short(FILTER, 16).into());
        }
        let inits = self.fetching(seen, folder, &mounts, langfuse.is_some());
        let probe = json!({"path": "/", "port": "http"});
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
                // It installs what its pipelines ask for at each start.
                "startupProbe": {"httpGet": probe, "periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 240},
                "readinessProbe": {"httpGet": probe, "periodSeconds": 10, "timeoutSeconds": 5},
                "livenessProbe": {"httpGet": probe, "periodSeconds": 20, "timeoutSeconds": 10, "failureThreshold": 6},
            }),
            env,
            inits,
            volumes,
            mounts,
            resources: json!({"requests": {"cpu": "100m", "memory": "256Mi"}}),
            tolerations: vec![],
            annotations,
            // Its shell does not pass the signal on (facts, products 3).
            grace: 10,
            together: self.volume().is_some_and(|v| !v.is_shared()),
            name,
        }
    }

    /// The container that fetches, where there is something to fetch, or something fetched before that must go.
    fn fetching(&self, seen: &Seen<'_>, folder: &str, mounts: &[Value], langfuse: bool) -> Vec<Value> {
        let addresses: Vec<&str> = self.addresses().map(|(_, url)| url).collect();
        if addresses.is_empty() && !langfuse && self.volume().is_none() {
            return vec![];
        }
        let mut mounts = mounts.to_vec();
        if langfuse {
            mounts.push(json!({"name": "langfuse", "mountPath": FILTERS, "readOnly": true}));
        }
        vec![json!({
            "name": "fetch",
            "image": self.image(seen),
            "imagePullPolicy": self.common.image_pull_policy,
            "command": ["/bin/sh", "-c", FETCH],
            "env": [plain("PIPELINES_DIR", folder), plain("ADDRESSES", addresses.join(" ")), plain("HOME", "/tmp")],
            "volumeMounts": mounts,
            "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
            "securityContext": {
                "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
            },
        })]
    }

    /// The key, made once unless the manifest names one.
    fn secret(&self, seen: &Seen<'_>) -> Option<Object> {
        let secret = seen
            .owner
            .object::<Secret>(NAME, &secret_name(seen), json!({"type": "Opaque"}));
        let key = Generated {
            key: KEY,
            form: Form::Key,
        };
        self.api_key_secret_ref.is_none().then(|| secret.generated(vec![key]))
    }

    /// The variable of the key.
    fn key(&self, seen: &Seen<'_>) -> Value {
        match &self.api_key_secret_ref {
            Some(reference) => variable(KEY, &reference.name, reference.key(KEY_THERE)),
            None => variable(KEY, &secret_name(seen), KEY),
        }
    }

    /// The variables by which Open WebUI finds it. The empty key of a filter's server would be passed over silently.
    #[must_use]
    pub fn variables(&self, seen: &Seen<'_>) -> Vec<Value> {
        let address = format!("http://{}:{}/v1", name(seen), self.common.port(PORT));
        vec![
            self.key(seen),
            plain("ENABLE_OPENAI_API", "True"),
            plain("OPENAI_API_BASE_URLS", address),
            plain("OPENAI_API_KEYS", format!("$({KEY})")),
        ]
    }

    /// The Secrets of the manifest, with the keys that are used of each.
    #[must_use]
    pub fn secrets(&self) -> Vec<(String, String)> {
        let reference = self.api_key_secret_ref.iter();
        reference
            .map(|r| (r.name.clone(), r.key(KEY_THERE).to_string()))
            .collect()
    }
}

fn name(seen: &Seen<'_>) -> String {
    format!("{}-{NAME}", seen.owner.name)
}

fn live<'a>(seen: &Seen<'a>) -> Option<&'a DynamicObject> {
    find::<Deployment>(seen.live, &name(seen))
}

fn secret_name(seen: &Seen<'_>) -> String {
    format!("{}-secret", name(seen))
}
