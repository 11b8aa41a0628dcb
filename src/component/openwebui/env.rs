//! The variables of Open WebUI. Lists are separated by semicolons; with several servers all have the same (facts,
//! products 2).

use super::{Admin, ConfigMode, DATA, KEY, OpenWebuiSpec, S3, Wiring};
use crate::component::common::secret::{plain, variable};
use serde_json::{Value, json};

/// The keys of the password and of the bucket in Secrets of the manifest.
const PASSWORD: &str = "password";
const BUCKET_KEYS: [(&str, &str); 2] = [
    ("S3_ACCESS_KEY_ID", "accessKeyId"),
    ("S3_SECRET_ACCESS_KEY", "secretAccessKey"),
];

impl OpenWebuiSpec {
    pub(super) fn env(&self, secret: &str, wiring: &Wiring) -> Vec<Value> {
        let mut env = vec![
            variable(KEY, secret, KEY),
            plain("DATA_DIR", DATA),
            plain("HOME", "/tmp"),
        ];
        env.extend(ollama(&wiring.ollama));
        env.extend(wiring.variables.iter().cloned());
        let rules = self.config_mode.unwrap_or_default() == ConfigMode::Declarative;
        env.push(plain("ENABLE_PERSISTENT_CONFIG", word(!rules)));
        env.push(plain("ENABLE_SIGNUP", word(self.takes_signups())));
        let role = self.signup.as_ref().and_then(|s| s.default_role).unwrap_or_default();
        env.push(plain("DEFAULT_USER_ROLE", json!(role)));
        if let Some(address) = self.address() {
            env.push(plain("WEBUI_URL", address));
        }
        env.extend(self.admin.iter().flat_map(admin));
        env.extend(self.s3().into_iter().flat_map(bucket));
        env.extend(self.soft(wiring));
        env
    }

    /// What a manifest may say otherwise.
    fn soft(&self, wiring: &Wiring) -> Vec<Value> {
        let secure = self.address().is_some_and(|a| a.starts_with("https://"));
        let own = |name: &str| wiring.variables.iter().any(|v| v["name"] == name);
        let soft = [
            // It copies its static files at each start, and the image is read-only.
            Some(("STATIC_DIR", "/tmp/static")),
            // One process in a pod: Kubernetes multiplies pods.
            Some(("UVICORN_WORKERS", "1")),
            // A private stack reports to nobody and asks nobody for a newer version.
            Some(("ENABLE_VERSION_UPDATE_CHECK", "False")),
            Some(("ANONYMIZED_TELEMETRY", "False")),
            Some(("DO_NOT_TRACK", "true")),
            Some(("SCARF_NO_ANALYTICS", "true")),
            // Without an address it would ask api.openai.com.
            (!own("ENABLE_OPENAI_API")).then_some(("ENABLE_OPENAI_API", "False")),
            // Its own engine fetches a model from Hugging Face at the first start, and computes in this pod.
            (!wiring.ollama.is_empty()).then_some(("RAG_EMBEDDING_ENGINE", "ollama")),
            secure.then_some(("WEBUI_SESSION_COOKIE_SECURE", "True")),
        ];
        let chosen = self.common.variable_names();
        let mut env: Vec<Value> = soft
            .into_iter()
            .flatten()
            .filter(|(name, _)| !chosen.contains(name))
            .map(|(name, value)| plain(name, value))
            .collect();
        if !wiring.ollama.is_empty() && !chosen.contains("RAG_EMBEDDING_MODEL") {
            env.push(plain("RAG_EMBEDDING_MODEL", &*wiring.embedding));
        }
        env
    }

    /// The Secrets of the manifest, with the keys that are used of each.
    #[must_use]
    pub fn secrets(&self) -> Vec<(String, String)> {
        let password = self.admin.iter().map(|a| {
            let key = a.secret_ref.key(PASSWORD);
            (a.secret_ref.name.clone(), key.to_string())
        });
        let bucket = self.s3().and_then(|s3| s3.secret_ref.as_ref());
        let keys = bucket
            .into_iter()
            .flat_map(|r| BUCKET_KEYS.map(|(_, key)| (r.name.clone(), key.to_string())));
        password.chain(keys).collect()
    }
}

/// Retrieval asks the address of the singular variable, so that is always there as well.
fn ollama(addresses: &[String]) -> Vec<Value> {
    let Some(first) = addresses.first() else {
        return vec![plain("ENABLE_OLLAMA_API", "False")];
    };
    vec![
        plain("ENABLE_OLLAMA_API", "True"),
        plain("OLLAMA_BASE_URLS", addresses.join(";")),
        plain("OLLAMA_BASE_URL", first.as_str()),
        plain("RAG_OLLAMA_BASE_URL", first.as_str()),
    ]
}

fn admin(admin: &Admin) -> Vec<Value> {
    let reference = &admin.secret_ref;
    vec![
        plain("WEBUI_ADMIN_EMAIL", admin.email.as_str()),
        plain("WEBUI_ADMIN_NAME", admin.name.as_deref().unwrap_or("Admin")),
        variable("WEBUI_ADMIN_PASSWORD", &reference.name, reference.key(PASSWORD)),
    ]
}

fn bucket(s3: &S3) -> Vec<Value> {
    let mut env = vec![
        plain("STORAGE_PROVIDER", "s3"),
        plain("S3_BUCKET_NAME", s3.bucket.as_str()),
        plain("S3_REGION_NAME", s3.region.as_deref().unwrap_or("us-east-1")),
    ];
    env.extend(s3.endpoint.as_deref().map(|e| plain("S3_ENDPOINT_URL", e)));
    env.extend(
        s3.secret_ref
            .iter()
            .flat_map(|reference| BUCKET_KEYS.map(|(name, key)| variable(name, &reference.name, key))),
    );
    env
}

/// A truth as Python reads it.
fn word(yes: bool) -> &'static str {
    if yes { "True" } else { "False" }
}
