//! A release under load, and what a fault did to it.

use super::CLUSTER;
use super::live::LIMIT;
use super::live::inside;
use super::live::load::{Load, Tally};
use super::live::objects::{Objects, name};
use super::live::operator::{self, Alone, NAMESPACE};
use super::table::Row;
use anyhow::{Context, Result, ensure};
use cluster::test::{Namespace, until};
use serde_json::Value;
use std::ops::Deref;
use std::time::{Duration, Instant};

/// The operator's pods.
pub const SELECTOR: &str = "app.kubernetes.io/name=llm-operator,app.kubernetes.io/component!=selfcheck";
/// Their Deployment.
pub const DEPLOYMENT: &str = "deployment/llm-operator-controller-manager";

/// How many failed admissions a fault may cause.
#[derive(Clone, Copy)]
pub enum Bound {
    /// None.
    Never,
    /// Some, for so many seconds from the first to the last.
    For(u64),
    /// It has none that is promised; the table has what was seen.
    Told,
}

/// A release of its own with people who use it.
pub struct Scene {
    alone: Alone,
    /// Where the load's stacks are.
    pub namespace: Namespace,
    /// Objects of the release.
    pub system: Objects,
}

impl Deref for Scene {
    type Target = Alone;

    fn deref(&self) -> &Alone {
        &self.alone
    }
}

/// The longer one in `make soak`.
#[must_use]
pub fn lasting(short: u64, soak: u64) -> Duration {
    Duration::from_secs(if super::table::is_soak() { soak } else { short })
}

impl Scene {
    /// The release as the chart installs it, at rest.
    pub async fn open() -> Result<Self> {
        let alone = operator::alone(CLUSTER).await?;
        let namespace = alone.namespace("load").await?;
        let system = Objects::new(alone.client().await?, NAMESPACE);
        let scene = Self {
            alone,
            namespace,
            system,
        };
        scene.whole().await?;
        Ok(scene)
    }

    /// Both replicas are there, and one of them reconciles.
    pub async fn whole(&self) -> Result<()> {
        until("both replicas are ready and one leads", LIMIT, async || {
            let deployment = self.system.get("Deployment", "llm-operator-controller-manager").await?;
            let status = &deployment["status"];
            ensure!(
                status["readyReplicas"] == 2 && status["replicas"] == 2 && status["updatedReplicas"] == 2,
                "{status}"
            );
            self.leader().await?;
            Ok(Some(()))
        })
        .await
    }

    /// The operator's pods that are not going.
    pub async fn pods(&self) -> Result<Vec<Value>> {
        let mut pods = self.system.list("Pod", SELECTOR).await?;
        pods.retain(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        Ok(pods)
    }

    /// What the Lease says.
    pub async fn lease(&self) -> Result<Value> {
        let mut lease = self.system.get("Lease", "llm-operator-leader").await?;
        Ok(lease["spec"].take())
    }

    /// The pod that holds the Lease.
    pub async fn leader(&self) -> Result<Value> {
        let lease = self.lease().await?;
        let holder = lease["holderIdentity"].as_str().context("nobody leads")?;
        let pods = self.pods().await?;
        let pod = pods.into_iter().find(|pod| holder.starts_with(name(pod)));
        pod.with_context(|| format!("the leader {holder} is no pod"))
    }

    /// Signals the operator in that pod.
    pub async fn signal(&self, pod: &Value, signal: &str) -> Result<()> {
        inside::signal(&self.alone, &inside::cgroup(pod), "llm-operator", signal).await
    }

    /// Does what `fault` does while people apply objects, and writes down what came of it.
    pub async fn during(
        &self,
        row: &str,
        injected: &str,
        bound: Bound,
        fault: impl AsyncFnOnce() -> Result<()>,
    ) -> Result<()> {
        let load = Load::start(self.alone.client().await?, self.namespace.name()).await?;
        let busy = async || Ok((load.answered() > 20).then_some(()));
        until("the load is under way", LIMIT, busy).await?;
        let start = Instant::now();
        fault()
            .await
            .with_context(|| format!("while this was done: {injected}"))?;
        let end = Instant::now();
        let goes_on = load.answered() + 20;
        let busy = async || Ok((load.answered() > goes_on).then_some(()));
        until("admission goes on", LIMIT, busy).await?;
        self.whole().await?;
        let tally = load.stop().await?;
        let row = Row {
            fault: row.into(),
            injected: injected.into(),
            seconds: end.duration_since(start).as_secs_f64(),
            answered: tally.answered,
            failed: tally.failed.len(),
            unfilled: tally.unfilled,
            failing: tally.failing.as_secs_f64(),
            recovered: end.elapsed().as_secs_f64(),
            lost: tally.lost,
            promised: promised(bound),
        };
        row.write()?;
        judge(bound, &tally)
    }
}

fn promised(bound: Bound) -> String {
    match bound {
        Bound::Never => "0".into(),
        Bound::For(seconds) => format!("for {seconds} s"),
        Bound::Told => "no promise".into(),
    }
}

/// What is promised holds.
fn judge(bound: Bound, tally: &Tally) -> Result<()> {
    ensure!(tally.lost == 0, "{} acknowledged writes were lost", tally.lost);
    let failed = &tally.failed;
    let said = failed.first().map_or("", String::as_str);
    match bound {
        Bound::Told => {}
        Bound::For(seconds) => ensure!(
            tally.failing <= Duration::from_secs(seconds),
            "admission failed for {:?}, {seconds} s are promised: {said}",
            tally.failing
        ),
        Bound::Never => ensure!(failed.is_empty(), "{} admissions failed: {said}", failed.len()),
    }
    let filled = tally.unfilled == 0 || !matches!(bound, Bound::Never);
    ensure!(
        filled,
        "{} objects were admitted without their defaults",
        tally.unfilled
    );
    Ok(())
}
