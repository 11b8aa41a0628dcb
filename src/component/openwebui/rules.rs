//! The rules on the block of Open WebUI, in Rust and, as far as it can say them, in CEL.

use super::{DATA, HIGHEST, KEY, NAME, OpenWebuiSpec, S3};
use crate::base::issue::{Concern, Issue, Review};
use crate::base::{names, url};
use crate::component::common::check::{self, Subject};
use crate::component::common::{AutoscalingSpec, autoscaling, ingress, persistence, secret, service};
use serde_json::Value;

/// Variables that wire the parts of the stack, or would have the server lie about itself.
const OWNED: [(&str, Option<&str>); 31] = [
    (KEY, None),
    ("WEBUI_JWT_SECRET_KEY", None),
    ("DATA_DIR", None),
    ("HOME", None),
    ("PORT", None),
    ("HOST", None),
    ("K8S_FLAG", None),
    ("ENABLE_OLLAMA_API", Some("ollamaUrls")),
    ("OLLAMA_BASE_URL", Some("ollamaUrls")),
    ("OLLAMA_BASE_URLS", Some("ollamaUrls")),
    ("RAG_OLLAMA_BASE_URL", Some("ollamaUrls")),
    ("ENABLE_PERSISTENT_CONFIG", Some("configMode")),
    ("ENABLE_SIGNUP", Some("signup")),
    ("DEFAULT_USER_ROLE", Some("signup")),
    ("WEBUI_URL", Some("url")),
    ("WEBUI_ADMIN_EMAIL", Some("admin")),
    ("WEBUI_ADMIN_NAME", Some("admin")),
    ("WEBUI_ADMIN_PASSWORD", Some("admin")),
    ("DATABASE_URL", Some("database")),
    ("DATABASE_TYPE", Some("database")),
    ("DATABASE_HOST", Some("database")),
    ("VECTOR_DB", Some("database")),
    ("PGVECTOR_DB_URL", Some("database")),
    ("POSTGRES_PASSWORD", Some("database")),
    ("REDIS_URL", Some("redis")),
    ("REDIS_PASSWORD", Some("redis")),
    ("WEBSOCKET_MANAGER", Some("redis")),
    ("WEBSOCKET_REDIS_URL", Some("redis")),
    ("STORAGE_PROVIDER", Some("storage")),
    ("S3_BUCKET_NAME", Some("storage")),
    ("ENABLE_DB_MIGRATIONS", None),
];

impl OpenWebuiSpec {
    /// Every rule on the block itself; `old` is the block before the change, where it was on, and `pipelines` whether
    /// the connections of the kind of OpenAI are those of the stack.
    #[must_use]
    pub fn check(&self, path: &str, old: Option<&Self>, pipelines: bool, allow_unsafe: bool) -> Review {
        let connections = [
            "ENABLE_OPENAI_API",
            "OPENAI_API_BASE_URLS",
            "OPENAI_API_KEYS",
            "PIPELINES_API_KEY",
        ];
        let mut owned = OWNED.to_vec();
        if pipelines {
            owned.extend(connections.map(|name| (name, Some("pipelines"))));
        }
        let subject = Subject {
            path,
            common: &self.common,
            component: NAME,
            variables: &owned,
            useless: &["WEBUI_HOST"],
            volumes: &[("data", DATA), ("tmp", "/tmp")],
            allow_unsafe,
        };
        let mut review = check::component(&subject, self);
        review
            .issues
            .extend(AutoscalingSpec::check(self.autoscaling.as_ref(), path, HIGHEST));
        self.check_addresses(path, &mut review);
        self.check_admin(path, &mut review);
        if let Some(s3) = self.s3() {
            review.issues.extend(check_bucket(&format!("{path}.storage.s3"), s3));
        }
        review.extend(ingress::check(path, &self.common, self.ingress.as_ref()));
        review
            .issues
            .extend(self.gateway.iter().flat_map(|gateway| gateway.check(path)));
        if let Some(volume) = self.volume() {
            review.issues.extend(volume.check(path, old.and_then(Self::volume)));
        }
        self.check_volume(path, &mut review);
        review
    }

    fn check_addresses(&self, path: &str, review: &mut Review) {
        for (i, address) in self.ollama_urls.iter().flatten().enumerate() {
            if !url::is_http(address) {
                let detail = "is no address such as http://ollama.other.svc:11434 (http or https)";
                let issue = Issue::invalid(
                    format!("{path}.ollamaUrls[{i}]"),
                    "ollama-url",
                    address.as_str(),
                    detail,
                );
                review.issues.push(issue.fatal());
            }
        }
        // An empty one is out of bounds already.
        if let Some(address) = self.url.as_deref().filter(|u| !u.is_empty() && !url::is_http(u)) {
            let detail = "is no address such as https://chat.example.com (http or https)";
            let issue = Issue::invalid(format!("{path}.url"), "url", address, detail);
            review.issues.push(issue.fatal());
        }
        // It answers at the root of a host only (facts, products 2.1).
        let ingress = ingress::exposure(&self.common, self.ingress.as_ref());
        if let Some(below) = ingress
            .and_then(|i| i.path)
            .filter(|p| p.len() > 1 && p.starts_with('/'))
        {
            let detail = "must be /: Open WebUI cannot live below a path; give it a host of its own";
            review.issues.push(Issue::invalid(
                format!("{path}.ingress.path"),
                "webui-path",
                below,
                detail,
            ));
        }
    }

    fn check_admin(&self, path: &str, review: &mut Review) {
        if let Some(admin) = &self.admin {
            let at = format!("{path}.admin");
            let mail = admin.email.split_once('@');
            let good = mail.is_some_and(|(who, host)| !who.is_empty() && names::is_host(&host.to_ascii_lowercase()));
            let plain = !admin.email.chars().any(|c| c.is_whitespace() || c.is_control());
            if admin.email.len() > 2 && !(good && plain) {
                let detail = "is no address of the form name@example.com";
                let issue = Issue::invalid(format!("{at}.email"), "email", admin.email.as_str(), detail);
                review.issues.push(issue.fatal());
            }
            review.issues.extend(admin.secret_ref.check(&format!("{at}.secretRef")));
        }
        if self.takes_signups() && self.admin.is_none() {
            let text = format!("{path}: the first visitor becomes the administrator; give {path}.admin");
            review.warn(Concern::Security, text);
        } else if self.takes_signups() {
            let text = format!("{path}.signup.enabled: whoever reaches the page can make an account");
            review.warn(Concern::Security, text);
        }
    }

    fn check_volume(&self, path: &str, review: &mut Review) {
        let Some(volume) = self.volume() else {
            if self.s3().is_none() {
                let text = format!("{path}.persistence is off: uploads, and with SQLite accounts, go with the pod");
                review.warn(Concern::DataLoss, text);
            }
            return;
        };
        if self.most().0 <= 1 || volume.is_shared() {
            return;
        }
        if volume.is_of_one_pod() {
            let detail = "is for one pod: set accessModes to [ReadWriteMany], or persistence.enabled to false and \
                          storage.s3";
            let at = format!("{path}.persistence.accessModes");
            review
                .issues
                .push(Issue::invalid(at, "one-pod", "ReadWriteOncePod", detail).fatal());
        } else {
            let text = format!("{path}: replicas share a volume of one node, so all run there; use ReadWriteMany");
            review.warn(Concern::DataLoss, text);
        }
    }
}

fn check_bucket(path: &str, s3: &S3) -> Vec<Issue> {
    let mut issues = vec![];
    if let Some(endpoint) = s3.endpoint.as_deref().filter(|e| !e.is_empty() && !url::is_http(e)) {
        let detail = "is no address such as https://minio.example.com (http or https)";
        issues.push(Issue::invalid(format!("{path}.endpoint"), "s3-endpoint", endpoint, detail).fatal());
    }
    if s3.bucket.len() > 2 && !names::is_subdomain(&s3.bucket) {
        let detail = "is no name of a bucket: lower case, digits, - and .";
        issues.push(Issue::invalid(format!("{path}.bucket"), "s3-bucket", s3.bucket.as_str(), detail).fatal());
    }
    if let Some(reference) = &s3.secret_ref {
        issues.extend(secret::check_name(&format!("{path}.secretRef"), &reference.name));
    }
    issues
}

/// What CEL can say of it.
#[must_use]
pub fn schema() -> Vec<Value> {
    let mut rules = persistence::rules(false);
    let on = "has(self.enabled) && self.enabled";
    rules.extend([ingress::rule(), service::rule(on)]);
    rules.extend(autoscaling::rules(on, HIGHEST));
    rules
}
