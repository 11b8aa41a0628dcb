//! The operator's own rights: each with its reason, none that nobody uses, and none missing.

use super::live::operator;
use super::live::rights::{are_those_in_use, rendered, roles};
use super::live::stage::Stage;
use anyhow::{Context, Result, ensure};
use cluster::audit::Audit;
use std::collections::BTreeSet;

/// The forms of a release that differ in their rights.
fn forms() -> Vec<Vec<String>> {
    let modes: [&[&str]; 3] = [
        &["webhook.tls.mode=selfManaged"],
        &["webhook.tls.mode=certManager"],
        &["webhook.tls.mode=existingSecret", "webhook.tls.existingSecret=given"],
    ];
    let places: [&[&str]; 2] = [&[], &["watchNamespaces={a,b}"]];
    let mut all = vec![];
    for (mode, place) in modes
        .iter()
        .flat_map(|mode| places.iter().map(move |place| (mode, place)))
    {
        let words = mode
            .iter()
            .chain(*place)
            .flat_map(|value| ["--set".to_string(), (*value).to_string()]);
        let people = ["--set".to_string(), "rbac.aggregate=true".to_string()];
        all.push(words.chain(people).collect());
    }
    all
}

pub async fn every_right_has_a_reason() -> Result<()> {
    let cluster = operator::shared().await?;
    let (mut wrong, mut count) = (BTreeSet::new(), 0);
    for form in forms() {
        let found = roles(&rendered(cluster, &form).await?)?;
        ensure!(found.len() >= 5, "{form:?} renders {} roles", found.len());
        for (text, role) in found {
            let title = format!("{} {}", role["kind"], role["metadata"]["name"]);
            let lines: Vec<&str> = text.lines().map(str::trim).collect();
            let starts = (0..lines.len()).filter(|i| lines[*i].starts_with("- apiGroups:"));
            let bare = starts.clone().filter(|i| !lines[i - 1].starts_with("# "));
            wrong.extend(bare.map(|i| format!("{title}: no reason above {} {}", lines[i], lines[i + 1])));
            let rules = role["rules"].as_array().context("a role without rules")?;
            ensure!(rules.len() == starts.count(), "{title}: a rule was not seen");
            count += rules.len();
            for rule in rules {
                let wild = rule.to_string().contains('*') || rule["nonResourceURLs"].is_array();
                let over = ["escalate", "bind", "impersonate"]
                    .iter()
                    .any(|verb| rule["verbs"].to_string().contains(verb));
                if wild || over {
                    wrong.insert(format!("{title}: {rule}"));
                }
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.into_iter().collect::<Vec<_>>().join("\n"));
    println!("{count} rules in {} forms, each with its reason", forms().len());
    Ok(())
}

/// As the chart installs it. The other forms have a release of their own in the suite `certificates`.
pub async fn every_right_is_used() -> Result<()> {
    let stage = Stage::shared("rights").await?;
    are_those_in_use(&stage, Audit::START, &[]).await
}
