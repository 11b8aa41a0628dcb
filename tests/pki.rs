//! Certificates: what is written into the Secret and read back, what verifies against what, and what the API server
//! is told to trust.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends by panicking")]

#[path = "pki/book.rs"]
mod book;
#[path = "pki/certificates.rs"]
mod certificates;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use llm_operator::pki::book::{Authority, Book, Terms};
use llm_operator::pki::configuration::Configuration;
use llm_operator::pki::plan::Stored;
use llm_operator::pki::x509::{self, Service};
use llm_operator::pki::{Serving, dial, secret};
use llm_operator::server::{Limits, Port};
use llm_operator::webhook::tls;
use prometheus_client::metrics::counter::Counter;
use proptest::prelude::*;
use serde_json::json;
use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

fn service() -> Service {
    Service {
        name: "llm-operator-webhook".into(),
        namespace: "llm-operator-system".into(),
    }
}

/// A moment that certificates can express.
fn now() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap()
}

fn authority(generation: u64) -> Authority {
    x509::authority(&service(), generation, now(), &Terms::default()).unwrap()
}

fn book() -> Book {
    Book::opened(authority(1), 1, &[], now(), &Terms::default())
}

fn written(book: &Book) -> Secret {
    secret::write(None, "ca", &service(), book)
}

fn read(secret: &Secret) -> Stored {
    secret::read(Some(secret), &service(), &Terms::default())
}

fn set(secret: &mut Secret, key: &str, value: impl Into<Vec<u8>>) {
    secret
        .data
        .as_mut()
        .unwrap()
        .insert(key.into(), ByteString(value.into()));
}
