//! The operator of an older commit, installed as a release.

use super::operator;
use anyhow::{Context, Result};
use cluster::predecessor::Predecessor;
use cluster::{Cluster, Helm};
use tokio::task::spawn_blocking;

/// Installs its chart with its program.
///
/// # Errors
/// When it cannot be built, and what Helm says.
pub async fn install(cluster: &Cluster, helm: Helm) -> Result<()> {
    let built = spawn_blocking(|| {
        let predecessor = Predecessor::built()?;
        anyhow::Ok((predecessor.chart(), predecessor.image()?))
    });
    let (chart, image) = built.await??;
    let archive = image.archive.to_str().context("the image's path is not UTF-8")?;
    cluster.load(archive).await?;
    operator::install_chart(cluster, helm, &chart, &operator::values(&image.name)).await
}
