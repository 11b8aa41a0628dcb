//! What reaches further than the namespace: whoever may create our kinds must not thereby own nodes.

use super::check::Subject;
use crate::base::issue::Issue;
use serde_json::{Value, json};

/// `SELinux` types that Pod Security "baseline" knows as harmless.
const SELINUX_TYPES: [&str; 5] = [
    "",
    "container_t",
    "container_init_t",
    "container_kvm_t",
    "container_engine_t",
];
/// Kernel settings that belong to the pod alone, as Pod Security "baseline" lists them.
const SYSCTLS: [&str; 10] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_syncookies",
];
const DETAIL: &str =
    "reaches further than the namespace; an administrator may allow it with the chart value policy.allowUnsafePods";

/// Before 1.30 and beside the field since then, this annotation chooses the profile of a container.
const APPARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

/// Every such setting.
pub(super) fn check(subject: &Subject<'_>) -> Vec<Issue> {
    let Subject { path, common, .. } = subject;
    let mut found: Vec<String> = vec![];
    for (i, volume) in common.volumes.iter().flatten().enumerate() {
        found.extend(volume_fields(&format!("{path}.volumes[{i}]"), volume));
    }
    if let Some(context) = &common.pod_security_context {
        found.extend(context_fields(&format!("{path}.podSecurityContext"), context));
    }
    if let Some(context) = &common.security_context {
        found.extend(context_fields(&format!("{path}.securityContext"), context));
    }
    for (i, container) in common.init_containers.iter().flatten().enumerate() {
        found.extend(container_fields(&format!("{path}.initContainers[{i}]"), container));
    }
    let profiles = common.pod_annotations.iter().flatten();
    let unconfined = |(key, value): &(&String, &String)| {
        key.starts_with(APPARMOR) && *value != "runtime/default" && !value.starts_with("localhost/")
    };
    found.extend(
        profiles
            .filter(unconfined)
            .map(|(key, _)| format!("{path}.podAnnotations[{key}]")),
    );
    if common
        .priority_class_name
        .as_deref()
        .is_some_and(|p| p.starts_with("system-"))
    {
        found.push(format!("{path}.priorityClassName"));
    }
    let issue = |at| Issue::forbidden(at, "unsafe", DETAIL).fatal();
    found.into_iter().map(issue).collect()
}

/// A folder of the node; and the token of an account, whose rights may go anywhere. Pods of a stack have none.
fn volume_fields(path: &str, volume: &Value) -> Vec<String> {
    let host = (!volume["hostPath"].is_null()).then(|| format!("{path}.hostPath"));
    let sources = volume["projected"]["sources"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate();
    let tokens = sources.filter(|(_, source)| !source["serviceAccountToken"].is_null());
    let at = |(s, _)| format!("{path}.projected.sources[{s}].serviceAccountToken");
    host.into_iter().chain(tokens.map(at)).collect()
}

/// Of a container of the manifest: its security context, ports of the node, and addresses that the kubelet would ask.
fn container_fields(path: &str, container: &Value) -> Vec<String> {
    let mut found = context_fields(&format!("{path}.securityContext"), &container["securityContext"]);
    let ports = container["ports"].as_array().into_iter().flatten().enumerate();
    let open = ports.filter(|(_, port)| !port["hostPort"].is_null() && port["hostPort"] != json!(0));
    found.extend(open.map(|(p, _)| format!("{path}.ports[{p}].hostPort")));
    let handlers = [
        "livenessProbe",
        "readinessProbe",
        "startupProbe",
        "lifecycle.postStart",
        "lifecycle.preStop",
    ];
    for handler in handlers {
        let block = handler.split('.').fold(container, |block, key| &block[key]);
        for way in ["httpGet", "tcpSocket"] {
            if block[way]["host"].as_str().is_some_and(|host| !host.is_empty()) {
                found.push(format!("{path}.{handler}.{way}.host"));
            }
        }
    }
    found
}

/// Fields of a security context, of a pod or of a container.
fn context_fields(path: &str, context: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let selinux = &context["seLinuxOptions"];
    let fields = [
        ("privileged", context["privileged"] == json!(true)),
        (
            "capabilities.add",
            context["capabilities"]["add"].as_array().is_some_and(|a| !a.is_empty()),
        ),
        ("procMount", !["", "Default"].contains(&&*text(&context["procMount"]))),
        (
            "windowsOptions.hostProcess",
            context["windowsOptions"]["hostProcess"] == json!(true),
        ),
        (
            "seLinuxOptions",
            !SELINUX_TYPES.contains(&&*text(&selinux["type"]))
                || !text(&selinux["user"]).is_empty()
                || !text(&selinux["role"]).is_empty(),
        ),
        ("seccompProfile", context["seccompProfile"]["type"] == "Unconfined"),
        ("appArmorProfile", context["appArmorProfile"]["type"] == "Unconfined"),
    ];
    let set = fields
        .into_iter()
        .filter(|(_, set)| *set)
        .map(|(name, _)| format!("{path}.{name}"));
    let sysctls = context["sysctls"].as_array().into_iter().flatten().enumerate();
    let wild = sysctls
        .filter(|(_, s)| !SYSCTLS.contains(&&*text(&s["name"])))
        .map(|(i, _)| format!("{path}.sysctls[{i}]"));
    set.chain(wild).collect()
}
