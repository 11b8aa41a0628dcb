//! The objects that a chart would install, and replicas that look after them.

use anyhow::{Context, Result, ensure};
use axum::Router;
use cluster::Cluster;
use cluster::test::{Namespace, until};
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use llm_operator::clock::Clock;
use llm_operator::health::Gates;
use llm_operator::pki::book::{Book, Terms};
use llm_operator::pki::configuration::Configuration;
use llm_operator::pki::plan::Stored;
use llm_operator::pki::{self, Metrics, Names, Service, Serving, Source, secret, x509};
use llm_operator::server::{Limits, Port};
use llm_operator::webhook::tls;
use prometheus_client::metrics::counter::Counter;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Long enough for a slow machine; nothing waits for it when all is well.
pub const LIMIT: Duration = Duration::from_secs(60);

/// The objects of one test: a Secret as the chart renders it, and configurations that call nobody, since no object
/// is of the group they are about.
pub struct Release {
    pub namespace: Namespace,
    pub names: Names,
    client: Client,
}

/// One replica, without the rest of the operator.
pub struct Replica {
    pub gates: Gates,
    serving: Arc<Serving>,
    stop: CancellationToken,
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Release {
    pub async fn new(test: &str) -> Result<Self> {
        let namespace = Cluster::shared().await?.namespace(test).await?;
        let client = namespace.cluster().client().await?;
        let service = Service {
            name: "llm-operator-webhook".into(),
            namespace: namespace.name().into(),
        };
        let names = Names {
            secret: "llm-operator-webhook-ca".into(),
            validating: format!("{}-validating", namespace.name()),
            mutating: format!("{}-mutating", namespace.name()),
            service,
        };
        let release = Self {
            namespace,
            names,
            client,
        };
        let blank = Secret {
            metadata: metadata(&release.names.secret),
            ..Secret::default()
        };
        release.secrets().create(&PostParams::default(), &blank).await?;
        Ok(release)
    }

    pub fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), self.namespace.name())
    }

    pub fn validating(&self) -> Api<ValidatingWebhookConfiguration> {
        Api::all(self.client.clone())
    }

    pub fn mutating(&self) -> Api<MutatingWebhookConfiguration> {
        Api::all(self.client.clone())
    }

    /// Applies the configurations as a chart does: with all but the bundle.
    pub async fn install(&self) -> Result<()> {
        let params = PatchParams::apply("helm");
        let validating = self.configuration("ValidatingWebhookConfiguration", &self.names.validating);
        self.validating()
            .patch(&self.names.validating, &params, &Patch::Apply(validating))
            .await?;
        let mutating = self.configuration("MutatingWebhookConfiguration", &self.names.mutating);
        self.mutating()
            .patch(&self.names.mutating, &params, &Patch::Apply(mutating))
            .await?;
        Ok(())
    }

    pub fn configuration(&self, kind: &str, name: &str) -> Value {
        let Service {
            name: service,
            namespace,
        } = &self.names.service;
        let rule = json!({
            "apiGroups": ["nothing.example.com"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["none"],
        });
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": name},
            "webhooks": [{
                "name": "checks.llm.geeper.io",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "clientConfig": {"service": {"name": service, "namespace": namespace, "path": "/validate"}},
                "rules": [rule],
            }],
        })
    }

    pub async fn live(&self) -> Result<[Configuration; 2]> {
        let validating = self.validating().get(&self.names.validating).await?;
        let mutating = self.mutating().get(&self.names.mutating).await?;
        let service = &self.names.service;
        Ok([
            Configuration::validating(&validating, service),
            Configuration::mutating(&mutating, service),
        ])
    }

    pub async fn book(&self) -> Result<Option<Book>> {
        let stored = self.secrets().get_opt(&self.names.secret).await?;
        match secret::read(stored.as_ref(), &self.names.service, &Terms::default()) {
            Stored::Ours(book) => Ok(Some(book)),
            _ => Ok(None),
        }
    }

    /// Waits until there is a book and both configurations trust it.
    pub async fn in_sync(&self) -> Result<Book> {
        until("a Secret that both configurations trust", LIMIT, async || {
            let Some(book) = self.book().await? else {
                return Ok(None);
            };
            let synced = self.live().await?.iter().all(|c| c.trusts(&book.trusted, &[]));
            Ok(synced.then_some(book))
        })
        .await
    }

    /// A replica that keeps the certificate itself.
    pub async fn replica(&self, pod: &str) -> Result<Replica> {
        self.served(pod, Source::Own).await
    }

    /// A replica that is given its certificate in the Secret.
    pub async fn tenant(&self, pod: &str) -> Result<Replica> {
        self.served(pod, Source::Given { inject: true }).await
    }

    /// A replica that keeps the certificate itself, as a user who may read everything and write nothing.
    pub async fn reader(&self, pod: &str) -> Result<Replica> {
        let (cluster, user) = (self.namespace.cluster(), self.namespace.name());
        let resources = "secrets,validatingwebhookconfigurations,mutatingwebhookconfigurations";
        let rights = ["--verb=get,list,watch", &format!("--resource={resources}")];
        cluster
            .kubectl(&["create", "clusterrole", user, rights[0], rights[1]])
            .await?;
        let (role, subject) = (format!("--clusterrole={user}"), format!("--user={user}"));
        cluster
            .kubectl(&["create", "clusterrolebinding", user, &role, &subject])
            .await?;
        let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig())?;
        let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        config.auth_info.impersonate = Some(user.into());
        self.served_by(Client::try_from(config)?, pod, Source::Own).await
    }

    /// Puts a certificate into the Secret, as whoever keeps it would. Returns the Secret.
    pub async fn give(&self, certificate: &str, key: &str, authorities: &str) -> Result<Secret> {
        let mut secret = self.secrets().get(&self.names.secret).await?;
        let fields = [("tls.crt", certificate), ("tls.key", key), ("ca.crt", authorities)];
        let data = fields.map(|(name, text)| (name.to_owned(), ByteString(text.as_bytes().to_vec())));
        secret.data = Some(data.into());
        let parameters = PostParams::default();
        Ok(self.secrets().replace(&self.names.secret, &parameters, &secret).await?)
    }

    async fn served(&self, pod: &str, source: Source) -> Result<Replica> {
        self.served_by(self.client.clone(), pod, source).await
    }

    async fn served_by(&self, client: Client, pod: &str, source: Source) -> Result<Replica> {
        let gates = Gates::default();
        let serving = Arc::new(Serving::default());
        let stop = CancellationToken::new();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let dial = listener.local_addr()?;
        let tls = Some(tls::config(Arc::clone(&serving) as _)?);
        let (router, limits, failed_handshakes) = (Router::new(), Limits::default(), Counter::default());
        let port = Port {
            listener,
            tls,
            router,
            limits,
            failed_handshakes,
        };
        tokio::spawn(port.serve(stop.clone()));
        let config = pki::Config {
            names: self.names.clone(),
            dial,
            pod: pod.into(),
            terms: Terms::default(),
            clock: Clock::default(),
            source,
        };
        let gate = gates.gate("certificate");
        let metrics = Metrics::default();
        tokio::spawn(pki::run(
            config,
            client,
            Arc::clone(&serving),
            gate,
            metrics,
            stop.clone(),
        ));
        Ok(Replica { gates, serving, stop })
    }

    pub async fn clean(self) -> Result<()> {
        self.validating()
            .delete(&self.names.validating, &DeleteParams::default())
            .await?;
        self.mutating()
            .delete(&self.names.mutating, &DeleteParams::default())
            .await?;
        Ok(())
    }
}

impl Replica {
    pub async fn ready(&self) -> Result<()> {
        until("the replica is ready", LIMIT, async || {
            let closed = self.gates.closed();
            ensure!(closed.is_empty(), "{closed:?}");
            Ok(Some(()))
        })
        .await
    }

    /// The certificate that it serves, DER.
    pub fn serves(&self) -> Option<Vec<u8>> {
        let certified = self.serving.current()?;
        Some(certified.cert.first()?.to_vec())
    }

    /// Whether what it serves verifies under what both configurations trust now.
    pub async fn is_trusted(&self, release: &Release) -> Result<()> {
        let certified = self.serving.current().context("nothing is served")?;
        for configuration in release.live().await? {
            for webhook in &configuration.webhooks {
                let now = jiff::Timestamp::now();
                let verdict = x509::verify(&certified, &release.names.service, &webhook.trusted, now);
                verdict.map_err(anyhow::Error::msg).context(configuration.kind)?;
            }
        }
        Ok(())
    }
}

pub fn metadata(name: &str) -> kube::api::ObjectMeta {
    kube::api::ObjectMeta {
        name: Some(name.into()),
        ..Default::default()
    }
}
