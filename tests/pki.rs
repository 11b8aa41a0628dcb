//! Certificates: what is written into the Secret and read back, what verifies against what, and what the API server
//! is told to trust.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends by panicking")]

#[path = "pki/book.rs"]
mod book;
#[path = "pki/certificates.rs"]
mod certificates;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use llm_operator::pki::book::{Authority, Book, Terms};
use llm_operator::pki::plan::Stored;
use llm_operator::pki::secret;
use llm_operator::pki::x509::{self, Service};

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
