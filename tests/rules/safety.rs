//! What would open a node.

use super::*;

const UNSAFE: &str = "
    ollama:
      models: [a]
      volumes: [{name: host, hostPath: {path: /}}]
      volumeMounts: [{name: host, mountPath: /host}]
      priorityClassName: system-node-critical
      podSecurityContext:
        sysctls: [{name: net.ipv4.ping_group_range, value: '0 1'}, {name: kernel.msgmax, value: '1'}]
        seccompProfile: {type: Unconfined}
        windowsOptions: {hostProcess: true}
      securityContext:
        privileged: true
        capabilities: {add: [SYS_ADMIN]}
        procMount: Unmasked
        appArmorProfile: {type: Unconfined}
      initContainers:
      - name: init
        image: x
        ports: [{containerPort: 1, hostPort: 80}]
        securityContext: {privileged: true, seLinuxOptions: {type: spc_t}}
    ";

#[test]
fn what_reaches_further_is_refused() {
    let at = [
        "volumes[0].hostPath",
        "podSecurityContext.windowsOptions.hostProcess",
        "podSecurityContext.seccompProfile",
        "podSecurityContext.sysctls[1]",
        "securityContext.privileged",
        "securityContext.capabilities.add",
        "securityContext.procMount",
        "securityContext.appArmorProfile",
        "initContainers[0].securityContext.privileged",
        "initContainers[0].securityContext.seLinuxOptions",
        "initContainers[0].ports[0].hostPort",
        "priorityClassName",
    ];
    let messages = at.map(|at| {
        format!("spec.ollama.{at}: Forbidden: reaches further than the namespace; an administrator may allow it with the chart value policy.allowUnsafePods")
    });
    refused(UNSAFE, &messages.each_ref().map(String::as_str));
}

#[test]
fn unless_an_administrator_allows_it() {
    let settings = Settings {
        policy: Policy {
            allow_unsafe_pods: true,
        },
        ..Settings::default()
    };
    assert_eq!(reviewed(&stack(UNSAFE), None, &settings).issues, []);
}

#[test]
fn what_stays_inside_is_accepted() {
    accepted(
        "
        ollama:
          models: [a]
          priorityClassName: batch
          podSecurityContext: {runAsUser: 0, runAsNonRoot: false, seLinuxOptions: {level: 's0:c1,c2'}}
          securityContext: {readOnlyRootFilesystem: false, capabilities: {drop: [ALL]}, procMount: Default}
        ",
    );
}
