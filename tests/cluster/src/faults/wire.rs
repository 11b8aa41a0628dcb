//! The wire between a client and a test server: it records every request, limits the speed and breaks what it is told to.

use std::{
    future::pending,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::bail;
use hyper::{Request, Response, body::Incoming};
use tokio::{
    sync::watch,
    time::{sleep, sleep_until},
};

use super::{
    Effect, Record, Rule,
    body::{self, Body},
    pace::Pace,
    record::{Log, target},
};

/// A handle on the wire of one server; clones are the same wire.
#[derive(Clone)]
pub struct Wire(Arc<Shared>);

struct Shared {
    rules: Mutex<Vec<Rule>>,
    log: Mutex<Log>,
    pace: Mutex<Pace>,
    cut: watch::Sender<()>,
}

impl Default for Wire {
    fn default() -> Self {
        let (rules, log, pace) = (Mutex::default(), Mutex::new(Log::new()), Mutex::new(Pace::new(0)));
        Self(Arc::new(Shared {
            rules,
            log,
            pace,
            cut: watch::Sender::new(()),
        }))
    }
}

impl Wire {
    /// Adds a fault. Of several that match a request, the oldest is applied.
    pub fn inject(&self, rule: Rule) {
        locked(&self.0.rules).push(rule);
    }

    /// Replaces all faults; an empty list ends them. Requests that already met one keep it.
    pub fn replace(&self, rules: Vec<Rule>) {
        *locked(&self.0.rules) = rules;
    }

    /// Faults that are still to come.
    #[must_use]
    pub fn rules(&self) -> Vec<Rule> {
        locked(&self.0.rules).clone()
    }

    /// Limits all answers together to this many bytes per second, from now on; 0 is full speed.
    pub fn limit(&self, rate: u64) {
        *locked(&self.0.pace) = Pace::new(rate);
    }

    /// Breaks off every request under way, also the hanging ones and open watches.
    pub fn cut(&self) {
        self.0.cut.send_replace(());
    }

    /// Every request since the start or since [`forget`](Self::forget), in the order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Record> {
        locked(&self.0.log).records.clone()
    }

    /// How many of these requests have this method and contain `path` in their path with its query.
    #[must_use]
    pub fn count(&self, method: &str, path: &str) -> usize {
        let wanted = |record: &&Record| record.method == method && record.path.contains(path);
        locked(&self.0.log).records.iter().filter(wanted).count()
    }

    /// Empties the log.
    pub fn forget(&self) {
        locked(&self.0.log).records.clear();
    }

    /// Lets one request pass to `server`, with what the rules have for it; an error closes the connection.
    pub(crate) async fn pass<F>(
        &self,
        request: Request<Incoming>,
        server: impl FnOnce(Request<Incoming>) -> F,
    ) -> anyhow::Result<Response<Body>>
    where
        F: Future<Output = Response<Body>>,
    {
        let mut cut = self.0.cut.subscribe();
        let later = cut.clone();
        let (number, effect) = self.arrived(&request);
        let answer = async {
            let response = match &effect {
                Some(Effect::Status(answer)) => answer.response()?,
                Some(Effect::Drop) => bail!("dropped as ordered"),
                Some(Effect::Hang) => pending().await,
                Some(Effect::Delay { millis }) => {
                    sleep(Duration::from_millis(*millis)).await;
                    server(request).await
                }
                _ => server(request).await,
            };
            locked(&self.0.log).update(number, |record| record.status = Some(response.status().as_u16()));
            Ok(response.map(|inner| body::spoiled(self.clone(), later, number, effect.clone(), inner)))
        };
        tokio::select! {
            _ = cut.changed() => bail!("cut as ordered"),
            answer = answer => answer,
        }
    }

    /// Counts bytes of the answer to a request.
    pub(super) fn sent(&self, number: u64, bytes: usize) {
        locked(&self.0.log).update(number, |record| record.sent += bytes as u64);
    }

    /// Waits until `bytes` more may pass.
    pub(super) async fn turn(&self, bytes: usize) {
        let at = locked(&self.0.pace).reserve(bytes);
        if let Some(at) = at {
            sleep_until(at.into()).await;
        }
    }

    /// How many bytes may pass at once.
    pub(super) fn piece(&self) -> usize {
        locked(&self.0.pace).piece()
    }

    /// Records a request and takes the fault that is due for it.
    fn arrived(&self, request: &Request<Incoming>) -> (u64, Option<Effect>) {
        let effect = self.take_effect(request.method().as_str(), target(request));
        let number = locked(&self.0.log).add(request, effect.as_ref().map(Effect::name));
        (number, effect)
    }

    fn take_effect(&self, method: &str, path: &str) -> Option<Effect> {
        let mut rules = locked(&self.0.rules);
        let place = rules
            .iter()
            .position(|rule| rule.times != Some(0) && rule.matches(method, path))?;
        let rule = &mut rules[place];
        let effect = rule.effect.clone();
        rule.times = rule.times.map(|times| times - 1);
        rules.retain(|rule| rule.times != Some(0));
        Some(effect)
    }
}

/// The guarded values are changed in one step each, so a panic elsewhere leaves them whole.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_ends_after_its_times_and_the_oldest_comes_first() {
        let wire = Wire::default();
        wire.inject(Rule::any("/a", Effect::Drop).times(1));
        wire.inject(Rule::any("/", Effect::Hang).times(1));
        assert_eq!(wire.take_effect("GET", "/a"), Some(Effect::Drop));
        assert_eq!(wire.take_effect("GET", "/a"), Some(Effect::Hang));
        assert_eq!(wire.take_effect("GET", "/a"), None);
        assert!(wire.rules().is_empty());
    }
}
