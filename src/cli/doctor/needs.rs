//! The rights that the operator needs, which are those of the chart.

use super::installation::{Installation, Keeper};
use crate::base::object::STACKS;
use crate::kind::{self, Form};

/// Verbs on one kind of object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Need {
    /// The API group.
    pub group: &'static str,
    /// The plural, and perhaps a subresource.
    pub resource: String,
    /// What is done.
    pub verbs: Vec<&'static str>,
    /// The namespace; `None` where it must hold in all, or there is none.
    pub namespace: Option<String>,
    /// The one object that it is about.
    pub name: Option<String>,
}

const READ: [&str; 3] = ["get", "list", "watch"];
const WATCH: [&str; 2] = ["list", "watch"];
const KEEP: [&str; 6] = ["get", "list", "watch", "create", "patch", "delete"];

/// Kinds that stacks are made of.
const KEPT: [(&str, &[&str]); 6] = [
    ("apps", &["deployments", "statefulsets"]),
    (
        "",
        &[
            "services",
            "configmaps",
            "serviceaccounts",
            "persistentvolumeclaims",
            "secrets",
        ],
    ),
    ("policy", &["poddisruptionbudgets"]),
    ("autoscaling", &["horizontalpodautoscalers"]),
    ("networking.k8s.io", &["networkpolicies", "ingresses"]),
    ("gateway.networking.k8s.io", &["httproutes"]),
];

/// All of them.
pub(super) fn needs(installation: &Installation) -> Vec<Need> {
    let places: Vec<Option<String>> = match installation.watched.as_slice() {
        [] => vec![None],
        some => some.iter().cloned().map(Some).collect(),
    };
    let workload = places.iter().flat_map(|place| {
        let place = place.clone();
        workload(installation.legacy).into_iter().map(move |need| Need {
            namespace: place.clone(),
            ..need
        })
    });
    workload.chain(own(installation)).chain(cluster(installation)).collect()
}

fn need(group: &'static str, resource: &str, verbs: &[&'static str]) -> Need {
    Need {
        group,
        resource: resource.into(),
        verbs: verbs.to_vec(),
        namespace: None,
        name: None,
    }
}

/// What reconciling takes, in every namespace that is looked after.
fn workload(legacy: bool) -> Vec<Need> {
    let mut all = vec![];
    for form in kind::all() {
        let stack = STACKS.contains(&form.kind);
        if !looked_after(&form, legacy) {
            continue;
        }
        let main: &[&str] = if stack {
            &["get", "list", "watch", "patch"]
        } else {
            &KEEP
        };
        all.push(need(form.group, form.plural, main));
        all.push(need(form.group, &format!("{}/status", form.plural), &["patch"]));
        all.push(need(form.group, &format!("{}/finalizers", form.plural), &["update"]));
    }
    for (group, resources) in KEPT {
        all.extend(resources.iter().map(|resource| need(group, resource, &KEEP)));
    }
    all.push(need("apps", "replicasets", &["get", "list", "watch", "delete"]));
    all.push(need("", "pods", &["get", "list", "watch", "delete"]));
    all.push(need("events.k8s.io", "events", &["create", "patch"]));
    all.push(need("", "events", &["list"]));
    all
}

/// What it takes in its own namespace.
fn own(installation: &Installation) -> Vec<Need> {
    let lease = Some(installation.lease.as_str());
    let secret = Some(installation.secret.as_str());
    let mut all = vec![
        (need("", "secrets", &WATCH), secret),
        (need("coordination.k8s.io", "leases", &["get", "update"]), lease),
        (need("coordination.k8s.io", "leases", &["create"]), None),
        (need("events.k8s.io", "events", &["create", "patch"]), None),
    ];
    if installation.keeper == Keeper::Operator {
        all.push((need("", "secrets", &["get", "update"]), secret));
        all.push((need("", "secrets", &["create"]), None));
    }
    let inside = |(need, name): (Need, Option<&str>)| Need {
        namespace: Some(installation.namespace().into()),
        name: name.map(str::to_owned),
        ..need
    };
    all.into_iter().map(inside).collect()
}

/// What it takes of the cluster.
fn cluster(installation: &Installation) -> Vec<Need> {
    let named = |group, resource, verbs: &[&'static str], name: &str| Need {
        name: Some(name.into()),
        ..need(group, resource, verbs)
    };
    let definition =
        |verbs: &[&'static str], name: &str| named("apiextensions.k8s.io", "customresourcedefinitions", verbs, name);
    let mut all = vec![definition(&READ, "httproutes.gateway.networking.k8s.io")];
    let ours = kind::all()
        .into_iter()
        .filter(|form| looked_after(form, installation.legacy));
    all.extend(ours.map(|form| definition(&["get"], &super::judge::definition_name(&form))));
    for (resource, name) in [
        ("mutatingwebhookconfigurations", &installation.mutating),
        ("validatingwebhookconfigurations", &installation.validating),
    ] {
        let verbs: &[&str] = match (installation.keeper, installation.injects) {
            (Keeper::Operator, _) => &["get", "list", "watch", "patch"],
            (Keeper::Other, true) => &["list", "watch", "patch"],
            (Keeper::Other, false) => &WATCH,
        };
        all.push(named("admissionregistration.k8s.io", resource, verbs, name));
    }
    all
}

/// The older names of LMDeployment are, where the installation says so.
fn looked_after(form: &Form, legacy: bool) -> bool {
    legacy || form.kind == STACKS[0] || !STACKS.contains(&form.kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeSet;
    use std::fs;

    type Right = (String, String, String);

    /// The rules that the chart has for every watched namespace.
    fn chart() -> BTreeSet<Right> {
        let file = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/charts/llm-operator/templates/rbac/_rules.tpl"
        );
        let text = fs::read_to_string(file).unwrap();
        let body = text.split("{{- end -}}").next().unwrap();
        let stacks = ["lmdeployments", "ollamadeployments", "deployments"];
        let mut yaml = String::new();
        for line in body
            .lines()
            .filter(|line| !line.starts_with(['{', ' ']) || line.starts_with("  "))
        {
            let filled = match line.split_once("{{ join \"") {
                Some((before, rest)) => {
                    let (with, rest) = rest.split_once('"').unwrap();
                    let after = rest.split_once("}}").unwrap().1;
                    format!("{before}{}{after}", stacks.join(with))
                }
                None => line.into(),
            };
            yaml.push_str(&filled);
            yaml.push('\n');
        }
        // The comment at the top of the template is none of YAML.
        let yaml = yaml.split_once("# The stacks.").unwrap().1;
        let rules: Vec<Value> = serde_saphyr::from_str(&format!("#{yaml}")).unwrap();
        let texts = |value: &Value| -> Vec<String> {
            value
                .as_array()
                .unwrap()
                .iter()
                .map(|text| text.as_str().unwrap().to_owned())
                .collect()
        };
        let mut rights = BTreeSet::new();
        for rule in rules {
            for group in texts(&rule["apiGroups"]) {
                for resource in texts(&rule["resources"]) {
                    rights.extend(
                        texts(&rule["verbs"])
                            .into_iter()
                            .map(|verb| (group.clone(), resource.clone(), verb)),
                    );
                }
            }
        }
        rights
    }

    #[test]
    fn what_is_asked_for_is_what_the_chart_gives() {
        let asked: BTreeSet<Right> = workload(true)
            .into_iter()
            .flat_map(|need| need.verbs.clone().into_iter().map(move |verb| (need.clone(), verb)))
            .map(|(need, verb)| (need.group.to_owned(), need.resource, verb.to_owned()))
            .collect();
        assert_eq!(asked, chart());
    }

    #[test]
    fn older_names_need_no_rights_where_nobody_looks_after_them() {
        let all = workload(false);
        assert!(!all.iter().any(|need| need.resource.starts_with("ollamadeployments")));
        assert!(
            all.iter()
                .any(|need| need.group == "apps" && need.resource == "deployments")
        );
    }

    #[test]
    fn who_says_whom_to_trust_must_be_able_to_write_it() {
        let mut installation = Installation::of(None, "ops").unwrap();
        let may_patch = |installation: &Installation| {
            let all = needs(installation);
            let writes =
                |need: &&Need| need.resource.ends_with("webhookconfigurations") && need.verbs.contains(&"patch");
            all.iter().filter(writes).count()
        };
        assert_eq!(may_patch(&installation), 2);
        (installation.keeper, installation.injects) = (Keeper::Other, true);
        assert_eq!(may_patch(&installation), 2);
        installation.injects = false;
        assert_eq!(may_patch(&installation), 0, "who keeps it says also whom to trust");
    }

    #[test]
    fn with_a_list_of_namespaces_every_one_of_them_is_asked_about() {
        let mut installation = Installation::of(None, "ops").unwrap();
        installation.watched = vec!["a".into(), "b".into()];
        let places: BTreeSet<Option<String>> = needs(&installation)
            .into_iter()
            .filter(|need| need.resource == "pods")
            .map(|need| need.namespace)
            .collect();
        assert_eq!(places, BTreeSet::from([Some("a".into()), Some("b".into())]));
    }
}
