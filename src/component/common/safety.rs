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

/// Every such setting.
pub(super) fn check(subject: &Subject<'_>) -> Vec<Issue> {
    let Subject { path, common, .. } = subject;
    let mut found: Vec<String> = vec![];
    for (i, volume) in common.volumes.iter().flatten().enumerate() {
        if !volume["hostPath"].is_null() {
            found.push(format!("{path}.volumes[{i}].hostPath"));
        }
    }
    if let Some(context) = &common.pod_security_context {
        found.extend(context_fields(&format!("{path}.podSecurityContext"), context));
    }
    if let Some(context) = &common.security_context {
        found.extend(context_fields(&format!("{path}.securityContext"), context));
    }
    for (i, container) in common.init_containers.iter().flatten().enumerate() {
        let at = format!("{path}.initContainers[{i}]");
        found.extend(context_fields(
            &format!("{at}.securityContext"),
            &container["securityContext"],
        ));
        let ports = container["ports"].as_array().into_iter().flatten().enumerate();
        let open = ports.filter(|(_, port)| !port["hostPort"].is_null() && port["hostPort"] != json!(0));
        found.extend(open.map(|(p, _)| format!("{at}.ports[{p}].hostPort")));
    }
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
