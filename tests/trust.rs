//! Certificates against a real API server: two replicas share a Secret and two configurations, and people wipe,
//! corrupt and delete them.

#[path = "trust/given.rs"]
mod given;
#[path = "trust/release.rs"]
mod release;

use anyhow::{Result, ensure};
use cluster::Kind;
use cluster::audit::Request;
use cluster::test::{Suite, until};
use k8s_openapi::ByteString;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use llm_operator::pki::book::{Book, Terms};
use llm_operator::pki::{Names, secret, x509};
use release::{LIMIT, Release};
use serde_json::json;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

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
        .test(
            "who_may_write_nothing_still_serves",
            Kind::Kwok,
            who_may_write_nothing_still_serves,
        )
        .test(
            "a_certificate_that_somebody_else_keeps_is_served",
            Kind::Kwok,
            given::a_certificate_that_somebody_else_keeps_is_served,
        )
        .run()
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
        release.live().await?.iter().all(|c| c.trusts(&book.trusted, &[])),
        "the chart wiped the bundle"
    );

    rests(&release).await?;
    drop(replicas);
    release.clean().await
}

/// At rest nothing is asked and nothing is written. Before, a replica that saw work to do may look once more, some seconds
/// later, whether someone else has done it.
async fn rests(release: &Release) -> Result<()> {
    let audit = release.namespace.cluster().audit();
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
    until("five seconds without a request", LIMIT, async || {
        let mark = audit.mark()?;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let asked = audit.since(mark)?.into_iter();
        let asked: Vec<Request> = asked.filter(|r| r.verb != "watch" && about_us(r)).collect();
        ensure!(asked.is_empty(), "{asked:?}");
        Ok(Some(()))
    })
    .await
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

/// Telling the API server whom to trust fails, and would for as long as the rights are missing; certificates go on.
async fn who_may_write_nothing_still_serves() -> Result<()> {
    let release = Release::new("trust-reads").await?;
    release.install().await?;
    let first = release.replica("a").await?;
    first.ready().await?;
    release.in_sync().await?;
    drop(first);
    let wiped = json!({"webhooks": [{"name": "checks.llm.geeper.io", "clientConfig": {"caBundle": null}}]});
    let patch = Patch::Strategic(wiped);
    let name = &release.names.validating;
    release
        .validating()
        .patch(name, &PatchParams::default(), &patch)
        .await?;
    let second = release.reader("b").await?;
    until("a certificate by the authority of the Secret", LIMIT, async || {
        Ok(second.serves().map(drop))
    })
    .await?;
    drop(second);
    let user = release.namespace.name();
    let cluster = release.namespace.cluster();
    cluster
        .kubectl(&["delete", "clusterrolebinding,clusterrole", user])
        .await?;
    release.clean().await
}
