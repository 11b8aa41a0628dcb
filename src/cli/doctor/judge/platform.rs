//! What the cluster offers: its version, storage, GPUs, and kinds of others.

use crate::cli::doctor::finding::Finding;
use crate::cli::doctor::picture::Picture;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::ResourceExt;
use std::collections::BTreeMap;

/// The oldest Kubernetes, 1.x.
const OLDEST: u32 = 30;
/// By this annotation a class is the default.
const DEFAULT: &str = "storageclass.kubernetes.io/is-default-class";
/// Groups of others: what they are, and what does not work without them.
const GROUPS: [(&str, &str, &str); 5] = [
    (
        "metrics.k8s.io",
        "metrics-server",
        "`autoscaling` finds no load to go by, and kubectl top shows nothing",
    ),
    (
        "gateway.networking.k8s.io",
        "Gateway API",
        "`gateway` of Open WebUI and Tabby makes no route; `ingress` needs none of it",
    ),
    (
        "cert-manager.io",
        "cert-manager",
        "`webhook.tls.mode: certManager` does not work; the operator's own certificates need none of it",
    ),
    (
        "monitoring.coreos.com",
        "Prometheus operator",
        "`serviceMonitor` and `prometheusRule` cannot be switched on",
    ),
    ("keda.sh", "KEDA", "stacks scale by an HorizontalPodAutoscaler alone"),
];

/// The version of the API server.
pub(super) fn server(picture: &Picture) -> Vec<Finding> {
    let (part, version) = ("cluster", picture.server.as_str());
    let minor = version.trim_start_matches('v').split('.').nth(1);
    let finding = match minor.and_then(|minor| minor.parse::<u32>().ok()) {
        Some(minor) if minor < OLDEST => Finding::problem(
            part,
            "API server",
            format!("Kubernetes {version} is older than 1.{OLDEST}"),
        )
        .at("gitVersion", version)
        .remedy(format!("upgrade the cluster to Kubernetes 1.{OLDEST} or newer")),
        _ => Finding::ok(part, "API server", format!("Kubernetes {version}")),
    };
    vec![finding]
}

/// Where claims get their volumes.
pub(super) fn storage(picture: &Picture) -> Vec<Finding> {
    let part = "storage";
    let classes = match &picture.classes {
        Err(why) => return vec![Finding::unseen(part, "StorageClasses", why)],
        Ok(classes) => classes,
    };
    let default = |class: &&StorageClass| class.annotations().get(DEFAULT).is_some_and(|value| value == "true");
    let defaults: Vec<&StorageClass> = classes.iter().filter(default).collect();
    match defaults.as_slice() {
        [] => vec![
            Finding::problem(
                part,
                "StorageClasses",
                format!(
                    "none of {} is the default: claims that name no class wait for ever",
                    classes.len()
                ),
            )
            .at(format!("metadata.annotations[{DEFAULT}]"), "none is true")
            .remedy(format!(
                "name a class in `persistence.storageClass`, or make one the default: kubectl annotate storageclass \
                 NAME {DEFAULT}=true"
            )),
        ],
        [class] => vec![growth(class)],
        [class, ..] => {
            let names: Vec<String> = defaults.iter().map(|class| class.name_any()).collect();
            let several = Finding::note(part, "StorageClasses", "several are the default; the newest is used")
                .at(format!("metadata.annotations[{DEFAULT}]"), names.join(", "))
                .remedy("take the annotation off all but one");
            vec![several, growth(class)]
        }
    }
}

fn growth(class: &StorageClass) -> Finding {
    let object = format!("StorageClass {}", class.name_any());
    if class.allow_volume_expansion == Some(true) {
        return Finding::ok("storage", object, "is the default, and its volumes can grow");
    }
    Finding::note(
        "storage",
        object,
        "is the default; its volumes cannot grow, so `persistence.size` is final",
    )
    .at("allowVolumeExpansion", false)
    .remedy("ask for enough at once, or set allowVolumeExpansion: true where the storage can do it")
}

/// GPUs, and whether there is any node.
pub(super) fn nodes(picture: &Picture) -> Vec<Finding> {
    let part = "nodes";
    let nodes = match &picture.nodes {
        Err(why) => return vec![Finding::unseen(part, "Nodes", why)],
        Ok(nodes) => nodes,
    };
    let ready = nodes.iter().filter(|node| is_ready(node)).count();
    let mut found = vec![];
    if ready == nodes.len() && ready > 0 {
        found.push(Finding::ok(part, "Nodes", format!("{ready} are Ready")));
    } else {
        found.push(
            Finding::problem(part, "Nodes", format!("{ready} of {} are Ready", nodes.len()))
                .at("status.conditions[Ready]", ready)
                .remedy("kubectl describe nodes tells what is wrong with the others"),
        );
    }
    let devices = devices(nodes);
    if devices.is_empty() {
        found.push(
            Finding::note(part, "Nodes", "no node offers a GPU: models run on CPUs, slowly")
                .at("status.allocatable", "no GPU")
                .remedy("where there are GPUs, install the device plugin of their vendor"),
        );
    }
    for (resource, (count, nodes)) in devices {
        let message = format!("{count} {resource} on {nodes} nodes");
        found.push(Finding::ok(part, "Nodes", message).at(format!("status.allocatable[{resource}]"), count));
    }
    found
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref());
    let ready = |condition: &k8s_openapi::api::core::v1::NodeCondition| {
        condition.type_ == "Ready" && condition.status == "True"
    };
    conditions.unwrap_or_default().iter().any(ready)
}

/// How many there are of each GPU, and on how many nodes.
fn devices(nodes: &[Node]) -> BTreeMap<String, (u64, usize)> {
    let mut found = BTreeMap::new();
    for node in nodes {
        let resources = node.status.as_ref().and_then(|status| status.allocatable.as_ref());
        for (name, quantity) in resources.into_iter().flatten() {
            let count: u64 = quantity.0.parse().unwrap_or_default();
            let gpu = name.contains("gpu") || name.starts_with("nvidia.com/") || name.starts_with("habana.ai/");
            if gpu && name.contains('/') && count > 0 {
                let (all, nodes) = found.entry(name.clone()).or_insert((0, 0));
                *all += count;
                *nodes += 1;
            }
        }
    }
    found
}

/// Kinds of others that stacks or the chart can use.
pub(super) fn kinds(picture: &Picture) -> Vec<Finding> {
    let part = "kinds";
    let groups = match &picture.groups {
        Err(why) => return vec![Finding::unseen(part, "API groups", why)],
        Ok(groups) => groups,
    };
    let finding = |(group, title, without): &(&str, &str, &str)| {
        if groups.contains(*group) {
            return Finding::ok(part, *title, format!("is there ({group})"));
        }
        Finding::note(part, *title, format!("is not there: {without}")).at("API group", *group)
    };
    GROUPS.iter().map(finding).collect()
}
