//! The operator's process: its Deployment, its pods, and which of them leads.

use crate::cli::doctor::finding::Finding;
use crate::cli::doctor::picture::Picture;
use jiff::SignedDuration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

const PART: &str = "operator";
/// A leader writes every few seconds. More than the clocks of two machines are usually apart.
const SILENCE: SignedDuration = SignedDuration::from_mins(2);

pub(super) fn findings(picture: &Picture) -> Vec<Finding> {
    let installation = &picture.installation;
    let namespace = installation.namespace();
    let deployments = match &picture.deployments {
        Err(why) => return vec![Finding::unseen(PART, "Deployments", why)],
        Ok(deployments) => deployments,
    };
    let Some(deployment) = deployments.iter().find(|d| d.name_any() == installation.deployment) else {
        return vec![
            Finding::problem(
                PART,
                format!("Deployment {namespace}/{}", installation.deployment),
                "is not there",
            )
            .at("metadata.namespace", namespace)
            .remedy(
                "helm install llm-operator charts/llm-operator --namespace llm-operator-system --create-namespace; \
                     where it has another namespace, name it with --namespace",
            ),
        ];
    };
    let mut found = vec![running(deployment, picture)];
    if deployments.len() > 1 {
        let names: Vec<String> = deployments.iter().map(title).collect();
        found.push(
            Finding::note(
                PART,
                names.join(", "),
                "there are several operators; this is about the first",
            )
            .remedy("--namespace says which; each must look after namespaces of its own (watchNamespaces)"),
        );
    }
    found.extend(version(deployment));
    if wanted(deployment) > 0 {
        found.push(leader(picture));
    }
    found
}

fn title(deployment: &Deployment) -> String {
    format!(
        "Deployment {}/{}",
        deployment.namespace().unwrap_or_default(),
        deployment.name_any()
    )
}

fn wanted(deployment: &Deployment) -> i32 {
    deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

fn running(deployment: &Deployment, picture: &Picture) -> Finding {
    let (object, wanted) = (title(deployment), wanted(deployment));
    let available = deployment.status.as_ref().and_then(|status| status.available_replicas);
    let available = available.unwrap_or_default();
    let place = picture.installation.namespace();
    if wanted == 0 {
        return Finding::problem(
            PART,
            object,
            "is scaled to nothing: nothing is looked after, no change is accepted",
        )
        .at("spec.replicas", 0)
        .remedy(format!(
            "kubectl --namespace {place} scale deployment/{} --replicas=2",
            deployment.name_any()
        ));
    }
    if available < wanted {
        let pods = picture.pods.as_ref().map(Vec::as_slice).unwrap_or_default();
        let why: Vec<String> = pods.iter().filter_map(trouble).collect();
        let why = if why.is_empty() {
            String::new()
        } else {
            format!(": {}", why.join("; "))
        };
        return Finding::problem(PART, object, format!("{available} of {wanted} pods are available{why}"))
            .at("status.availableReplicas", available)
            .remedy(format!(
                "kubectl --namespace {place} describe pods, and logs deployment/{}",
                deployment.name_any()
            ));
    }
    if wanted == 1 {
        return Finding::note(
            PART,
            object,
            "its one pod is available; while it is replaced, nobody else answers",
        )
        .at("spec.replicas", 1)
        .remedy("the chart value replicas: 2");
    }
    Finding::ok(PART, object, format!("all of its {wanted} pods are available"))
}

/// Why a pod is not ready.
fn trouble(pod: &Pod) -> Option<String> {
    let name = pod.name_any();
    let status = pod.status.as_ref()?;
    let containers = status.container_statuses.as_deref().unwrap_or_default();
    let waiting = containers.iter().find_map(|container| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        let message = waiting.message.as_deref().unwrap_or_default();
        Some(format!("{} {message}", waiting.reason.as_deref().unwrap_or_default()))
    });
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let unready = conditions
        .iter()
        .find(|condition| condition.type_ == "Ready" && condition.status != "True");
    let scheduled = conditions
        .iter()
        .find(|condition| condition.type_ == "PodScheduled" && condition.status != "True");
    let said = scheduled.or(unready).and_then(|condition| condition.message.clone());
    let why = waiting.or(said)?;
    Some(format!("{name}: {}", why.trim()))
}

fn version(deployment: &Deployment) -> Option<Finding> {
    let theirs = deployment.labels().get("app.kubernetes.io/version")?;
    let ours = env!("CARGO_PKG_VERSION");
    (theirs != ours).then(|| {
        Finding::note(
            PART,
            title(deployment),
            format!("is llm-operator {theirs}; this program is {ours}"),
        )
        .at("metadata.labels[app.kubernetes.io/version]", theirs)
        .remedy("ask the program of the same version: what it expects is what the operator does")
    })
}

fn leader(picture: &Picture) -> Finding {
    let installation = &picture.installation;
    let object = format!("Lease {}/{}", installation.namespace(), installation.lease);
    let remedy = format!(
        "the log of the pods says why: kubectl --namespace {} logs deployment/{}",
        installation.namespace(),
        installation.deployment
    );
    let lease = match &picture.lease {
        Err(why) => return Finding::unseen(PART, object, why),
        Ok(None) => return Finding::problem(PART, object, "is not there: no pod has ever led").remedy(remedy),
        Ok(Some(lease)) => lease,
    };
    let holder = holder(lease);
    if holder.is_empty() {
        return Finding::problem(PART, object, "nobody leads: objects are checked, but not acted on")
            .at("spec.holderIdentity", "\"\"")
            .remedy(remedy);
    }
    let renewed = lease.spec.as_ref().and_then(|spec| spec.renew_time.as_ref());
    let silent = renewed
        .map(|time| picture.now.duration_since(time.0))
        .filter(|silent| *silent > SILENCE);
    if let Some(silent) = silent {
        let seconds = silent.as_secs();
        return Finding::problem(
            PART,
            object,
            format!("{holder} has not renewed it for {seconds} s: nobody leads"),
        )
        .at(
            "spec.renewTime",
            renewed.map(|time| time.0.to_string()).unwrap_or_default(),
        )
        .remedy(remedy);
    }
    Finding::ok(PART, object, format!("{holder} leads"))
}

fn holder(lease: &Lease) -> &str {
    let spec = lease.spec.as_ref();
    spec.and_then(|spec| spec.holder_identity.as_deref())
        .unwrap_or_default()
}
