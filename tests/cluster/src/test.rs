//! What tests of a cluster have in common: a namespace each, waiting on conditions, what the API accepts and
//! refuses, and a suite that says in the open what cannot run here.

mod dump;
mod namespace;
mod suite;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::cluster::Cluster;

pub use namespace::{Accepted, Namespace};
pub use suite::{Suite, obstacle};

/// Prints objects, events and logs of a namespace to stderr, such as that of a release which several tests use.
pub fn dump(cluster: &Cluster, namespace: &str) {
    eprint!("{}", dump::namespace(cluster, namespace));
}

/// Asks every 100 ms until there is an answer. An error counts as none yet; the last one is in the message
/// when the time is over.
///
/// # Errors
/// When there is no answer within `limit`.
pub async fn until<T>(what: &str, limit: Duration, mut check: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let end = Instant::now() + limit;
    loop {
        let outcome = tokio::time::timeout(limit, check()).await;
        let last = match outcome {
            Ok(Ok(Some(value))) => return Ok(value),
            Ok(Ok(None)) => String::new(),
            Ok(Err(error)) => format!("; the last attempt: {error:#}"),
            Err(_) => "; the last attempt did not end".into(),
        };
        if Instant::now() > end {
            bail!("{what}: not within {limit:?}{last}");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiting_ends_with_the_answer_or_says_what_was_missing() {
        let mut left = 3;
        let answer = until("three tries", Duration::from_secs(5), async || {
            left -= 1;
            Ok((left == 0).then_some("done"))
        });
        assert_eq!(answer.await.unwrap(), "done");
        let never = until::<()>("a cow", Duration::from_millis(150), async || bail!("no cow yet")).await;
        assert_eq!(
            never.unwrap_err().to_string(),
            "a cow: not within 150ms; the last attempt: no cow yet"
        );
    }
}
