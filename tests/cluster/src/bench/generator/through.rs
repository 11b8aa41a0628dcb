//! Objects created through the API server, with several webhooks and without any in turn.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result};
use kube::api::{DynamicObject, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::ApiResource;
use kube::{Api, Client, Config};
use tokio::task::JoinSet;

use super::{BEGIN, Seen, Through, say};
use crate::bench::figures::Spread;

/// Objects of each client and namespace before anything is counted.
const WARM: usize = 10;

/// One client and how its objects are told from those of the others.
#[derive(Clone)]
struct Creator {
    client: Client,
    number: usize,
    plan: Arc<Through>,
    count: Arc<AtomicUsize>,
}

pub(super) async fn run(plan: Through) -> Result<Vec<Seen>> {
    let plan = Arc::new(plan);
    let mut creators = vec![];
    for number in 0..plan.clients {
        creators.push(Creator {
            client: client(&plan.kubeconfig).await?,
            number,
            plan: Arc::clone(&plan),
            count: Arc::default(),
        });
    }
    for namespace in &plan.namespaces {
        turn(&creators, namespace, WARM).await.context("warming up")?;
    }
    say(BEGIN)?;
    let mut seen = vec![(vec![], 0.0); plan.namespaces.len()];
    for _ in 0..plan.turns {
        for (namespace, (milliseconds, seconds)) in plan.namespaces.iter().zip(&mut seen) {
            let begin = Instant::now();
            milliseconds.extend(turn(&creators, namespace, plan.turn).await?);
            *seconds += begin.elapsed().as_secs_f64();
        }
    }
    let told = |(milliseconds, seconds): (Vec<f64>, f64)| Seen {
        answered: milliseconds.len() as u64,
        spread: Spread::of(milliseconds).unwrap_or_default(),
        seconds,
        ..Seen::default()
    };
    Ok(seen.into_iter().map(told).collect())
}

async fn client(kubeconfig: &str) -> Result<Client> {
    let kubeconfig = Kubeconfig::read_from(Path::new(kubeconfig))?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

/// So many objects of each client; how long each took, in milliseconds.
async fn turn(creators: &[Creator], namespace: &str, objects: usize) -> Result<Vec<f64>> {
    let mut tasks = JoinSet::new();
    for creator in creators {
        tasks.spawn(creator.clone().create(namespace.to_owned(), objects));
    }
    let mut all = vec![];
    while let Some(done) = tasks.join_next().await {
        all.extend(done??);
    }
    Ok(all)
}

impl Creator {
    async fn create(self, namespace: String, objects: usize) -> Result<Vec<f64>> {
        let mut object: DynamicObject = serde_json::from_value(self.plan.object.clone())?;
        let types = object.types.clone().context("the object has no kind")?;
        let kind = kube::core::gvk::GroupVersionKind::try_from(types)?;
        let resource = ApiResource::from_gvk(&kind);
        let api: Api<DynamicObject> = Api::namespaced_with(self.client, &namespace, &resource);
        let prefix = object.metadata.name.clone().unwrap_or_default();
        let mut milliseconds = vec![];
        for _ in 0..objects {
            let index = self.count.fetch_add(1, Ordering::Relaxed);
            object.metadata.name = Some(format!("{prefix}{}-{index}", self.number));
            let begin = Instant::now();
            api.create(&PostParams::default(), &object).await?;
            milliseconds.push(begin.elapsed().as_secs_f64() * 1000.0);
        }
        Ok(milliseconds)
    }
}
