//! Rules on volumes, mounts and containers that a manifest adds to a pod of ours.

use super::check::Subject;
use crate::base::issue::{Issue, Review};
use crate::base::names;
use serde_json::Value;
use std::collections::BTreeSet;

/// Each of them is told apart by its name, and none takes the place of ours.
pub(super) fn check(subject: &Subject<'_>, review: &mut Review) {
    let volumes = volumes(subject, review);
    mounts(subject, &volumes, review);
    containers(subject, review);
}

/// The names of the volumes.
fn volumes(subject: &Subject<'_>, review: &mut Review) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for (i, volume) in subject.common.volumes.iter().flatten().enumerate() {
        let (at, name) = (format!("{}.volumes[{i}].name", subject.path), text(volume, "name"));
        let found = if !names::is_label(&name) {
            Issue::invalid(at, "volume", name.as_str(), "must be a lower-case DNS label")
        } else if subject.volumes.iter().any(|(ours, _)| *ours == name) {
            Issue::invalid(
                at,
                "volume-owned",
                name.as_str(),
                "is a volume of the operator; rename it",
            )
        } else if known.insert(name.clone()) {
            continue;
        } else {
            Issue::duplicate(at, "volume-twice", name.as_str(), "rename one of the two")
        };
        review.issues.push(found.fatal());
    }
    known
}

fn mounts(subject: &Subject<'_>, volumes: &BTreeSet<String>, review: &mut Review) {
    let mut paths = BTreeSet::new();
    for (i, mount) in subject.common.volume_mounts.iter().flatten().enumerate() {
        let here = format!("{}.volumeMounts[{i}]", subject.path);
        let (name, at) = (text(mount, "name"), text(mount, "mountPath"));
        if !volumes.contains(&name) {
            let detail = format!("names no volume of {}.volumes", subject.path);
            review
                .issues
                .push(Issue::invalid(format!("{here}.name"), "mount", name.as_str(), detail).fatal());
        }
        let bare = at.trim_end_matches('/').to_string();
        let ours = subject.volumes.iter().any(|(_, path)| bare == *path);
        let found = if !at.starts_with('/') || bare.is_empty() || at.contains(':') {
            let detail = "must be an absolute path below /, without a colon";
            Issue::invalid(format!("{here}.mountPath"), "mount", at.as_str(), detail)
        } else if ours || !paths.insert(bare) {
            let detail = "something is mounted there already; choose another path";
            Issue::invalid(format!("{here}.mountPath"), "mount-twice", at.as_str(), detail)
        } else {
            continue;
        };
        review.issues.push(found.fatal());
    }
}

fn containers(subject: &Subject<'_>, review: &mut Review) {
    let mut known = BTreeSet::from([subject.component.to_string()]);
    for (i, container) in subject.common.init_containers.iter().flatten().enumerate() {
        let (at, name) = (
            format!("{}.initContainers[{i}].name", subject.path),
            text(container, "name"),
        );
        let found = if !names::is_label(&name) {
            Issue::invalid(at, "container", name.as_str(), "must be a lower-case DNS label")
        } else if known.insert(name.clone()) {
            continue;
        } else {
            let detail = "is the name of another container of the pod; rename it";
            Issue::duplicate(at, "container-twice", name.as_str(), detail)
        };
        review.issues.push(found.fatal());
    }
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_string()
}
