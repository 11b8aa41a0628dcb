//! Processes inside pods, found from the node: signals, and what their network lets through.

use anyhow::{Context, Result, ensure};
use cluster::Cluster;
use serde_json::Value;

/// Sends a signal to the processes of a pod, or with that argument, whose command line begins with `program`.
pub async fn signal(cluster: &Cluster, mark: &str, program: &str, signal: &str) -> Result<()> {
    let script = r#"found=1
        for p in /proc/[0-9]*; do
          line=$(tr '\0' ' ' <"$p/cmdline" 2>/dev/null) || continue
          case "$line" in *"$2"*) ;; *) continue ;; esac
          if grep -q "$1" "$p/cgroup" 2>/dev/null || case "$line" in *"$1"*) true ;; *) false ;; esac; then
            case "$line" in sh*|/bin/sh*|grep*) continue ;; esac
            kill -s "$3" "${p#/proc/}" && found=0
          fi
        done
        exit $found"#;
    let output = cluster
        .enter(&["sh", "-c", script, "sh", mark, program, signal])
        .await?;
    ensure!(
        output.status.success(),
        "no process {program} of {mark}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// What the kubelet's cgroups call a pod.
pub fn cgroup(pod: &Value) -> String {
    let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
    format!("{uid}\\|{}", uid.replace('-', "_"))
}

/// The id of a process of a pod that is there for as long as the pod, inside the cluster's namespaces.
///
/// # Errors
/// When there is none.
pub async fn process(cluster: &Cluster, mark: &str) -> Result<String> {
    let script = r#"for p in /proc/[0-9]*; do
          if grep -q "$1" "$p/cgroup" 2>/dev/null && grep -q pause "$p/cmdline" 2>/dev/null; then
            echo "${p#/proc/}"; exit 0
          fi
        done"#;
    let output = cluster.enter(&["sh", "-c", script, "sh", mark]).await?;
    let id = String::from_utf8(output.stdout)?.trim().to_string();
    ensure!(!id.is_empty(), "no process of {mark}");
    Ok(id)
}

/// Lets a pod send nothing to a TCP port any more, or again.
///
/// # Errors
/// When there is no such pod, or its rules cannot be changed.
pub async fn cut(cluster: &Cluster, pod: &Value, port: u16, cut: bool) -> Result<()> {
    let id = process(cluster, &cgroup(pod)).await?;
    let action = if cut { "-A" } else { "-D" };
    let port = port.to_string();
    let rule = [
        "nsenter", "-t", &id, "-n", "iptables", action, "OUTPUT", "-p", "tcp", "--dport", &port, "-j", "DROP",
    ];
    let output = cluster.enter(&rule).await.context("iptables")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Uses up the memory that the operator's container may have, from inside its cgroup, so that the kernel ends the operator:
/// its score says that it goes first.
///
/// # Errors
/// When the operator does not run in that pod.
pub async fn exhaust(cluster: &Cluster, pod: &Value) -> Result<()> {
    let script = r#"for p in /proc/[0-9]*; do
          grep -q "$1" "$p/cgroup" 2>/dev/null || continue
          case "$(tr '\0' ' ' <"$p/cmdline")" in /llm-operator*) ;; *) continue ;; esac
          group=$(sed -n 's/^[0-9]*:memory://p; s/^0:://p' "$p/cgroup" | head -n 1)
          for root in /sys/fs/cgroup/memory /sys/fs/cgroup; do
            [ -e "$root$group/cgroup.procs" ] || continue
            echo 1000 >"$p/oom_score_adj" && echo $$ >"$root$group/cgroup.procs" || exit 1
            head -c 2G /dev/zero | tail -c 1G >/dev/null
            exit 0
          done
        done
        exit 1"#;
    let output = cluster.enter(&["sh", "-c", script, "sh", &cgroup(pod)]).await?;
    // The shell is killed as well, with the container.
    ensure!(
        output.status.code() != Some(1),
        "no operator in {}: {}",
        pod["metadata"]["name"],
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
