//! Certificates against a real API server: two replicas share a Secret and two configurations, and people wipe,
//! corrupt and delete them.

use anyhow::{Context, Result, ensure};
use axum::Router;
use cluster::audit::Request;
use cluster::test::{Namespace, Suite, until};
use cluster::{Cluster, Kind};
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use llm_operator::health::Gates;
use llm_operator::pki::book::{Book, Terms};
use llm_operator::pki::configuration::Configuration;
use llm_operator::pki::plan::Stored;
use llm_operator::pki::{self, Metrics, Names, Service, Serving, secret, x509};
use llm_operator::server::{Limits, Port};
use llm_operator::webhook::tls;
use prometheus_client::metrics::counter::Counter;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    Suite::new()
        .test(
            "two_replicas_become_ready_and_rest",
            Kind::Kwok,
            two_replicas_become_ready_and_rest,
        )
        .test(
            "a_replica_waits_for_the_configurations",
            Kind::Kwok,
            a_replica_waits_for_the_configurations,
        )
        .test(
            "what_is_broken_is_mended_with_the_same_authority",
            Kind::Kwok,
            what_is_broken_is_mended,
        )
        .test(
            "an_expired_authority_is_replaced",
            Kind::Kwok,
            an_expired_authority_is_replaced,
        )
        .run()
}

/// The objects of one test: a Secret as the chart renders it, and configurations that call nobody, since no object
/// is of the group they are about.
struct Release {
    namespace: Namespace,
    client: Client,
    names: Names,
}

/// One replica, without the rest of the operator.
struct Replica {
    gates: Gates,
    serving: Arc<Serving>,
    stop: CancellationToken,
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Release {
    async fn new(test: &str) -> Result<Self> {
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
            client,
            names,
        };
        let blank = Secret {
            metadata: metadata(&release.names.secret),
            ..Secret::default()
        };
        release.secrets().create(&PostParams::default(), &blank).await?;
        Ok(release)
    }

    fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), self.namespace.name())
    }

    fn validating(&self) -> Api<ValidatingWebhookConfiguration> {
        Api::all(self.client.clone())
    }

    fn mutating(&self) -> Api<MutatingWebhookConfiguration> {
        Api::all(self.client.clone())
    }

    /// Applies the configurations as a chart does: with all but the bundle.
    async fn install(&self) -> Result<()> {
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

    fn configuration(&self, kind: &str, name: &str) -> Value {
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

    async fn live(&self) -> Result<[Configuration; 2]> {
        let validating = self.validating().get(&self.names.validating).await?;
        let mutating = self.mutating().get(&self.names.mutating).await?;
        let service = &self.names.service;
        Ok([
            Configuration::validating(&validating, service),
            Configuration::mutating(&mutating, service),
        ])
    }

    async fn book(&self) -> Result<Option<Book>> {
        let stored = self.secrets().get_opt(&self.names.secret).await?;
        match secret::read(stored.as_ref(), &self.names.service, &Terms::default()) {
            Stored::Ours(book) => Ok(Some(book)),
            _ => Ok(None),
        }
    }

    /// Waits until there is a book and both configurations trust it.
    async fn in_sync(&self) -> Result<Book> {
        until("a Secret that both configurations trust", LIMIT, async || {
            let Some(book) = self.book().await? else {
                return Ok(None);
            };
            let synced = self.live().await?.iter().all(|c| c.trusts(&book.trusted));
            Ok(synced.then_some(book))
        })
        .await
    }

    async fn replica(&self, pod: &str) -> Result<Replica> {
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
        };
        let gate = gates.gate("certificate");
        let metrics = Metrics::default();
        tokio::spawn(pki::run(
            config,
            self.client.clone(),
            Arc::clone(&serving),
            gate,
            metrics,
            stop.clone(),
        ));
        Ok(Replica { gates, serving, stop })
    }

    async fn clean(self) -> Result<()> {
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
    async fn ready(&self) -> Result<()> {
        until("the replica is ready", LIMIT, async || {
            let closed = self.gates.closed();
            ensure!(closed.is_empty(), "{closed:?}");
            Ok(Some(()))
        })
        .await
    }

    /// Whether what it serves verifies under what both configurations trust now.
    async fn is_trusted(&self, release: &Release) -> Result<()> {
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

fn metadata(name: &str) -> kube::api::ObjectMeta {
    kube::api::ObjectMeta {
        name: Some(name.into()),
        ..Default::default()
    }
}

async fn two_replicas_become_ready_and_rest() -> Result<()> {
    let release = Release::new("trust-ready").await?;
    release.install().await?;
    let start = Instant::now();
    let replicas = [release.replica("a").await?, release.replica("b").await?];
    for replica in &replicas {
        replica.ready().await?;
        replica.is_trusted(&release).await?;
    }
    println!("two replicas were ready after {:?}", start.elapsed());
    let book = release.in_sync().await?;
    ensure!(
        book.generation == 1 && book.trusted.len() == 1,
        "one authority for both: {}",
        book.generation
    );

    // An upgrade by the chart changes nothing: it owns everything but the bundle.
    release.install().await?;
    ensure!(
        release.live().await?.iter().all(|c| c.trusts(&book.trusted)),
        "the chart wiped the bundle"
    );

    // At rest nothing is asked and nothing is written.
    let audit = release.namespace.cluster().audit();
    let mark = audit.mark()?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let Names {
        secret,
        validating,
        mutating,
        ..
    } = &release.names;
    let ours = [(secret, release.namespace.name()), (validating, ""), (mutating, "")];
    let about_us = |r: &Request| {
        ours.iter()
            .any(|(name, namespace)| r.name == **name && r.namespace == *namespace)
    };
    let asked: Vec<Request> = audit
        .since(mark)?
        .into_iter()
        .filter(|r| r.verb != "watch" && about_us(r))
        .collect();
    ensure!(asked.is_empty(), "{asked:?}");
    drop(replicas);
    release.clean().await
}

async fn a_replica_waits_for_the_configurations() -> Result<()> {
    let release = Release::new("trust-waits").await?;
    let replica = release.replica("a").await?;
    let expected = format!(
        "ValidatingWebhookConfiguration {} does not exist",
        release.names.validating
    );
    until("the reason", LIMIT, async || {
        let closed = replica.gates.closed();
        ensure!(closed == [("certificate", expected.clone())], "{closed:?}");
        Ok(Some(()))
    })
    .await?;
    release.install().await?;
    replica.ready().await?;
    replica.is_trusted(&release).await?;

    // Deleting a configuration is the documented way out of an emergency: it stays deleted and nobody minds.
    release
        .validating()
        .delete(&release.names.validating, &DeleteParams::default())
        .await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    ensure!(
        release.validating().get_opt(&release.names.validating).await?.is_none(),
        "it came back"
    );
    ensure!(replica.gates.closed().is_empty(), "{:?}", replica.gates.closed());
    release.install().await?;
    release.in_sync().await?;
    drop(replica);
    release.clean().await
}

async fn what_is_broken_is_mended() -> Result<()> {
    let release = Release::new("trust-mended").await?;
    release.install().await?;
    let replicas = [release.replica("a").await?, release.replica("b").await?];
    for replica in &replicas {
        replica.ready().await?;
    }
    let book = release.in_sync().await?;
    let (secrets, name) = (release.secrets(), release.names.secret.as_str());

    let wiped = json!({"webhooks": [{"name": "checks.llm.geeper.io", "clientConfig": {"caBundle": null}}]});
    release
        .validating()
        .patch(
            &release.names.validating,
            &PatchParams::default(),
            &Patch::Strategic(wiped),
        )
        .await?;
    ensure!(release.in_sync().await? == book, "a wiped bundle");

    let whole = secrets.get(name).await?;
    let mut blank = whole.clone();
    blank.data = None;
    secrets.replace(name, &PostParams::default(), &blank).await?;
    same(&release.in_sync().await?, &book, "an emptied Secret")?;

    let mut corrupt = secrets.get(name).await?;
    let rubbish = ByteString(b"rubbish".to_vec());
    corrupt.data = Some(BTreeMap::from([
        ("tls.crt".into(), rubbish.clone()),
        ("tls.key".into(), rubbish),
    ]));
    secrets.replace(name, &PostParams::default(), &corrupt).await?;
    same(&release.in_sync().await?, &book, "a corrupt Secret")?;

    secrets.delete(name, &DeleteParams::default()).await?;
    same(&release.in_sync().await?, &book, "a deleted Secret")?;

    // With nobody left who remembers, a new authority takes over, and what is served meanwhile stays trusted.
    drop(replicas);
    secrets.delete(name, &DeleteParams::default()).await?;
    let replica = release.replica("c").await?;
    replica.ready().await?;
    let new = release.in_sync().await?;
    ensure!(new.active != book.active, "the same authority out of nowhere");
    ensure!(
        new.trusted.contains(&book.active.certificate),
        "the former one is not trusted any more"
    );
    replica.is_trusted(&release).await?;

    let events = release
        .namespace
        .kubectl(&["get", "events", "-o", "jsonpath={.items[*].reason}"])
        .await?;
    for reason in ["AuthorityMade", "AuthorityRestored", "TrustInjected"] {
        ensure!(events.contains(reason), "no event {reason}: {events}");
    }
    drop(replica);
    release.clean().await
}

fn same(now: &Book, before: &Book, what: &str) -> Result<()> {
    ensure!(now.active == before.active, "{what}: another authority");
    ensure!(now.trusted == before.trusted, "{what}: another bundle");
    Ok(())
}

async fn an_expired_authority_is_replaced() -> Result<()> {
    let release = Release::new("trust-expired").await?;
    release.install().await?;
    let past = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(400 * 24);
    let terms = Terms::default();
    let old = x509::authority(&release.names.service, 1, past, &terms)?;
    let book = Book::opened(old, 1, &[], past, &terms);
    let existing = release.secrets().get(&release.names.secret).await?;
    let expired = secret::write(Some(existing), &release.names.secret, &release.names.service, &book);
    release
        .secrets()
        .replace(&release.names.secret, &PostParams::default(), &expired)
        .await?;
    let replica = release.replica("a").await?;
    replica.ready().await?;
    replica.is_trusted(&release).await?;
    let book = release.in_sync().await?;
    ensure!(
        book.generation == 2 && book.trusted.len() == 1,
        "{} authorities are trusted",
        book.trusted.len()
    );
    drop(replica);
    release.clean().await
}
