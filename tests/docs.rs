//! What the documents say is so, as far as that shows without a cluster; `pages` runs their commands on one.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests are tests, too")]

#[path = "support/arrows.rs"]
mod arrows;
#[path = "docs/blocks.rs"]
mod blocks;
#[path = "docs/commands.rs"]
mod commands;
#[path = "docs/images.rs"]
mod images;
#[path = "docs/rules.rs"]
mod rules;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use blocks::{Content, page, pages, root};
use llm_operator::cli::Meters;

#[test]
fn every_manifest_is_a_file_and_is_what_its_block_says() {
    let folder = tempfile::tempdir().unwrap();
    let mut seen = 0;
    for page in pages() {
        for block in page.blocks.iter().filter(|block| block.content.is_yaml()) {
            let at = format!("{}:{}", page.path, block.line);
            let name = block
                .file()
                .unwrap_or_else(|| panic!("{at}: the first line of YAML is # NAME.yaml"));
            if block.content == Content::Values {
                continue;
            }
            let file = folder.path().join(name);
            fs::write(&file, &block.text).unwrap();
            let output = Command::new(env!("CARGO_BIN_EXE_llm-operator"))
                .args(["validate", "-f"])
                .arg(&file)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let expected = i32::from(block.content != Content::Accepted);
            assert_eq!(output.status.code(), Some(expected), "{at}: {said}");
            seen += 1;
        }
    }
    assert!(seen > 5, "only {seen} manifests");
}

#[test]
fn generated_pages_are_up_to_date() {
    support::compare("docs/rules.md", &rules::page());
    support::compare("docs/cli.md", &commands::page());
}

#[test]
fn every_rule_has_an_example() {
    assert!(
        rules::gaps().is_empty(),
        "without an example, or no rule: {:?}",
        rules::gaps()
    );
}

#[test]
fn every_image_that_can_be_started_is_listed() {
    let (text, table) = (page("docs/air-gapped.md").text, images::table());
    assert!(text.contains(&table), "docs/air-gapped.md should hold\n{table}");
    let started = images::started();
    assert!(started.len() > 6, "{started:?}");
    for image in started {
        assert!(table.contains(&format!("| `{image}` |")), "{image} is not in the table");
    }
}

/// What a command prints in that form.
fn printed(command: &str, form: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_llm-operator"))
        .arg(command)
        .args(if command == "crd" {
            vec![]
        } else {
            vec!["-f", "examples/minimal.yaml"]
        })
        .args(["--output", form])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{command}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains('\x1b'), "colours are for terminals: {text}");
    text
}

#[test]
fn programs_read_what_people_read() {
    for command in ["crd", "render", "validate"] {
        let json: serde_json::Value = serde_json::from_str(&printed(command, "json")).unwrap();
        let yaml: Vec<serde_json::Value> = serde_saphyr::from_multiple(&printed(command, "yaml")).unwrap();
        let items = if command == "validate" {
            yaml[0].clone()
        } else {
            yaml.into()
        };
        let of_json = if command == "validate" { &json } else { &json["items"] };
        assert_eq!(of_json, &items, "{command}");
        let lines = printed(command, "table").lines().count();
        let expected = if command == "validate" {
            1
        } else {
            items.as_array().unwrap().len() + 1
        };
        assert_eq!(lines, expected, "{command}");
    }
}

#[test]
fn every_make_target_exists() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let targets: BTreeSet<&str> = makefile
        .lines()
        .filter_map(|line| {
            line.split_once(": ")
                .filter(|(name, _)| !name.contains([' ', '\t', '=']))?
                .0
                .into()
        })
        .collect();
    for page in pages() {
        let commands = page.blocks.iter().flat_map(blocks::Block::commands);
        let inline = page.text.split('`').skip(1).step_by(2).map(str::to_owned);
        for command in commands.chain(inline).filter(|c| c.starts_with("make ") || c == "make") {
            for word in command.split_whitespace().skip(1) {
                let known = match word.split_once('=') {
                    Some((variable, _)) => {
                        makefile.contains(&format!("$({variable})")) || makefile.contains(&format!(",{variable})"))
                    }
                    None => targets.contains(word),
                };
                assert!(known, "{}: {command}: make knows no {word}", page.path);
            }
        }
    }
}

#[test]
fn every_link_leads_somewhere() {
    for page in pages() {
        let folder = root().join(&page.path);
        let folder = folder.parent().unwrap();
        for link in page
            .text
            .split("](")
            .skip(1)
            .map(|rest| rest.split(')').next().unwrap_or_default())
        {
            if !link.contains("://") {
                let file = link.split('#').next().unwrap_or_default();
                assert!(folder.join(file).exists(), "{}: there is no {link}", page.path);
            }
        }
    }
}

#[test]
fn the_readme_leads_to_every_page() {
    let readme = page("README.md");
    for page in pages().iter().filter(|page| page.path != "README.md") {
        assert!(readme.text.contains(&format!("({})", page.path)), "{}", page.path);
    }
}

#[test]
fn the_arrows_between_pods_are_those_that_are_tested() {
    let table = arrows::table();
    let text = page("docs/exposure.md").text;
    assert!(text.contains(&table), "docs/exposure.md should hold\n{table}");
}

/// The names in backticks of the lines that `of` picks.
fn quoted(text: &str, of: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| of(line));
    lines
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_reason_is_explained() {
    let source = fs::read_to_string(root().join("src/base/condition.rs")).unwrap();
    let body = source
        .split("pub enum Reason {")
        .nth(1)
        .and_then(|rest| rest.split("\n}").next())
        .unwrap();
    let reasons: BTreeSet<String> = body
        .lines()
        .filter_map(|line| Some(line.trim().strip_suffix(',')?.to_owned()))
        .filter(|name| name.chars().all(char::is_alphanumeric))
        .collect();
    assert!(reasons.len() > 20, "{reasons:?}");
    let operations = page("docs/operations.md").text;
    let section = operations
        .split("## Reasons")
        .nth(1)
        .and_then(|rest| rest.split("\n## ").next())
        .unwrap();
    let rows = section
        .lines()
        .filter_map(|line| Some(line.strip_prefix("| `")?.split('`').next()?.to_owned()));
    let later = section
        .split("Set aside")
        .nth(1)
        .map(|text| quoted(&text.replace('\n', " "), |_| true));
    let explained: BTreeSet<String> = rows.chain(later.into_iter().flatten()).collect();
    assert_eq!(explained, reasons);
}

/// The names of all metrics that the process registers, without the ends that the kinds of metrics have. A scrape leaves
/// out what has not been counted yet; what the registry prints of itself has all.
fn metrics() -> BTreeSet<String> {
    let all = format!("{:?}", Meters::default().registry);
    let (mut metrics, mut prefix) = (BTreeSet::new(), "");
    for part in all.split_inclusive(['(', '{']).collect::<Vec<_>>().windows(2) {
        let value = part[1].split('"').nth(1).unwrap_or_default();
        if part[0].ends_with("Prefix(") {
            prefix = value;
        } else if part[0].ends_with("Descriptor {") {
            metrics.insert(format!("{prefix}_{value}"));
        }
    }
    assert!(metrics.len() > 10, "{metrics:?}");
    metrics
}

#[test]
fn every_metric_is_explained() {
    let rows = page("docs/operations.md").text;
    let explained: BTreeSet<String> = rows
        .lines()
        .filter_map(|line| Some(line.strip_prefix("| `llm_operator_")?.split('`').next()?.to_owned()))
        .map(|name| format!("llm_operator_{}", name.strip_suffix("_total").unwrap_or(&name)))
        .collect();
    assert_eq!(explained, metrics());
}

fn chart(file: &str) -> String {
    fs::read_to_string(root().join("charts/llm-operator/files").join(file)).unwrap()
}

/// The words of an expression that begin as our metrics do.
fn named(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = words.filter(|word| word.starts_with("llm_operator_"));
    ours.map(|word| {
        ["_total", "_bucket"]
            .iter()
            .fold(word, |name, end| name.strip_suffix(end).unwrap_or(name))
            .to_owned()
    })
    .collect()
}

#[test]
fn alerts_and_dashboard_know_only_metrics_that_there_are() {
    let (metrics, dashboard) = (metrics(), named(&chart("dashboard.json")));
    let unknown: Vec<&String> = dashboard.difference(&metrics).collect();
    assert!(unknown.is_empty(), "the dashboard shows {unknown:?}");
    let unseen: Vec<&String> = metrics.difference(&dashboard).collect();
    // What is a defect wherever it is counted is shown by nobody's wish.
    assert_eq!(
        unseen,
        ["llm_operator_webhook_patches_discarded"],
        "the dashboard lacks {unseen:?}"
    );
    let alerts = named(&chart("alerts.yaml"));
    assert!(alerts.is_subset(&metrics) && alerts.len() > 7, "{alerts:?}");
}

#[test]
fn every_alert_is_explained() {
    let alerts: serde_json::Value = serde_saphyr::from_str(&chart("alerts.yaml")).unwrap();
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let rendered: Vec<String> = alerts["groups"][0]["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| {
            let wait =
                text(&rule["for"]).map_or(String::new(), |wait| format!(" for {} min", wait.trim_end_matches('m')));
            format!(
                "| `{}` | `{}`{wait} |",
                text(&rule["alert"]).unwrap(),
                text(&rule["expr"]).unwrap()
            )
        })
        .collect();
    let page = page("docs/operations.md").text;
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `LLMOperator")).collect();
    assert_eq!(rows.len(), rendered.len());
    for (row, rendered) in rows.iter().zip(rendered) {
        assert!(row.starts_with(&rendered), "{row}\nshould begin with\n{rendered}");
    }
}
