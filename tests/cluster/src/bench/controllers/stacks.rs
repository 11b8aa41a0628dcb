//! The stacks of a namespace: made eight at a time, and watched until all are Ready.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use futures::{StreamExt, TryStreamExt, stream};
use kube::api::{DynamicObject, PostParams};
use kube::core::ApiResource;
use kube::core::gvk::GroupVersionKind;
use kube::runtime::watcher::{self, Event};
use kube::{Api, ResourceExt};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::bench::bed::Bed;
use crate::bench::figures::count;
use crate::test::until;

/// As many people at a time.
pub const CREATORS: usize = 8;
/// A step that takes longer than this has gone wrong.
const LIMIT: Duration = Duration::from_secs(600);
/// Without one more Ready stack for this long it has gone wrong, too.
const STALL: Duration = Duration::from_secs(90);
const PACE: Duration = Duration::from_millis(20);

/// What is known of each.
#[derive(Default)]
struct Known {
    ready: BTreeMap<String, bool>,
    phase: BTreeMap<String, String>,
    changes: usize,
}

/// The stacks of a namespace.
pub struct Stacks {
    api: Api<DynamicObject>,
    known: Arc<Mutex<Known>>,
    task: JoinHandle<()>,
}

impl Drop for Stacks {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Stacks {
    /// Begins to watch.
    ///
    /// # Errors
    /// When the cluster is gone.
    pub async fn watch(bed: &Bed, namespace: &str) -> Result<Self> {
        let kind = GroupVersionKind::gvk("llm.geeper.io", "v1alpha1", "LMDeployment");
        let client = bed.cluster.client().await?;
        let api: Api<DynamicObject> = Api::namespaced_with(client, namespace, &ApiResource::from_gvk(&kind));
        let known = Arc::<Mutex<Known>>::default();
        let (watched, noted) = (api.clone(), Arc::clone(&known));
        let task = tokio::spawn(async move {
            let mut events = watcher::watcher(watched, watcher::Config::default()).boxed();
            while let Some(event) = events.next().await {
                // A watch that breaks begins again by itself.
                if let Ok(Event::Apply(object) | Event::InitApply(object)) = event {
                    noted.lock().unwrap_or_else(PoisonError::into_inner).note(&object);
                }
            }
        });
        Ok(Self { api, known, task })
    }

    /// Creates them.
    ///
    /// # Errors
    /// When one is refused.
    pub async fn create(&self, objects: Vec<Value>) -> Result<()> {
        let create = |object: Value| async move {
            let object: DynamicObject = serde_json::from_value(object)?;
            self.api.create(&PostParams::default(), &object).await?;
            anyhow::Ok(())
        };
        stream::iter(objects)
            .map(create)
            .buffer_unordered(CREATORS)
            .try_collect()
            .await
    }

    /// Changes of `status.phase` that were seen so far.
    pub fn phases(&self) -> f64 {
        count(self.known.lock().unwrap_or_else(PoisonError::into_inner).changes)
    }

    /// Waits until so many are Ready.
    ///
    /// # Errors
    /// When they are not within ten minutes, or none becomes so for long.
    pub async fn until_ready(&self, number: usize) -> Result<()> {
        let begin = Instant::now();
        let (mut most, mut last) = (0, begin);
        loop {
            let ready = self.known.lock().unwrap_or_else(PoisonError::into_inner).ready();
            if ready >= number {
                return Ok(());
            }
            if ready > most {
                (most, last) = (ready, Instant::now());
            }
            if begin.elapsed() > LIMIT || last.elapsed() > STALL {
                let (after, one) = (begin.elapsed(), self.one_that_is_not().await?);
                bail!("{ready} of {number} stacks are Ready after {after:?}: {one}");
            }
            tokio::time::sleep(PACE).await;
        }
    }

    /// Waits until a stack is Ready as it was written last.
    ///
    /// # Errors
    /// When it is not within ten minutes.
    pub async fn until_observed(&self, name: &str) -> Result<()> {
        until(&format!("{name} is Ready in its present form"), LIMIT, async || {
            let object = self.api.get(name).await?;
            let status = &object.data["status"];
            let observed = status["observedGeneration"].as_i64() == object.metadata.generation;
            Ok((observed && is_ready(status)).then_some(()))
        })
        .await
    }

    async fn one_that_is_not(&self) -> Result<String> {
        let Some(name) = self.known.lock().unwrap_or_else(PoisonError::into_inner).unready() else {
            return Ok("the others were not seen".into());
        };
        Ok(format!("{name}: {}", self.api.get(&name).await?.data["status"]))
    }
}

impl Known {
    fn note(&mut self, object: &DynamicObject) {
        let status = &object.data["status"];
        self.ready.insert(object.name_any(), is_ready(status));
        if let Some(phase) = status["phase"].as_str()
            && self.phase.get(&object.name_any()).is_none_or(|before| before != phase)
        {
            self.phase.insert(object.name_any(), phase.to_owned());
            self.changes += 1;
        }
    }

    fn unready(&self) -> Option<String> {
        let (name, _) = self.ready.iter().find(|(_, ready)| !**ready)?;
        Some(name.clone())
    }

    fn ready(&self) -> usize {
        self.ready.values().filter(|ready| **ready).count()
    }
}

fn is_ready(status: &Value) -> bool {
    let conditions = status["conditions"].as_array();
    conditions.is_some_and(|all| all.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"))
}
