//! The pods of Ollama: how the server is started, configured, probed and stopped.

use super::{DATA, DRAIN, GATE, Gpu, NAME, OllamaSpec, PORT};
use crate::base::seen::Seen;
use crate::component::common::pod::Pod;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// A process of this user needs nothing of the image's own users.
const UID: i64 = 10001;

/// A pull that ended on a full disk can leave an empty list of parts, which fails every later pull of that blob with
/// EOF, even after a restart (facts, testbed-images 4): such blobs are dropped before the server starts, and when room is made.
///
/// Partial files are kept, so that pulls go on where they stopped, and Ollama has no call that removes one. A volume that
/// stays full is therefore relieved of its largest partial file here: what does not fit must not keep out what does.
const START: &str = r#"blobs=$OLLAMA_MODELS/blobs
drop_empty() {
  for f in "$blobs"/sha256-*-partial-*; do
    if [ -e "$f" ] && [ ! -s "$f" ]; then rm -f "${f%-partial-*}"-partial*; fi
  done
}
is_full() { df -P "$OLLAMA_MODELS" 2>/dev/null | { read -r _; read -r _ _ _ free _ && [ "$free" -lt 1024 ]; }; }
drop_empty
while sleep 5; do
  is_full && sleep 5 && is_full || continue
  largest=$(find "$blobs" -name 'sha256-*-partial' -printf '%b %p\n' | sort -rn | head -n 1)
  [ -n "$largest" ] || continue
  echo "the volume is full: dropping ${largest#* }, the largest partial file" >&2
  rm -f "${largest#* }"*
  drop_empty
done &
exec ollama serve "$@""#;

/// Ready when the server answers and every required model is there. A last line without a newline counts as well,
/// else the gate would fail open; the CLI must not eat the list, hence `</dev/null`.
const CHECK: &str = r#"while read -r m || [ -n "$m" ]; do [ -z "$m" ] || ollama show -- "$m" </dev/null >/dev/null || exit 1; done </etc/llm-operator/models/required"#;

impl OllamaSpec {
    /// Variables that the operator sets, and by which field.
    pub(super) fn variables(&self) -> Vec<(&'static str, Option<&'static str>)> {
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
        let chosen = self.common.variable_names();
        // A private stack asks no cloud; the image would show a pod every GPU of its node (facts, products 1.1).
        let plain = !self.is_accelerated() && self.common.runtime_class_name.is_none();
        let soft = [
            Some(("OLLAMA_NO_CLOUD", "1")),
            plain.then_some(("NVIDIA_VISIBLE_DEVICES", "void")),
        ];
        let free = soft.into_iter().flatten().filter(|(name, _)| !chosen.contains(name));
        env.extend(free.map(|(n, v)| json!({"name": n, "value": v})));
        env.extend(
            self.typed()
                .into_iter()
                .filter_map(|(n, _, v)| v.map(|v| json!({"name": n, "value": v}))),
        );
        env
    }

    fn container(&self, drain: i32) -> Value {
        let mut container = json!({
            "command": ["/bin/sh", "-c", START, NAME],
            "args": self.common.extra_args,
            // A pull may take hours: the gate waits for it, and nothing else judges the server before. Each name takes
            // half a second where the processor is scarce (facts, testbed-images 4).
            "startupProbe": {
                "exec": {"command": ["/bin/sh", "-c", CHECK]},
                "periodSeconds": 2, "timeoutSeconds": 60, "failureThreshold": 1_000_000,
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
        container
    }

    pub(super) fn pod<'a>(&'a self, seen: &Seen<'a>) -> Pod<'a> {
        let drain = self.drain_seconds.unwrap_or(DRAIN).max(0);
        let data = match self.volume() {
            // The StatefulSet brings one for each server.
            Some(volume) if volume.is_ours() => None,
            Some(volume) => {
                Some(json!({"name": "data", "persistentVolumeClaim": {"claimName": volume.spec.existing_claim}}))
            }
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
            protocol: "http",
            uid: UID,
            container: self.container(drain),
            env: self.env(),
            inits: vec![],
            volumes,
            mounts: vec![
                json!({"name": "data", "mountPath": DATA}),
                json!({"name": "models", "mountPath": GATE, "readOnly": true}),
                json!({"name": "tmp", "mountPath": "/tmp"}),
            ],
            resources,
            tolerations: gpu.map(tolerations).unwrap_or_default(),
            annotations: Map::new(),
            grace: i64::from(drain) + 10,
            together: false,
            name,
        }
    }
}

/// Nodes with GPUs are kept free under the name of the vendor's resource, also where a part of one is asked for.
fn tolerations(gpu: &Gpu) -> Vec<Value> {
    let keys = BTreeSet::from([gpu.resource(), gpu.vendor.resource()]);
    let of = |key| json!({"key": key, "operator": "Exists", "effect": "NoSchedule"});
    keys.into_iter().map(of).collect()
}
