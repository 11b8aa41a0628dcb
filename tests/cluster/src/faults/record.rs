//! The log of a test server: every request, and what became of it.

use std::{collections::BTreeMap, time::Instant};

use hyper::Request;
use serde::{Deserialize, Serialize};

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

pub(super) struct Log {
    started: Instant,
    next: u64,
    pub(super) records: Vec<Record>,
}

impl Log {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            next: 0,
            records: Vec::new(),
        }
    }

    /// Adds a request; returns its number.
    pub(super) fn add<B>(&mut self, request: &Request<B>, fault: Option<&str>) -> u64 {
        let number = self.next;
        self.next += 1;
        self.records.push(Record {
            number,
            millis: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            method: request.method().to_string(),
            path: target(request).to_owned(),
            headers: headers(request),
            status: None,
            sent: 0,
            fault: fault.map(str::to_owned),
        });
        number
    }

    /// Changes the record of a request; one that was forgotten while it ran stays so.
    pub(super) fn update(&mut self, number: u64, change: impl FnOnce(&mut Record)) {
        if let Ok(place) = self.records.binary_search_by_key(&number, |record| record.number) {
            change(&mut self.records[place]);
        }
    }
}

/// The path of a request with its query.
pub(super) fn target<B>(request: &Request<B>) -> &str {
    request.uri().path_and_query().map_or("/", |path| path.as_str())
}

fn headers<B>(request: &Request<B>) -> BTreeMap<String, String> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let header = |(name, value): (_, &hyper::header::HeaderValue)| (ToString::to_string(name), text(value.as_bytes()));
    request.headers().iter().map(header).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forgotten_request_stays_forgotten_and_numbers_go_on() {
        let mut log = Log::new();
        let request = Request::get("/a?b=c").header("X-Y", "z").body(()).unwrap();
        let first = log.add(&request, None);
        log.records.clear();
        let second = log.add(&request, Some("delay"));
        log.update(first, |record| record.status = Some(500));
        log.update(second, |record| record.status = Some(200));
        assert_eq!((log.records.len(), log.records[0].number), (1, 1));
        assert_eq!(
            (log.records[0].status, log.records[0].path.as_str()),
            (Some(200), "/a?b=c")
        );
        assert_eq!(log.records[0].headers["x-y"], "z");
    }
}
