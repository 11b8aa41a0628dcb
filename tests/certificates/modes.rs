//! From one keeper of the certificate to the next, while people apply objects.

use super::CLUSTER;
use super::live::LIMIT;
use super::live::load::Load;
use super::live::objects::Objects;
use super::live::operator::{self, Alone, NAMESPACE};
use super::manager::CertManager;
use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cluster::test::until;
use llm_operator::pki::x509;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};

const HOST: &str = "llm-operator-webhook.llm-operator-system.svc";
const MANAGED: &str = "llm-operator-webhook-tls";
pub const THEIRS: &str = "our-own-certificate";

pub async fn the_keeper_of_the_certificate_can_be_changed() -> Result<()> {
    let alone = operator::alone(CLUSTER).await?;
    let namespace = alone.namespace("modes").await?;
    // Before the load, which would keep both cores busy where cert-manager is still to be built.
    let manager = CertManager::start(&alone).await?;
    let load = Load::start(alone.client().await?, namespace.name()).await?;
    let system = Objects::new(alone.client().await?, NAMESPACE);

    let tls = |tls: Value| json!({"webhook": {"tls": tls}});
    alone.install_with(&tls(json!({"mode": "certManager"}))).await?;
    manager.issues(&alone, NAMESPACE, "llm-operator-webhook").await?;
    let first = served(&alone, &system, MANAGED).await?;
    examined(&alone, "cert-manager keeps it (certManager)").await?;

    // As at the end of its life: another one with another key.
    system.delete("Secret", MANAGED).await?;
    let again = async || {
        let second = served(&alone, &system, MANAGED).await?;
        ensure!(second > first, "still the former one");
        Ok(Some(()))
    };
    until("a renewed certificate is served", LIMIT, again).await?;

    give(&alone).await?;
    alone
        .install_with(&tls(json!({"mode": "existingSecret", "existingSecret": THEIRS})))
        .await?;
    served(&alone, &system, THEIRS).await?;
    examined(&alone, "somebody else keeps it (existingSecret)").await?;
    alone.install_with(&tls(json!({"mode": "certManager"}))).await?;
    manager.issues(&alone, NAMESPACE, "llm-operator-webhook").await?;
    served(&alone, &system, MANAGED).await?;
    alone.install().await?;

    // The objects of cert-manager outside the release.
    let manifests = concat!(env!("CARGO_MANIFEST_DIR"), "/certs/cert-manager.yaml");
    alone.kubectl(&["apply", "--server-side", "-f", manifests]).await?;
    manager.issues(&alone, NAMESPACE, "llm-operator-webhook").await?;
    alone
        .install_with(&tls(json!({"mode": "existingSecret", "existingSecret": MANAGED})))
        .await?;
    served(&alone, &system, MANAGED).await?;
    alone.kubectl(&["delete", "-f", manifests]).await?;
    alone.install().await?;
    give(&alone).await?;
    alone
        .install_with(&tls(json!({"mode": "existingSecret", "existingSecret": THEIRS})))
        .await?;
    served(&alone, &system, THEIRS).await?;
    alone.install().await?;
    system.delete("Secret", THEIRS).await?;

    let tally = load.stop().await?;
    println!(
        "{} tries while the certificate changed hands eight times: {} failed, {} stacks are not as they were written",
        tally.answered,
        tally.failed.len(),
        tally.lost
    );
    ensure!(tally.failed.is_empty() && tally.lost == 0, "{tally:?}");
    ensure!(tally.answered > 100, "too little was tried: {tally:?}");
    drop(manager);
    Ok(())
}

/// Waits until every replica serves what is in the Secret, and gives the end of that certificate, in seconds since 1970.
async fn served(alone: &Alone, system: &Objects, secret: &str) -> Result<i64> {
    until("every replica serves what is in the Secret", LIMIT, async || {
        let held = system.get("Secret", secret).await?;
        let field = |key: &str| {
            let text = held["data"][key].as_str().unwrap_or_default();
            STANDARD.decode(text)
        };
        let (_, end) = x509::read_pair(&field("tls.crt")?, &field("tls.key")?).map_err(anyhow::Error::msg)?;
        let ends = ends(alone).await?;
        ensure!(ends.len() == 2, "{} replicas", ends.len());
        let same = ends.iter().all(|&served| served == end.as_second());
        ensure!(same, "served until {ends:?} in place of {}", end.as_second());
        Ok(Some(end.as_second()))
    })
    .await
}

/// The doctor, with the rights of the operator, has no problem and knows who keeps the certificate.
async fn examined(alone: &Alone, keeper: &str) -> Result<()> {
    until("the doctor finds nothing", LIMIT, async || {
        let said = alone.doctor().await?;
        ensure!(said.contains("\n0 problems, ") && said.contains(keeper), "{said}");
        Ok(Some(()))
    })
    .await
}

/// When what each replica serves ends, by its metrics.
async fn ends(alone: &Alone) -> Result<Vec<i64>> {
    let selector = "app.kubernetes.io/name=llm-operator,app.kubernetes.io/component!=selfcheck";
    let pods = Objects::new(alone.client().await?, NAMESPACE)
        .list("Pod", selector)
        .await?;
    let mut ends = vec![];
    for pod in pods.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null()) {
        let address = pod["status"]["podIP"].as_str().context("a pod without an address")?;
        let url = format!("http://{address}:8080/metrics");
        let text = alone.http("GET", &url, None).await?.text().await?;
        let line = r#"llm_operator_webhook_cert_not_after_seconds{kind="leaf"} "#;
        let end = text.lines().find_map(|l| l.strip_prefix(line));
        ends.push(end.context("no end of a certificate")?.parse()?);
    }
    Ok(ends)
}

/// Puts a certificate of our own into a Secret, with an authority that nobody has seen before.
pub async fn give(alone: &Alone) -> Result<()> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key)?.pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new([HOST.to_owned()])?.signed_by(&key, &issuer)?;
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": THEIRS, "namespace": NAMESPACE},
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": certificate.pem(), "tls.key": key.serialize_pem(), "ca.crt": authority},
    });
    alone
        .kubectl_with(&["apply", "--server-side", "-f", "-"], &secret.to_string())
        .await
        .map(drop)
}
