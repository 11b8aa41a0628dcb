//! The wire between a client and a test server: it records every request, limits the speed and breaks what it is told to.

use std::{
    collections::BTreeMap,
    future::pending,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming};
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, time::sleep};

use super::{
    Effect, Rule,
    body::{self, Body},
};

/// A handle on the wire of one server; clones are the same wire.
#[derive(Clone)]
pub struct Wire(Arc<Shared>);

struct Shared {
    started: Instant,
    rules: Mutex<Vec<Rule>>,
    log: Mutex<Log>,
    pace: Mutex<Pace>,
    cut: watch::Sender<()>,
}

/// One request that arrived, and what became of it so far.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Counts the requests from 0; forgetting the others does not begin anew.
    pub number: u64,
    /// When it arrived, in milliseconds since the server's start.
    pub millis: u64,
    /// The method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The request's headers, names in lower case. Credentials are among them.
    pub headers: BTreeMap<String, String>,
    /// The status it was answered with; none while it waits, and none for a dropped one.
    pub status: Option<u16>,
    /// Bytes of the answer's body that were handed to the connection.
    pub sent: u64,
    /// The fault that met it, by its name in JSON.
    pub fault: Option<String>,
}

#[derive(Default)]
struct Log {
    next: u64,
    records: Vec<Record>,
}

/// The speed of all connections together.
struct Pace {
    /// Bytes per second; 0 is full speed.
    rate: u64,
    /// When what was let through so far will have taken its time.
    free_at: Instant,
}

/// The largest piece of a body that is handed on at once.
const PIECE: u64 = 16 << 10;

impl Default for Wire {
    fn default() -> Self {
        let started = Instant::now();
        let pace = Mutex::new(Pace {
            rate: 0,
            free_at: started,
        });
        Self(Arc::new(Shared {
            started,
            rules: Mutex::default(),
            log: Mutex::default(),
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
        *locked(&self.0.pace) = Pace {
            rate,
            free_at: Instant::now(),
        };
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
        let mut cut = self.breaks();
        let (number, effect) = self.arrived(&request);
        let answer = async {
            let response = match &effect {
                Some(Effect::Status { code, body, headers }) => prepared(*code, body, headers)?,
                Some(Effect::Drop) => bail!("dropped as ordered"),
                Some(Effect::Hang) => pending().await,
                Some(Effect::Delay { millis }) => {
                    sleep(Duration::from_millis(*millis)).await;
                    server(request).await
                }
                _ => server(request).await,
            };
            self.update(number, |record| record.status = Some(response.status().as_u16()));
            Ok(response.map(|inner| body::spoiled(self.clone(), number, effect.clone(), inner)))
        };
        tokio::select! {
            _ = cut.changed() => bail!("cut as ordered"),
            answer = answer => answer,
        }
    }

    /// Changes whenever everything under way is to break off.
    pub(super) fn breaks(&self) -> watch::Receiver<()> {
        self.0.cut.subscribe()
    }

    /// Counts bytes of the answer to a request.
    pub(super) fn sent(&self, number: u64, bytes: usize) {
        self.update(number, |record| record.sent += bytes as u64);
    }

    /// Waits until `bytes` more may pass.
    pub(super) async fn turn(&self, bytes: usize) {
        let at = locked(&self.0.pace).reserve(bytes);
        if let Some(at) = at {
            tokio::time::sleep_until(at.into()).await;
        }
    }

    /// How much may pass at once: a twentieth of a second's worth, so that a new limit is felt at once.
    pub(super) fn piece(&self) -> usize {
        let rate = locked(&self.0.pace).rate;
        let piece = if rate == 0 { PIECE } else { (rate / 20).clamp(1, PIECE) };
        usize::try_from(piece).expect("at most PIECE")
    }

    /// Records a request and takes the fault that is due for it.
    fn arrived(&self, request: &Request<Incoming>) -> (u64, Option<Effect>) {
        let method = request.method().as_str();
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let effect = self.take_effect(method, path);
        let mut log = locked(&self.0.log);
        let number = log.next;
        log.next += 1;
        log.records.push(Record {
            number,
            millis: u64::try_from(self.0.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            method: method.to_owned(),
            path: path.to_owned(),
            headers: headers(request),
            status: None,
            sent: 0,
            fault: effect.as_ref().map(|effect| effect.name().to_owned()),
        });
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

    fn update(&self, number: u64, change: impl FnOnce(&mut Record)) {
        let mut log = locked(&self.0.log);
        // A forgotten request may still be running.
        if let Ok(place) = log.records.binary_search_by_key(&number, |record| record.number) {
            change(&mut log.records[place]);
        }
    }
}

impl Pace {
    fn reserve(&mut self, bytes: usize) -> Option<Instant> {
        if self.rate == 0 {
            return None;
        }
        let start = self.free_at.max(Instant::now());
        self.free_at = start + Duration::from_nanos(bytes as u64 * 1_000_000_000 / self.rate);
        Some(start)
    }
}

fn headers(request: &Request<Incoming>) -> BTreeMap<String, String> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    request
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
        .collect()
}

fn prepared(code: u16, text: &str, headers: &BTreeMap<String, String>) -> anyhow::Result<Response<Body>> {
    let builder = headers
        .iter()
        .fold(Response::builder().status(code), |builder, (name, value)| {
            builder.header(name, value)
        });
    let body = Full::from(text.to_owned())
        .map_err(|never| match never {})
        .boxed_unsync();
    builder
        .body(body)
        .with_context(|| format!("the fault's answer {code} with headers {headers:?}"))
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

    #[test]
    fn connections_share_one_rate() {
        let now = Instant::now();
        let mut pace = Pace {
            rate: 1000,
            free_at: now,
        };
        let turns: Vec<_> = (0..3).filter_map(|_| pace.reserve(500)).collect();
        assert!(turns[1] - turns[0] >= Duration::from_millis(500));
        assert!(turns[2] - turns[0] >= Duration::from_secs(1));
        assert_eq!(Pace { rate: 0, free_at: now }.reserve(500), None);
    }
}
