//! Everything that should exist for PostgreSQL, and the variables by which Open WebUI finds a database.

use super::{NAME, PORT, PostgresSpec, URL};
use crate::base::object::{Form, Generated, Object, find};
use crate::base::seen::Seen;
use crate::component::common::pod::Pod;
use crate::component::common::secret::{plain, variable};
use crate::component::common::{Common, NetworkPolicySpec, network, persistence};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use serde_json::{Map, Value, json};

/// The image's own user: the server must find the one that it runs as in `/etc/passwd`.
const UID: i64 = 999;
const FOLDER: &str = "/var/lib/postgresql/data";
/// The name of the user and of the database.
const WHO: &str = "webui";
const PASSWORD: &str = "POSTGRES_PASSWORD";

/// By TCP: at its first start the server listens on a socket of its own while it makes the database.
const CHECK: &str = r#"exec pg_isready -q -h 127.0.0.1 -U "$POSTGRES_USER" -d "$POSTGRES_DB""#;

impl PostgresSpec {
    /// Everything that should exist, where the stack runs a PostgreSQL; `consumers` are the pods that use it.
    #[must_use]
    pub fn objects(&self, seen: &Seen<'_>, policy: &NetworkPolicySpec, consumers: &[Value]) -> Vec<Object> {
        let common = self.common();
        let volume = self.volume(&common);
        let pod = self.pod(seen, &common);
        let secret = seen
            .owner
            .object::<Secret>(NAME, &secret_name(seen), json!({"type": "Opaque"}))
            .generated(vec![Generated {
                key: PASSWORD,
                form: Form::Key,
            }]);
        // The database knows its password from its first start on, so both live equally long.
        let keeps = volume.is_some_and(|v| v.spec.retains());
        let mut objects = vec![if keeps { secret.retained(seen.owner) } else { secret }, pod.service()];
        objects.extend(pod.account());
        objects.extend(network::inner(&pod, policy, consumers));
        objects.extend(volume.and_then(|v| v.object(seen, NAME, &format!("{}-data", pod.name))));
        objects.push(pod.deployment(1, &json!({"type": "Recreate"}), 1800));
        objects
    }

    fn pod<'a>(&'a self, seen: &Seen<'a>, common: &'a Common) -> Pod<'a> {
        let name = name(seen);
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
                // After a crash it reads its journal first; killing it then would begin that anew.
                "startupProbe": {"exec": check, "periodSeconds": 2, "timeoutSeconds": 5, "failureThreshold": 900},
                "readinessProbe": {"exec": check, "periodSeconds": 5, "timeoutSeconds": 5},
                "livenessProbe": {
                    "tcpSocket": {"port": NAME}, "periodSeconds": 20, "timeoutSeconds": 10, "failureThreshold": 6,
                },
            }),
            env: vec![
                plain("POSTGRES_USER", WHO),
                plain("POSTGRES_DB", WHO),
                variable(PASSWORD, &secret_name(seen), PASSWORD),
                // The mounted folder itself is not the server's own, which it asks for.
                plain("PGDATA", format!("{FOLDER}/pgdata")),
            ],
            inits: vec![],
            volumes: vec![
                persistence::source("data", self.volume(common), &format!("{name}-data")),
                json!({"name": "run", "emptyDir": {}}),
                json!({"name": "tmp", "emptyDir": {}}),
            ],
            mounts: vec![
                json!({"name": "data", "mountPath": FOLDER}),
                json!({"name": "run", "mountPath": "/var/run/postgresql"}),
                json!({"name": "tmp", "mountPath": "/tmp"}),
            ],
            resources: json!({"requests": {"cpu": "100m", "memory": "256Mi"}}),
            tolerations: vec![],
            annotations: Map::new(),
            grace: 60,
            together: false,
            name,
        }
    }

    /// The variables by which Open WebUI finds the database.
    #[must_use]
    pub fn variables(&self, seen: &Seen<'_>) -> Vec<Value> {
        let mut found = match &self.url_secret_ref {
            Some(reference) => vec![variable("DATABASE_URL", &reference.name, reference.key(URL))],
            None => vec![
                variable(PASSWORD, &secret_name(seen), PASSWORD),
                plain(
                    "DATABASE_URL",
                    format!("postgresql://{WHO}:$({PASSWORD})@{}:{PORT}/{WHO}", name(seen)),
                ),
            ],
        };
        found.push(plain("VECTOR_DB", "pgvector"));
        found.push(plain("PGVECTOR_DB_URL", "$(DATABASE_URL)"));
        found
    }

    /// The Secrets of the manifest, with the key that is used of each.
    #[must_use]
    pub fn secrets(&self) -> Vec<(String, String)> {
        let reference = self.url_secret_ref.iter();
        reference.map(|r| (r.name.clone(), r.key(URL).to_string())).collect()
    }
}

fn name(seen: &Seen<'_>) -> String {
    format!("{}-{NAME}", seen.owner.name)
}

fn secret_name(seen: &Seen<'_>) -> String {
    format!("{}-secret", name(seen))
}

/// True when the stack's own server takes connections.
#[must_use]
pub fn is_ready(seen: &Seen<'_>) -> bool {
    find::<Deployment>(seen.live, &name(seen)).is_some_and(|d| d.data["status"]["readyReplicas"].as_i64() > Some(0))
}

/// True when there is a database of the stack, or its claim, perhaps of a stack of its name before it.
#[must_use]
pub fn has_data(seen: &Seen<'_>) -> bool {
    let name = name(seen);
    find::<Deployment>(seen.live, &name).is_some()
        || find::<PersistentVolumeClaim>(seen.live, &format!("{name}-data")).is_some()
}
