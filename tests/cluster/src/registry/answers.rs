//! The read half of the registry protocol, in the manner that Ollama's client needs.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HOST, LOCATION, RANGE},
};

use super::{
    package::{MANIFEST, digest},
    store::Store,
};
use crate::faults::Body;

const DIGEST: &str = "docker-content-digest";

/// Answers one request.
pub(super) fn answer<B>(store: &Store, request: &Request<B>) -> Response<Body> {
    let path = request.uri().path();
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return refusal(
            StatusCode::METHOD_NOT_ALLOWED,
            "UNSUPPORTED",
            "this registry is only for pulling",
        );
    }
    if path == "/v2/" {
        return reply(
            request,
            Response::builder().header(CONTENT_TYPE, "application/json"),
            Bytes::from_static(b"{}"),
        );
    }
    let Some(rest) = path.strip_prefix("/v2/") else {
        return refusal(StatusCode::NOT_FOUND, "NOT_FOUND", "no such route");
    };
    if let Some((_, digest)) = rest.split_once("/blobs/") {
        return blob(store, request, digest);
    }
    match rest.split_once("/manifests/") {
        Some((repository, reference)) => manifest(store, request, repository, reference),
        None => refusal(StatusCode::NOT_FOUND, "NOT_FOUND", "no such route"),
    }
}

fn manifest<B>(store: &Store, request: &Request<B>, repository: &str, reference: &str) -> Response<Body> {
    match store.manifest(repository, reference) {
        None => refusal(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", "manifest unknown"),
        Some(bytes) => reply(
            request,
            Response::builder()
                .header(CONTENT_TYPE, MANIFEST)
                .header(DIGEST, digest(&bytes)),
            bytes,
        ),
    }
}

/// A blob, whole or in part. Every answer to GET carries its own URL as `Location`: Ollama's client first asks
/// without a range, throws that body away, and then fetches the parts from there; without it, it gives up.
fn blob<B>(store: &Store, request: &Request<B>, digest: &str) -> Response<Body> {
    let Some(bytes) = store.blob(digest) else {
        return refusal(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", "blob unknown to registry");
    };
    let builder = Response::builder().header(CONTENT_TYPE, "application/octet-stream");
    let mut builder = builder.header(ACCEPT_RANGES, "bytes").header(DIGEST, digest);
    if request.method() == Method::GET {
        builder = builder.header(LOCATION, format!("http://{}{}", host(request), request.uri()));
    }
    let size = bytes.len();
    match range(request.headers(), size) {
        Range::Whole => reply(request, builder, bytes),
        Range::Part(start, end) => {
            let builder = builder.status(StatusCode::PARTIAL_CONTENT);
            reply(
                request,
                builder.header(CONTENT_RANGE, format!("bytes {start}-{}/{size}", end - 1)),
                bytes.slice(start..end),
            )
        }
        Range::Outside => {
            let builder = Response::builder().status(StatusCode::RANGE_NOT_SATISFIABLE);
            reply(
                request,
                builder.header(CONTENT_RANGE, format!("bytes */{size}")),
                Bytes::new(),
            )
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Range {
    Whole,
    /// From the first byte to the one after the last.
    Part(usize, usize),
    Outside,
}

/// What a `Range` header asks for. Any other form than `bytes=FIRST-[LAST]` is ignored, as the standard allows.
fn range(headers: &HeaderMap, size: usize) -> Range {
    let asked = headers
        .get(RANGE)
        .and_then(|value| value.to_str().ok()?.strip_prefix("bytes=")?.split_once('-'));
    let Some((Ok(start), last)) = asked.map(|(first, last)| (first.parse::<usize>(), last)) else {
        return Range::Whole;
    };
    let end = match last.parse::<usize>() {
        Ok(last) => last.saturating_add(1).min(size),
        Err(_) if last.is_empty() => size,
        Err(_) => return Range::Whole,
    };
    if start < end {
        Range::Part(start, end)
    } else {
        Range::Outside
    }
}

fn host<B>(request: &Request<B>) -> &str {
    request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default()
}

/// An answer whose length is stated also where HEAD leaves the body out.
fn reply<B>(request: &Request<B>, builder: hyper::http::response::Builder, bytes: Bytes) -> Response<Body> {
    let builder = builder.header(CONTENT_LENGTH, bytes.len());
    let bytes = if request.method() == Method::HEAD {
        Bytes::new()
    } else {
        bytes
    };
    builder.body(full(bytes)).expect("the registry's own headers are valid")
}

/// An error in the registry's form.
fn refusal(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let body = serde_json::json!({"errors": [{"code": code, "message": message}]}).to_string();
    json(status, body)
}

/// An answer in JSON.
pub(super) fn json(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(full(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        hyper::header::HeaderValue::from_static("application/json"),
    );
    response
}

fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        let read = |text: &str| range(&HeaderMap::from_iter([(RANGE, text.parse().unwrap())]), 100);
        assert_eq!(read("bytes=0-9"), Range::Part(0, 10));
        assert_eq!(read("bytes=90-"), Range::Part(90, 100));
        assert_eq!(read("bytes=90-1000"), Range::Part(90, 100));
        assert_eq!(read("bytes=100-"), Range::Outside);
        assert_eq!(read("bytes=-5"), Range::Whole);
        assert_eq!(range(&HeaderMap::new(), 100), Range::Whole);
    }
}
