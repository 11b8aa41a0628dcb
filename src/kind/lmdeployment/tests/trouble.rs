//! What is said of pods that do not start or do not stay: which one, why, and what to do.

mod places;

use super::*;

const SPEC: &str = "ollama: {models: []}";

/// A pod of Ollama with these containers, and what is said of it.
fn of_container(container: &Value) -> (String, String) {
    let cluster = Cluster {
        now: Timestamp::from_second(1000).unwrap(),
        ..Cluster::default()
    };
    said(&cluster.pod("chat-ollama-a", "ollama", &json!({"containerStatuses": [container]})))
}

/// Reason and message of `Ready`, which those of `Degraded` are as well.
fn said(cluster: &Cluster) -> (String, String) {
    let status = cluster.status(&stack(SPEC));
    let (_, reason, message) = condition(&status, "Ready");
    let degraded = condition(&status, "Degraded");
    if degraded.0 == "True" {
        assert_eq!((reason, message), (degraded.1, degraded.2));
    }
    (reason.into(), message.into())
}

fn waiting(reason: &str, message: &str) -> (String, String) {
    let state = json!({"waiting": {"reason": reason, "message": message}});
    of_container(&json!({"name": "ollama", "image": "ollama/ollama:nope", "state": state}))
}

fn told(reason: &str, message: &str) -> (String, String) {
    (reason.into(), message.into())
}

fn event(cluster: Cluster, of: (&str, &str), reason: &str, message: &str) -> Cluster {
    let name = format!("{}.{}", of.1, cluster.live.len());
    let fields = json!({
        "involvedObject": {"kind": of.0, "name": of.1}, "type": "Warning", "reason": reason, "message": message,
        "lastTimestamp": "2026-01-01T00:00:00Z",
    });
    cluster.with("v1", "Event", &name, fields)
}

#[test]
fn the_trouble_of_the_first_pod_is_told() {
    let waiting =
        |reason: &str| json!({"containerStatuses": [{"state": {"waiting": {"reason": reason, "message": "why"}}}]});
    let cluster = Cluster::default()
        .pod("chat-ollama-b", "ollama", &waiting("ErrImagePull"))
        .pod("chat-ollama-a", "ollama", &waiting("CreateContainerError"));
    let expected = told("PodWaiting", "Pod chat-ollama-a: CreateContainerError: why");
    assert_eq!(said(&cluster), expected);
}

#[test]
fn an_image_that_cannot_be_pulled() {
    let cause =
        r#"failed to resolve reference "docker.io/ollama/ollama:nope": docker.io/ollama/ollama:nope: not found"#;
    let expected = told(
        "ImagePullFailed",
        &format!(
            "Pod chat-ollama-a: image ollama/ollama:nope cannot be pulled: {cause}; correct spec.ollama.image and \
             spec.ollama.imageTag"
        ),
    );
    assert_eq!(waiting("ErrImagePull", cause), expected);
    // The kubelet says so in two ways in turn; here it is one.
    let later = format!(r#"Back-off pulling image "x": ErrImagePull: {cause}"#);
    assert_eq!(waiting("ImagePullBackOff", &later), expected);
    let (_, text) = waiting("ErrImagePull", "pull access denied, repository does not exist");
    assert!(
        text.ends_with("name a Secret with the registry's password in spec.ollama.imagePullSecrets"),
        "{text}"
    );
    let (_, text) = waiting("ErrImagePull", "dial tcp: i/o timeout");
    assert!(
        text.ends_with("it is tried again: see that the node reaches the registry"),
        "{text}"
    );
    let status = json!({"containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull", "message": "x"}}}]});
    let cluster = Cluster::default().pod("a", "tabby", &status);
    let cluster = event(
        cluster,
        ("Pod", "a"),
        "FailedToRetrieveImagePullSecret",
        "Unable to retrieve (regcred)",
    );
    let (_, text) = said(&cluster);
    assert!(
        text.ends_with("a Secret of spec.tabby.imagePullSecrets does not exist: make it"),
        "{text}"
    );
    assert_eq!(
        waiting("InvalidImageName", "couldn't parse"),
        told(
            "ImagePullFailed",
            "Pod chat-ollama-a: its image has no possible name: couldn't parse; correct spec.ollama.image"
        )
    );
}

#[test]
fn a_configuration_that_does_not_exist() {
    let (reason, text) = waiting("CreateContainerConfigError", r#"secret "keys" not found"#);
    assert_eq!(reason, "PodWaiting");
    assert_eq!(
        text,
        "Pod chat-ollama-a: CreateContainerConfigError: secret \"keys\" not found; make it, or correct spec.ollama.env \
         and spec.ollama.envFrom"
    );
    let (_, text) = waiting(
        "CreateContainerConfigError",
        "container has runAsNonRoot and image will run as root",
    );
    assert!(
        text.ends_with("give spec.ollama.podSecurityContext a runAsUser that the image works with"),
        "{text}"
    );
    assert_eq!(
        waiting("ContainerCreating", "").0,
        "RollingOut",
        "it may begin at any moment"
    );
    let status = json!({"containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]});
    let cluster = Cluster::default().pod("a", "ollama", &status);
    let cluster = event(cluster, ("Pod", "a"), "FailedMount", "secret \"keys\" not found\nmore");
    assert_eq!(
        said(&cluster),
        told(
            "PodWaiting",
            "Pod a: FailedMount: secret \"keys\" not found; make it, or correct spec.ollama.volumes"
        )
    );
}

#[test]
fn a_container_that_ends_as_soon_as_it_has_started() {
    let end = json!({
        "exitCode": 2, "reason": "Error", "finishedAt": "1970-01-01T00:16:00Z",
        "message": "2026-11-21 20:56:24 starting\n2026-11-21 20:56:24 [1] FATAL: no such folder\n",
    });
    let crashed = told(
        "ContainerCrashed",
        "Pod chat-ollama-a: container ollama ended with exit code 2: FATAL: no such folder; kubectl logs chat-ollama-a -c \
         ollama --previous tells more",
    );
    let loops = json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting"}});
    for container in [
        json!({"name": "ollama", "state": {"terminated": end}}),
        json!({"name": "ollama", "state": loops, "lastState": {"terminated": end}}),
        // Between two crashes it runs, and that is no other news.
        json!({"name": "ollama", "state": {"running": {}}, "ready": false, "lastState": {"terminated": end}}),
    ] {
        assert_eq!(of_container(&container), crashed);
    }
    let well = json!({"name": "ollama", "state": {"running": {}}, "ready": true, "lastState": {"terminated": end}});
    assert_eq!(of_container(&well).0, "RollingOut");
    let long_ago = json!({"exitCode": 2, "finishedAt": "1970-01-01T00:00:00Z"});
    let slow =
        json!({"name": "ollama", "state": {"running": {}}, "ready": false, "lastState": {"terminated": long_ago}});
    assert_eq!(of_container(&slow).0, "RollingOut");
    let done = json!({"name": "init", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}});
    assert_eq!(of_container(&done).0, "RollingOut");
}

#[test]
fn last_words_hold_no_password() {
    let message = "cannot reach redis://:swordfish@cache:6379/0 as swordfish";
    let end = json!({"exitCode": 1, "message": message});
    let mut cluster = Cluster::default().pod(
        "a",
        "openwebui",
        &json!({"containerStatuses": [{"name": "x", "state": {"terminated": end}}]}),
    );
    let content = crate::base::secret::Content::Keys([("p".to_string(), b"swordfish".to_vec())].into());
    cluster.secrets.put("cache", Some(content));
    let (_, text) = said(&cluster);
    assert!(
        text.contains("cannot reach redis://[redacted]@cache:6379/0 as [redacted];"),
        "{text}"
    );
}

#[test]
fn a_container_that_needs_more_memory() {
    let end = json!({"exitCode": 137, "reason": "OOMKilled"});
    let resources = json!({"limits": {"memory": "64Mi"}});
    let container = json!({"name": "ollama", "state": {"terminated": end}, "resources": resources});
    let expected = told(
        "OutOfMemory",
        "Pod chat-ollama-a: container ollama was killed at its limit of 64Mi of memory (OOMKilled); raise \
         spec.ollama.resources.limits.memory",
    );
    assert_eq!(of_container(&container), expected);
}
