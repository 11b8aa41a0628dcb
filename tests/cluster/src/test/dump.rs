//! Everything worth knowing about a namespace in which a test failed.

use std::fmt::Write;
use std::process::Command;

use crate::cluster::Cluster;
use crate::control::{self, Request};
use crate::tools::{self, Tool};

/// Of each log, in lines.
const LOG_TAIL: &str = "--tail=60";

/// Objects (Secrets without their content), events and logs. What cannot be had is said in its place.
pub(super) fn namespace(cluster: &Cluster, name: &str) -> String {
    let run = |arguments: &[&str]| kubectl(cluster, &[&["--namespace", name], arguments].concat());
    let mut text = format!("\n======== namespace {name} of cluster {:?} ========\n", cluster.name());
    let mut add = |title: &str, content: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "---- {title}\n{}", content.trim_end());
    };
    add("components", &components(cluster));
    add(
        "overview",
        &run(&[
            "get",
            "all,configmaps,secrets,persistentvolumeclaims,endpointslices",
            "--output=wide",
        ]),
    );
    add("events", &run(&["get", "events", "--sort-by=.lastTimestamp"]));
    let kinds = run(&["api-resources", "--namespaced", "--verbs=list", "--output=name"]);
    let wanted = kinds
        .lines()
        .filter(|kind| !matches!(*kind, "secrets" | "events" | "events.events.k8s.io"));
    add(
        "objects",
        &run(&["get", &wanted.collect::<Vec<_>>().join(","), "--output=yaml"]),
    );
    for pod in run(&["get", "pods", "--output=name"]).lines() {
        add(
            &format!("log of {pod}"),
            &run(&["logs", pod, "--all-containers", "--prefix", LOG_TAIL]),
        );
        let before = run(&["logs", pod, "--all-containers", "--prefix", "--previous", LOG_TAIL]);
        if !before.contains("previous terminated container") {
            add(&format!("log of {pod} before its restart"), &before);
        }
    }
    text
}

fn components(cluster: &Cluster) -> String {
    match control::ask(cluster.state(), &Request::List) {
        Ok(all) => all
            .iter()
            .map(|s| format!("{}: {}", s.name, s.condition))
            .collect::<Vec<_>>()
            .join(
                "
",
            ),
        Err(error) => format!("{error:#}"),
    }
}

fn kubectl(cluster: &Cluster, arguments: &[&str]) -> String {
    let output = tools::path(Tool::Kubectl).and_then(|kubectl| {
        let mut command = Command::new(kubectl);
        command.args(arguments).arg("--request-timeout=10s");
        command
            .env("KUBECONFIG", cluster.kubeconfig())
            .env("KUBECACHEDIR", cluster.state().path("cache/kubectl"));
        Ok(command.output()?)
    });
    match output {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).into_owned(),
        Ok(output) => format!("({})", String::from_utf8_lossy(&output.stderr).trim()),
        Err(error) => format!("({error:#})"),
    }
}
