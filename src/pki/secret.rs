//! The Secret that holds the book. The chart renders it empty; everything in it is written here.

use crate::pki::book::{Book, Certificate, Terms};
use crate::pki::plan::Stored;
use crate::pki::x509::{self, Service};
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::ObjectMeta;
use std::collections::BTreeMap;

const FORMAT: &str = "llm.geeper.io/pki-format";
const STAGE: &str = "llm.geeper.io/pki-stage";
const STAGED_AT: &str = "llm.geeper.io/staged-at";
const PROMOTED_AT: &str = "llm.geeper.io/promoted-at";
const GENERATION: &str = "llm.geeper.io/generation";
/// What this version writes. A newer one that writes something else names it differently.
const OUR_FORMAT: &str = "1";

/// What the Secret says.
#[must_use]
pub fn read(secret: Option<&Secret>, service: &Service, terms: &Terms) -> Stored {
    let Some(secret) = secret else { return Stored::Blank };
    let format = secret.annotations().get(FORMAT).map_or(OUR_FORMAT, String::as_str);
    if format != OUR_FORMAT {
        return Stored::Foreign {
            format: format.into(),
            book: book(secret, service, terms).ok(),
        };
    }
    if ["tls.crt", "tls.key"].iter().all(|key| field(secret, key).is_empty()) {
        return Stored::Blank;
    }
    match book(secret, service, terms) {
        Ok(book) => Stored::Ours(book),
        Err(why) => {
            let trusted = x509::read_bundle(field(secret, "ca.crt"));
            Stored::Broken {
                why,
                trusted,
                generation: generation(secret),
            }
        }
    }
}

fn book(secret: &Secret, service: &Service, terms: &Terms) -> Result<Book, String> {
    let authority = |crt, key| x509::read_authority(field(secret, crt), field(secret, key), service, terms);
    let time = |name| {
        secret
            .annotations()
            .get(name)
            .and_then(|text| text.parse::<Timestamp>().ok())
    };
    Ok(Book {
        active: authority("tls.crt", "tls.key")?,
        // One that cannot be used is as good as none: another will be made.
        next: authority("next.crt", "next.key").ok(),
        trusted: x509::read_bundle(field(secret, "ca.crt")),
        staged_at: time(STAGED_AT),
        promoted_at: time(PROMOTED_AT),
        generation: generation(secret),
    })
}

/// What is under the key, empty where there is none.
pub(crate) fn field<'a>(secret: &'a Secret, key: &str) -> &'a [u8] {
    secret
        .data
        .as_ref()
        .and_then(|data| data.get(key))
        .map_or(&[], |bytes| &bytes.0)
}

fn generation(secret: &Secret) -> u64 {
    secret
        .annotations()
        .get(GENERATION)
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

/// The Secret with the book in it. Of a Secret that exists everything else stays as it is, its resourceVersion too,
/// so that the write fails if someone was faster.
#[must_use]
pub fn write(existing: Option<Secret>, name: &str, service: &Service, book: &Book) -> Secret {
    let mut secret = existing.unwrap_or_else(|| blank(name, service));
    let mut data = BTreeMap::new();
    let mut put = |key: &str, text: String| data.insert(key.to_string(), ByteString(text.into_bytes()));
    let one = |certificate: &Certificate| x509::write_bundle(std::slice::from_ref(certificate));
    put("tls.crt", one(&book.active.certificate));
    put("tls.key", x509::write_key(&book.active.key));
    if let Some(next) = &book.next {
        put("next.crt", one(&next.certificate));
        put("next.key", x509::write_key(&next.key));
    }
    put("ca.crt", x509::write_bundle(&book.trusted));
    secret.data = Some(data);
    annotate(&mut secret, book);
    secret
}

fn annotate(secret: &mut Secret, book: &Book) {
    let annotations = secret.annotations_mut();
    let mut set = |name: &str, value: Option<String>| match value {
        Some(value) => annotations.insert(name.into(), value),
        None => annotations.remove(name),
    };
    set(FORMAT, Some(OUR_FORMAT.into()));
    set(STAGE, Some(book.stage().name().into()));
    set(STAGED_AT, book.staged_at.map(|t| t.to_string()));
    set(PROMOTED_AT, book.promoted_at.map(|t| t.to_string()));
    set(GENERATION, Some(book.generation.to_string()));
}

/// Without labels: they are Helm's, and a second owner of them would make the next upgrade of the release a conflict.
fn blank(name: &str, service: &Service) -> Secret {
    let metadata = ObjectMeta {
        name: Some(name.into()),
        namespace: Some(service.namespace.clone()),
        ..ObjectMeta::default()
    };
    Secret {
        metadata,
        type_: Some("Opaque".into()),
        ..Secret::default()
    }
}
