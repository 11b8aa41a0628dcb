//! Everything that should exist for Redis, and the variables by which Open WebUI finds one.

use super::{NAME, PASSWORD, PORT, RedisSpec, URL};
use crate::base::object::{Form, Generated, Object, find};
use crate::base::secret::Mark;
use crate::base::seen::Seen;
use crate::base::{secret, url};
use crate::component::common::pod::Pod;
use crate::component::common::secret::{plain, variable};
use crate::component::common::{Common, NetworkPolicySpec, SecretKey, network, persistence};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use kube::core::DynamicObject;
use serde_json::{Map, Value, json};

/// The image's own user.
const UID: i64 = 999;
const VARIABLE: &str = "REDIS_PASSWORD";

/// The password reaches the server on its standard input: what stands among the arguments of a process, or in a file,
/// is read by more people than its environment. Quotes and backslashes are escaped as in a file of Redis. The rest is
/// what Open WebUI asks for (facts, products 5).
const START: &str = r#"password=$(printf %s "$REDIS_PASSWORD" | sed 's/[\\"]/\\&/g')
exec redis-server - <<END
requirepass "$password"
dir /data
maxclients 10000
timeout 1800
maxmemory-policy noeviction
save ""
appendonly $APPEND_ONLY
END"#;

/// The command says OK when it was refused, so its answer counts.
const CHECK: &str = r#"REDISCLI_AUTH="$REDIS_PASSWORD" redis-cli ping | grep -q PONG"#;

impl RedisSpec {
    /// Everything that should exist, where the stack runs a Redis; `consumers` are the pods that use it.
    #[must_use]
    pub fn objects(
        &self,
        seen: &Seen<'_>,
        policy: &NetworkPolicySpec,
        consumers: &[Value],
        mark: &Mark,
    ) -> Vec<Object> {
        let common = self.common();
        let pod = self.pod(seen, &common, mark);
        let mut objects: Vec<Object> = self.secret(seen).into_iter().collect();
        objects.push(pod.service());
        objects.extend(pod.account());
        objects.extend(network::inner(&pod, policy, consumers));
        let claim = format!("{}-data", pod.name);
        objects.extend(self.volume(&common).and_then(|v| v.object(seen, NAME, &claim)));
        if !mark.is_awaited(live(seen)) {
            objects.push(pod.deployment(1, &json!({"type": "Recreate"}), 600));
        }
        objects
    }

    fn pod<'a>(&'a self, seen: &Seen<'a>, common: &'a Common, mark: &Mark) -> Pod<'a> {
        let name = name(seen);
        let append_only = if self.volume(common).is_some() { "yes" } else { "no" };
        let (secret, key) = self.password_at(seen);
        let alive =
            json!({"tcpSocket": {"port": NAME}, "periodSeconds": 20, "timeoutSeconds": 10, "failureThreshold": 6});
        let check = json!({"command": ["/bin/sh", "-c", CHECK]});
        Pod {
            owner: seen.owner,
            component: NAME,
            common,
            image: self.image(seen),
            port: PORT,
            protocol: NAME,
            uid: UID,
            container: json!({
                "command": ["/bin/sh", "-c", START],
                // Reading what it kept may take a while.
                "startupProbe": {"exec": check, "periodSeconds": 2, "timeoutSeconds": 5, "failureThreshold": 300},
                "readinessProbe": {"exec": check, "periodSeconds": 10, "timeoutSeconds": 5},
                "livenessProbe": alive,
            }),
            env: vec![variable(VARIABLE, &secret, &key), plain("APPEND_ONLY", append_only)],
            inits: vec![],
            volumes: vec![
                persistence::source("data", self.volume(common), &format!("{name}-data")),
                json!({"name": "tmp", "emptyDir": {}}),
            ],
            mounts: vec![
                json!({"name": "data", "mountPath": "/data"}),
                json!({"name": "tmp", "mountPath": "/tmp"}),
            ],
            resources: json!({"requests": {"cpu": "50m", "memory": "64Mi"}}),
            tolerations: vec![],
            annotations: mark.annotation(live(seen)).into_iter().collect::<Map<_, _>>(),
            grace: 30,
            together: false,
            name,
        }
    }

    /// Where the server reads its password: a Secret and its key.
    fn password_at(&self, seen: &Seen<'_>) -> (String, String) {
        match &self.password_secret_ref {
            Some(reference) => (reference.name.clone(), reference.key(PASSWORD).to_string()),
            None => (secret_name(seen), PASSWORD.to_string()),
        }
    }

    /// The Secret of ours: it follows the manifest where that gives the password or the address, and is made once where
    /// it gives neither. `None` where there is nothing to put into it, now or at all.
    #[must_use]
    pub fn secret(&self, seen: &Seen<'_>) -> Option<Object> {
        let made = |data: Value| {
            let fields = json!({"type": "Opaque", "data": data});
            seen.owner.object::<Secret>(NAME, &secret_name(seen), fields)
        };
        let coded = |text: &str| Value::from(secret::coded(text));
        if self.url_secret_ref.is_some() {
            return None;
        }
        if let Some(address) = &self.url {
            return Some(made(json!({URL: coded(address)})));
        }
        if let Some(password) = &self.password {
            let address = address(seen, &url::encoded(password));
            return Some(made(json!({PASSWORD: coded(password), URL: coded(&address)})));
        }
        if let Some(reference) = &self.password_secret_ref {
            let password = seen.secrets.text(&reference.name, reference.key(PASSWORD))?;
            return Some(made(json!({URL: coded(&address(seen, &url::encoded(password)))})));
        }
        let password = Generated {
            key: PASSWORD,
            form: Form::Key,
        };
        Some(made(json!({})).generated(vec![password]))
    }

    /// The variables by which Open WebUI finds Redis.
    #[must_use]
    pub fn variables(&self, seen: &Seen<'_>) -> Vec<Value> {
        let own = secret_name(seen);
        let mut found = match (
            &self.url_secret_ref,
            &self.url,
            &self.password,
            &self.password_secret_ref,
        ) {
            (Some(reference), ..) => vec![variable("REDIS_URL", &reference.name, reference.key(URL))],
            (None, None, None, None) => vec![
                variable(VARIABLE, &own, PASSWORD),
                plain("REDIS_URL", address(seen, &format!("$({VARIABLE})"))),
            ],
            _ => vec![variable("REDIS_URL", &own, URL)],
        };
        found.push(plain("WEBSOCKET_MANAGER", "redis"));
        found.push(plain("WEBSOCKET_REDIS_URL", "$(REDIS_URL)"));
        found
    }

    /// The keys of Secrets that matter, in a stack of that name, given whether its own Redis runs.
    #[must_use]
    pub fn secrets(&self, stack: &str, runs: bool) -> Keys {
        let key = |r: &SecretKey, default: &str| (r.name.clone(), r.key(default).to_string());
        let own = |key: &str| (format!("{stack}-{NAME}-secret"), key.to_string());
        if !runs {
            let named: Vec<_> = self.url_secret_ref.iter().map(|r| key(r, URL)).collect();
            let clients = self.url.iter().map(|_| own(URL)).chain(named.clone()).collect();
            return Keys {
                named,
                server: vec![],
                clients,
            };
        }
        let named: Vec<_> = self.password_secret_ref.iter().map(|r| key(r, PASSWORD)).collect();
        let inline = self.password.iter().map(|_| own(PASSWORD));
        let server: Vec<_> = inline.chain(named.clone()).collect();
        Keys {
            named,
            clients: server.clone(),
            server,
        }
    }
}

/// Keys of Secrets, each as the name of the Secret and the key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// Those that the manifest names.
    pub named: Vec<(String, String)>,
    /// Those that the server reads at its start, but for what was generated.
    pub server: Vec<(String, String)>,
    /// Those that its clients read at theirs.
    pub clients: Vec<(String, String)>,
}

fn name(seen: &Seen<'_>) -> String {
    format!("{}-{NAME}", seen.owner.name)
}

fn secret_name(seen: &Seen<'_>) -> String {
    format!("{}-secret", name(seen))
}

fn address(seen: &Seen<'_>, password: &str) -> String {
    format!("redis://:{password}@{}:{PORT}/0", name(seen))
}

fn live<'a>(seen: &Seen<'a>) -> Option<&'a DynamicObject> {
    find::<Deployment>(seen.live, &name(seen))
}

/// True when the stack's own server takes connections.
#[must_use]
pub fn is_ready(seen: &Seen<'_>) -> bool {
    live(seen).is_some_and(|d| d.data["status"]["readyReplicas"].as_i64() > Some(0))
}
