//! The chart, without installing it: lint, the same bytes every time and from both Helms, its unit tests, and its objects
//! against the schemas of a real API server.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use cluster::test::Suite;
use cluster::tools::{self, Tool};
use cluster::{Cluster, Kind};
use serde_json::{Map, Value, json};

fn main() -> ExitCode {
    Suite::new()
        .test("both_helms_find_nothing_to_complain_about", Kind::Kwok, lint)
        .test("it_renders_to_the_same_bytes_every_time", Kind::Kwok, same_bytes)
        .test("its_own_tests_pass", Kind::Kwok, unit_tests)
        .test("its_alerts_fire_when_they_should", Kind::Kwok, alerts)
        .test("its_objects_fit_the_schemas_of_the_api_server", Kind::Kwok, conform)
        .run()
}

/// Everything that a value can switch on.
const EVERYTHING: &str = "
watchNamespaces: [a, b]
modelPolicy: {enabled: true}
networkPolicy: {enabled: true}
rbac: {aggregate: true}
";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts/llm-operator")
}

async fn run(tool: Tool, arguments: &[impl AsRef<OsStr>]) -> Result<String> {
    let arguments: Vec<_> = arguments.iter().map(|a| a.as_ref().to_owned()).collect();
    tokio::task::spawn_blocking(move || {
        let output = Command::new(tools::path(tool)?).args(&arguments).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        let why = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{} {arguments:?}: {said}{why}", tool.name());
        Ok(said.into_owned())
    })
    .await?
}

async fn render(tool: Tool, values: &str) -> Result<String> {
    let file = tempfile::NamedTempFile::new()?;
    fs::write(&file, values)?;
    let chart = folder();
    let arguments = [
        "template".as_ref(),
        "llm-operator".as_ref(),
        chart.as_os_str(),
        "--namespace".as_ref(),
        "llm-operator-system".as_ref(),
        "--kube-version".as_ref(),
        "1.30.0".as_ref(), // the oldest
        "--values".as_ref(),
        file.path().as_os_str(),
    ];
    run(tool, &arguments).await
}

async fn lint() -> Result<()> {
    for helm in [Tool::Helm3, Tool::Helm4] {
        run(helm, &["lint".as_ref(), "--strict".as_ref(), folder().as_os_str()]).await?;
    }
    Ok(())
}

async fn same_bytes() -> Result<()> {
    for values in ["", EVERYTHING] {
        let mut seen = vec![];
        for helm in [Tool::Helm3, Tool::Helm4] {
            let first = render(helm, values).await?;
            ensure!(
                first == render(helm, values).await?,
                "{} renders something else the second time",
                helm.name()
            );
            seen.push(documents(&first)?);
        }
        ensure!(seen[0] == seen[1], "Helm 3 and Helm 4 render different objects");
    }
    Ok(())
}

/// The objects in an order of their own: the two Helms sort kinds that they do not know differently.
fn documents(rendered: &str) -> Result<BTreeSet<String>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(rendered)?;
    ensure!(documents.len() > 10, "only {} objects", documents.len());
    Ok(documents.iter().map(Value::to_string).collect())
}

async fn unit_tests() -> Result<()> {
    let said = run(Tool::HelmUnittest, &["--strict".as_ref(), folder().as_os_str()]).await?;
    print!("{said}");
    let tests = said.lines().find_map(|line| line.strip_prefix("Tests:"));
    let none = tests.is_none_or(|tests| tests.trim().starts_with('0'));
    ensure!(!none, "no test was run: {said}");
    Ok(())
}

/// Prometheus' own checks of the rules, and that what the chart renders is what was checked.
async fn alerts() -> Result<()> {
    let file = folder().join("files/alerts.yaml");
    let lint = [
        "check".as_ref(),
        "rules".as_ref(),
        "--lint=all".as_ref(),
        "--lint-fatal".as_ref(),
        file.as_os_str(),
    ];
    run(Tool::Promtool, &lint).await?;
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chart/alerts.yaml");
    run(Tool::Promtool, &["test".as_ref(), "rules".as_ref(), tests.as_os_str()]).await?;
    let alerts: Value = serde_saphyr::from_str(&fs::read_to_string(&file)?)?;
    let tested = fs::read_to_string(&tests)?;
    for rule in alerts["groups"][0]["rules"].as_array().context("no rules")? {
        let name = rule["alert"].as_str().context("a rule without a name")?;
        let [quiet, fires] = [format!("{name}}}"), format!("{name}\n        exp_alerts:")];
        ensure!(
            tested.contains(&quiet) && tested.contains(&fires),
            "{name} is not seen to fire and not to"
        );
    }
    let rendered = render(
        Tool::Helm4,
        "{prometheusRule: {enabled: true}, grafanaDashboard: {enabled: true}}",
    )
    .await?;
    let documents: Vec<Value> = serde_saphyr::from_multiple(&rendered)?;
    let of = |kind: &str| {
        documents
            .iter()
            .rfind(|d| d["kind"] == kind && d["data"]["config.yaml"].is_null())
    };
    ensure!(
        of("PrometheusRule").context("no rule")?["spec"] == alerts,
        "the chart renders other rules"
    );
    let dashboard = of("ConfigMap").context("no dashboard")?["data"]["llm-operator.json"].clone();
    let dashboard: Value = serde_json::from_str(dashboard.as_str().context("no text")?)?;
    let file: Value = serde_json::from_str(&fs::read_to_string(folder().join("files/dashboard.json"))?)?;
    ensure!(dashboard == file, "the chart renders another dashboard");
    Ok(())
}

/// The schemas of a running API server, its own kinds and those of the chart's definitions, closed so that a field which
/// does not exist is found.
async fn conform() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let served: Value = serde_json::from_str(&cluster.kubectl(&["get", "--raw", "/openapi/v2"]).await?)?;
    let schemas = tempfile::tempdir()?;
    write_schemas(served, schemas.path())?;
    let location = format!(
        "{}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json",
        schemas.path().display()
    );
    for values in ["", EVERYTHING] {
        let said = kubeconform(&location, &render(Tool::Helm4, values).await?).await?;
        ensure!(said.contains("Invalid: 0, Errors: 0, Skipped: 0"), "{said}");
    }
    let wrong = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: x}, spec: {replica: 1}}";
    let refused = kubeconform(&location, wrong).await;
    ensure!(
        refused.is_err(),
        "a field that does not exist is not found: {refused:?}"
    );
    Ok(())
}

async fn kubeconform(location: &str, manifests: &str) -> Result<String> {
    let file = tempfile::NamedTempFile::with_suffix(".yaml")?;
    fs::write(&file, manifests)?;
    let path = file.path().to_str().context("a path that is not UTF-8")?;
    run(
        Tool::Kubeconform,
        &["-strict", "-summary", "-schema-location", location, path],
    )
    .await
}

/// One file for all definitions, and one for each kind that leads into it.
fn write_schemas(mut served: Value, folder: &Path) -> Result<()> {
    let definitions = served["definitions"]
        .as_object_mut()
        .context("the API server has no definitions")?;
    for definition in definitions.values_mut() {
        close(definition);
    }
    for (name, definition) in &*definitions {
        for kind in definition["x-kubernetes-group-version-kind"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let word = |field: &str| kind[field].as_str().unwrap_or_default().to_lowercase();
            let group = word("group");
            let group = group.split('.').next().filter(|group| !group.is_empty());
            let parts = [Some(word("kind")), group.map(str::to_owned), Some(word("version"))];
            let file = parts.into_iter().flatten().collect::<Vec<_>>().join("-");
            let schema = json!({"$ref": format!("definitions.json#/definitions/{name}")});
            fs::write(folder.join(format!("{file}.json")), schema.to_string())?;
        }
    }
    // Whole numbers are sent where either is allowed.
    if let Some(either) = definitions.get_mut("io.k8s.apimachinery.pkg.util.intstr.IntOrString") {
        *either = json!({"type": ["string", "integer"]});
    }
    if let Some(quantity) = definitions.get_mut("io.k8s.apimachinery.pkg.api.resource.Quantity") {
        *quantity = json!({"type": ["string", "number"]});
    }
    let file = json!({"definitions": Value::Object(std::mem::take(definitions))});
    Ok(fs::write(folder.join("definitions.json"), file.to_string())?)
}

/// An object with known fields has no others.
fn close(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    let open =
        schema.contains_key("x-kubernetes-preserve-unknown-fields") || schema.contains_key("additionalProperties");
    if schema.contains_key("properties") && !open {
        schema.insert("additionalProperties".into(), false.into());
    }
    // A definition of JSONSchemaProps is the schema of schemas; what is in it is closed by the API server itself.
    let inner = schema
        .get_mut("properties")
        .and_then(Value::as_object_mut)
        .map(Map::values_mut);
    inner.into_iter().flatten().for_each(close);
}
