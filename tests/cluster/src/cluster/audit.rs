//! What the API server was asked, by whom, out of its audit log.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Deserialize;

/// A cluster's audit log. Every request is in it once: when it has been answered, watches when they begin.
#[derive(Clone, Debug)]
pub struct Audit {
    path: PathBuf,
}

/// A place in the log.
#[derive(Clone, Copy, Debug)]
pub struct Mark(u64);

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// get, list, watch, create, update, patch, delete, ...
    pub verb: String,
    /// Who asked.
    pub user: String,
    /// With which program.
    pub user_agent: String,
    /// The path with its query.
    pub uri: String,
    /// API group, empty for the core.
    pub group: String,
    /// Resource in the plural, empty where the path is none of a resource.
    pub resource: String,
    /// Such as `status`; empty for the object itself.
    pub subresource: String,
    /// Empty for cluster-wide ones.
    pub namespace: String,
    /// Empty for lists.
    pub name: String,
    /// HTTP status.
    pub code: u16,
}

impl Request {
    /// Whether it was meant to change something.
    #[must_use]
    pub fn is_write(&self) -> bool {
        matches!(
            self.verb.as_str(),
            "create" | "update" | "patch" | "delete" | "deletecollection"
        )
    }
}

impl Audit {
    /// Before the first request.
    pub const START: Mark = Mark(0);

    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The end of the log as it is now.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn mark(&self) -> Result<Mark> {
        Ok(Mark(self.open()?.metadata()?.len()))
    }

    /// Every request after a mark.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn since(&self, mark: Mark) -> Result<Vec<Request>> {
        let mut log = self.open()?;
        log.seek(SeekFrom::Start(mark.0))?;
        let mut text = String::new();
        log.read_to_string(&mut text)?;
        // The last line may still be in the making.
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        complete.lines().map(parse).collect()
    }

    fn open(&self) -> Result<File> {
        File::open(&self.path).with_context(|| format!("cannot read {}", self.path.display()))
    }
}

fn parse(line: &str) -> Result<Request> {
    let event: Event = serde_json::from_str(line).with_context(|| format!("not an audit event: {line}"))?;
    let object = event.object_ref;
    Ok(Request {
        verb: event.verb,
        user: event.user.username,
        user_agent: event.user_agent,
        uri: event.request_uri,
        group: object.api_group,
        resource: object.resource,
        subresource: object.subresource,
        namespace: object.namespace,
        name: object.name,
        code: event.response_status.code,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    verb: String,
    user: User,
    #[serde(default)]
    user_agent: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    #[serde(default)]
    object_ref: Object,
    #[serde(default)]
    response_status: Status,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Object {
    api_group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    code: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_becomes_a_request() {
        let line = r#"{"verb":"patch","user":{"username":"u"},"userAgent":"a/1","requestURI":"/api/v1/x","objectRef":
            {"resource":"pods","namespace":"n","name":"p","apiVersion":"v1","subresource":"status"},
            "responseStatus":{"metadata":{},"code":200}}"#;
        let request = parse(line).unwrap();
        assert!(
            request.is_write() && request.code == 200 && request.subresource == "status",
            "{request:?}"
        );
    }
}
