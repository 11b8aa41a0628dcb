//! A certificate that somebody else keeps in a Secret: taken up, exchanged, and not exchanged for a worse one.

use crate::release::{LIMIT, Release, Replica};
use anyhow::{Context, Result, ensure};
use cluster::test::until;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::json;

/// An authority, and its certificate.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate to serve: PEM, DER, and its key.
struct Leaf {
    pem: String,
    der: Vec<u8>,
    key: String,
}

impl Authority {
    fn new() -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Ok(Self {
            pem: params.self_signed(&key)?.pem(),
            issuer: Issuer::new(params, key),
        })
    }

    fn leaf(&self, host: &str) -> Result<Leaf> {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new([host.to_owned()])?.signed_by(&key, &self.issuer)?;
        Ok(Leaf {
            pem: certificate.pem(),
            der: certificate.der().to_vec(),
            key: key.serialize_pem(),
        })
    }
}

async fn served(replica: &Replica, leaf: &Leaf) -> Result<()> {
    until("the certificate of the Secret", LIMIT, async || {
        Ok((replica.serves().as_ref() == Some(&leaf.der)).then_some(()))
    })
    .await
}

async fn said(release: &Release, words: &str) -> Result<()> {
    until(words, LIMIT, async || {
        let events = release
            .namespace
            .kubectl(&["get", "events", "-o", "jsonpath={.items[*].message}"])
            .await?;
        ensure!(events.contains(words), "{events}");
        Ok(Some(()))
    })
    .await
}

pub async fn a_certificate_that_somebody_else_keeps_is_served() -> Result<()> {
    let release = Release::new("trust-given").await?;
    release.install().await?;
    let host = release.names.service.host();
    let replica = release.tenant("a").await?;
    // The Secret is still empty, and a readiness probe says so.
    until("the reason", LIMIT, async || {
        let closed = replica.gates.closed();
        let reason = &closed.first().context("no gate is closed")?.1;
        ensure!(
            reason.contains(&release.names.secret) && reason.contains("tls.crt"),
            "{reason}"
        );
        Ok(Some(()))
    })
    .await?;

    let (old, new) = (Authority::new()?, Authority::new()?);
    let first = old.leaf(&host)?;
    release.give(&first.pem, &first.key, &old.pem).await?;
    replica.ready().await?;
    served(&replica, &first).await?;
    replica.is_trusted(&release).await?;

    let second = old.leaf(&host)?;
    release.give(&second.pem, &second.key, &old.pem).await?;
    served(&replica, &second).await?;

    // Another authority: what it signed is served once it is trusted.
    let third = new.leaf(&host)?;
    release
        .give(&third.pem, &third.key, &format!("{}{}", old.pem, new.pem))
        .await?;
    served(&replica, &third).await?;
    replica.is_trusted(&release).await?;

    let strange = new.leaf("elsewhere.example.com")?;
    let worse = [
        (&strange.pem, &strange.key, &new.pem, "not valid for name"),
        (&second.pem, &third.key, &new.pem, "does not go with its tls.crt"),
        (&third.pem, &third.key, &String::new(), "no ca.crt"),
    ];
    for (certificate, key, authorities, why) in worse {
        release.give(certificate, key, authorities).await?;
        said(&release, why).await?;
        served(&replica, &third).await?;
        replica.ready().await?;
        replica.is_trusted(&release).await?;
    }
    let last = release.give(&third.pem, &third.key, &new.pem).await?;

    let wiped = json!({"webhooks": [{"name": "checks.llm.geeper.io", "clientConfig": {"caBundle": null}}]});
    let name = &release.names.validating;
    let patch = Patch::Strategic(wiped);
    release
        .validating()
        .patch(name, &PatchParams::default(), &patch)
        .await?;
    until("the bundle is back", LIMIT, async || {
        replica.is_trusted(&release).await.map(Some)
    })
    .await?;
    let now = release.secrets().get(&release.names.secret).await?;
    ensure!(
        now.resource_version() == last.resource_version(),
        "their Secret was written"
    );
    drop(replica);
    release.clean().await
}
