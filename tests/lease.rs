//! The Lease on a real API server: who leads, how it is handed over, and what happens to a holder that is cut off.

use anyhow::{Context, Result, bail, ensure};
use cluster::faults::{Effect, Leaf, Proxy, Rule, Upstream};
use cluster::test::{Namespace, Suite, until};
use cluster::{Cluster, Kind};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, DeleteParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, ResourceExt};
use llm_operator::lease::{Claim, Config, Lost, claim, standing::Terms};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    Suite::new()
        .test(
            "one_leads_and_a_release_hands_over_at_once",
            Kind::Kwok,
            one_leads_and_a_release_hands_over_at_once,
        )
        .test(
            "a_holder_that_is_cut_off_gives_up_first",
            Kind::Kwok,
            a_holder_that_is_cut_off_gives_up_first,
        )
        .test(
            "a_deleted_lease_is_made_again_by_its_holder",
            Kind::Kwok,
            a_deleted_lease_is_made_again_by_its_holder,
        )
        .test(
            "a_holder_whose_name_is_overwritten_stops",
            Kind::Kwok,
            a_holder_whose_name_is_overwritten_stops,
        )
        .run()
}

fn config(namespace: &Namespace, pod: &str) -> Config {
    let namespace = namespace.name().into();
    Config {
        namespace,
        name: "leader".into(),
        pod: pod.into(),
        terms: Terms::default(),
    }
}

fn leads(claim: &Claim) -> bool {
    *claim.watch().borrow()
}

async fn lease(client: &Client, namespace: &Namespace) -> Result<Lease> {
    Ok(Api::namespaced(client.clone(), namespace.name()).get("leader").await?)
}

fn holder(lease: &Lease) -> &str {
    lease
        .spec
        .as_ref()
        .and_then(|s| s.holder_identity.as_deref())
        .unwrap_or_default()
}

async fn one_leads_and_a_release_hands_over_at_once() -> Result<()> {
    let namespace = Cluster::shared().await?.namespace("lease-handover").await?;
    let client = namespace.cluster().client().await?;
    let mut claims: Vec<Claim> = ["a", "b"]
        .map(|pod| claim(client.clone(), &config(&namespace, pod)))
        .into();
    let first = until("a leader", LIMIT, async || Ok(claims.iter().position(leads))).await?;
    let before = lease(&client, &namespace).await?;
    // Renewals change the Lease and not its holder; two periods show that the other one does not interfere.
    until("two renewals", LIMIT, async || {
        let now = lease(&client, &namespace).await?;
        let renewed = |l: &Lease| l.spec.as_ref().and_then(|s| s.renew_time.clone()).map(|t| t.0);
        let later = renewed(&now) > renewed(&before).map(|t| t + jiff::SignedDuration::from_secs(3));
        ensure!(holder(&now) == holder(&before), "the holder changed");
        Ok(later.then_some(()))
    })
    .await?;
    ensure!(!leads(&claims[1 - first]), "both lead");
    let released = Instant::now();
    claims.remove(first).release().await;
    let mut second = claims.remove(0);
    timeout(LIMIT, second.led()).await??;
    ensure!(
        released.elapsed() < Duration::from_secs(3),
        "the hand-over took {:?}",
        released.elapsed()
    );
    second.release().await;
    let end = lease(&client, &namespace).await?;
    ensure!(holder(&end).is_empty(), "released, and still held by {}", holder(&end));
    ensure!(end.spec.and_then(|s| s.lease_transitions) == Some(2), "two terms");
    Ok(())
}

async fn a_holder_that_is_cut_off_gives_up_first() -> Result<()> {
    let namespace = Cluster::shared().await?.namespace("lease-cut-off").await?;
    let client = namespace.cluster().client().await?;
    let (proxy, through) = proxied(&namespace).await?;
    let mut near = claim(through, &config(&namespace, "cut-off"));
    timeout(LIMIT, near.led()).await??;
    let mut far = claim(client, &config(&namespace, "other"));
    proxy.wire().inject(Rule::any("/leases/", Effect::Hang));
    let cut = Instant::now();
    let lost = timeout(LIMIT, near.lost()).await?;
    ensure!(matches!(lost, Lost::Expired { .. }), "{lost}");
    // The last renewal was up to a retry ago; the deadline counts from there.
    ensure!(
        cut.elapsed() < Duration::from_secs(11),
        "given up after {:?}",
        cut.elapsed()
    );
    ensure!(!leads(&far), "the other one leads while the first one may still write");
    timeout(LIMIT, far.led()).await??;
    ensure!(
        cut.elapsed() < Duration::from_secs(20),
        "taken over after {:?}",
        cut.elapsed()
    );
    far.release().await;
    Ok(())
}

async fn a_deleted_lease_is_made_again_by_its_holder() -> Result<()> {
    let namespace = Cluster::shared().await?.namespace("lease-deleted").await?;
    let client = namespace.cluster().client().await?;
    let mut claim = claim(client.clone(), &config(&namespace, "a"));
    timeout(LIMIT, claim.led()).await??;
    let leases: Api<Lease> = Api::namespaced(client, namespace.name());
    let before = leases.get("leader").await?.uid();
    leases.delete("leader", &DeleteParams::default()).await?;
    until("a new Lease", LIMIT, async || {
        Ok(leases
            .get_opt("leader")
            .await?
            .filter(|l| l.uid() != before && holder(l).starts_with("a_")))
    })
    .await?;
    ensure!(leads(&claim), "the holder gave up");
    claim.release().await;
    Ok(())
}

async fn a_holder_whose_name_is_overwritten_stops() -> Result<()> {
    let namespace = Cluster::shared().await?.namespace("lease-overwritten").await?;
    let client = namespace.cluster().client().await?;
    let mut claim = claim(client.clone(), &config(&namespace, "a"));
    timeout(LIMIT, claim.led()).await??;
    let patch = r#"{"spec":{"holderIdentity":"somebody"}}"#;
    namespace
        .kubectl(&["patch", "lease", "leader", "--type=merge", "-p", patch])
        .await?;
    match timeout(LIMIT, claim.lost()).await? {
        Lost::Taken { holder, .. } if holder == "somebody" => Ok(()),
        other => bail!("{other}"),
    }
}

/// A client whose requests pass a proxy that can be told to misbehave.
async fn proxied(namespace: &Namespace) -> Result<(Proxy, Client)> {
    let kubeconfig = Kubeconfig::read_from(namespace.cluster().kubeconfig())?;
    let server = kubeconfig
        .clusters
        .first()
        .and_then(|c| c.cluster.clone())
        .context("no cluster in the kubeconfig")?;
    let ca = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await?
        .root_cert;
    let ca = ca.unwrap_or_default().iter().map(|der| pem(der)).collect::<String>();
    let upstream = Upstream::https(&server.server.context("no server in the kubeconfig")?, &ca)?;
    let proxy = Proxy::start(upstream, &Leaf::for_loopback()?).await?;
    let account = format!("--serviceaccount={}:default", namespace.name());
    namespace
        .kubectl(&["create", "rolebinding", "all", "--clusterrole=cluster-admin", &account])
        .await?;
    let token = namespace.kubectl(&["create", "token", "default"]).await?;
    let kubeconfig = Kubeconfig::from_yaml(&proxy.kubeconfig(token.trim(), namespace.name()))?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok((proxy, Client::try_from(config)?))
}

fn pem(der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}
