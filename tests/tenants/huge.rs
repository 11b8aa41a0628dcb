//! Objects as large as the API server takes them, and larger.

use super::live::LIMIT;
use super::live::objects::{is_observed, name, restarts};
use super::live::operator::NAMESPACE;
use super::tenant::{Tenant, model, stack};
use anyhow::{Result, ensure};
use cluster::test::until;
use serde_json::{Value, json};

/// What a replica may hold at most after all of them, in KiB: three quarters of what the chart lets it have, without
/// optimisation.
const MOST: u64 = 192 << 10;

fn objects() -> Vec<(&'static str, Value)> {
    let spec = |ollama: Value| {
        let mut spec = json!({"suspend": true, "ollama": {"models": []}});
        llm_operator::base::object::merge(&mut spec["ollama"], ollama);
        stack("huge", &spec)
    };
    let long = |kib: usize| "x".repeat(kib << 10);
    let variables = |count: usize, kib: usize| -> Vec<Value> {
        (0..count)
            .map(|i| json!({"name": format!("A{i}"), "value": long(kib)}))
            .collect()
    };
    let names: Vec<String> = (0..20_000).map(|i| format!("model-{i}")).collect();
    let volumes: Vec<Value> = (0..10_000)
        .map(|i| json!({"name": format!("v{i}"), "emptyDir": {}}))
        .collect();
    let mut noted = spec(json!({}));
    noted["metadata"]["annotations"] = json!({"note": long(200)});
    vec![
        ("10000 variables", spec(json!({"env": variables(10_000, 0)}))),
        ("128 variables of 5 KiB", spec(json!({"env": variables(128, 5)}))),
        ("a variable of 1 MiB", spec(json!({"env": variables(1, 1024)}))),
        ("a variable of 2 MiB", spec(json!({"env": variables(1, 2048)}))),
        ("a variable of 4 MiB", spec(json!({"env": variables(1, 4096)}))),
        ("20000 models", spec(json!({"models": names}))),
        ("10000 volumes", spec(json!({"volumes": volumes}))),
        (
            "an annotation of the pods of 300 KiB",
            spec(json!({"podAnnotations": {"note": long(300)}})),
        ),
        ("an annotation of 200 KiB", noted),
        ("an image of 1 MiB", spec(json!({"image": long(1024)}))),
        ("a model's name of 1 MiB", model("huge", &json!({"name": long(1024)}))),
        (
            "a system prompt of 1 MiB",
            model(
                "huge",
                &json!({"name": "huge", "from": "tiny", "system": long(1024), "target": {"deploymentRef": {"name": "huge"}}}),
            ),
        ),
    ]
}

pub async fn huge_objects_get_an_answer() -> Result<()> {
    let tenant = Tenant::new("huge").await?;
    let before = replicas(&tenant).await?;
    for (what, object) in objects() {
        let kind = object["kind"].as_str().unwrap_or_default().to_string();
        let output = tenant.kubectl(&["create", "-f", "-"], &object.to_string()).await?;
        let said = String::from_utf8_lossy(&output.stderr).trim().to_string();
        if !output.status.success() {
            let blamed = said.contains("failed calling webhook") || said.contains("Internal error");
            ensure!(!said.is_empty() && !blamed, "{what}: {said}");
            println!(
                "{what}: refused: {}",
                said.chars().take(160).collect::<String>().replace('\n', " ")
            );
            continue;
        }
        let object = tenant
            .until(&format!("is told of {what}"), &kind, "huge", is_observed)
            .await?;
        let told: Vec<&str> = object["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|c| ["Ready", "Stalled", "Degraded"].contains(&c["type"].as_str().unwrap_or_default()))
            .filter_map(|c| c["reason"].as_str())
            .collect();
        ensure!(
            !told.is_empty() && object["status"].to_string().len() < 64 << 10,
            "{what}: the status is none"
        );
        println!("{what}: taken: {told:?}");
        tenant.delete(&kind, "huge").await?;
        tenant.gone(&kind, "huge").await?;
    }
    // Alive, and of the size that it had.
    let after = replicas(&tenant).await?;
    ensure!(after == before, "the operator was restarted: {before:?} {after:?}");
    let most = memory(&tenant).await?;
    println!("the largest replica held {} MiB at its peak", most >> 10);
    ensure!(most < MOST, "a replica held {most} KiB");
    looked_after(&tenant).await?;
    Ok(())
}

/// The operator goes on: a plain stack gets its status.
async fn looked_after(tenant: &Tenant) -> Result<()> {
    tenant
        .creates(&stack("small", &json!({"suspend": true, "ollama": {"models": []}})))
        .await?;
    tenant
        .until("is looked after", "LMDeployment", "small", is_observed)
        .await
        .map(drop)
}

/// The operator's pods and how often each was restarted.
async fn replicas(tenant: &Tenant) -> Result<Vec<(String, i64)>> {
    let selector = "--selector=app.kubernetes.io/name=llm-operator,app.kubernetes.io/component!=selfcheck";
    let text = tenant
        .cluster()
        .kubectl(&["-n", NAMESPACE, "get", "pods", selector, "-o", "json"])
        .await?;
    let list: Value = serde_json::from_str(&text)?;
    // Those of a release that was upgraded a moment ago may still be going.
    let all = list["items"].as_array().into_iter().flatten();
    let pods = all.filter(|p| p["metadata"]["deletionTimestamp"].is_null());
    let mut all: Vec<(String, i64)> = pods.map(|p| (name(p).to_string(), restarts(p))).collect();
    all.sort();
    Ok(all)
}

/// The most that a replica has ever held, in KiB.
async fn memory(tenant: &Tenant) -> Result<u64> {
    let script = r#"for p in /proc/[0-9]*; do
          line=$(tr '\0' ' ' <"$p/cmdline" 2>/dev/null) || continue
          case "$line" in "/llm-operator run"*|"llm-operator run"*) sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "$p/status" ;; esac
        done"#;
    let output = tenant.cluster().enter(&["sh", "-c", script]).await?;
    let text = String::from_utf8(output.stdout)?;
    let all = text.lines().filter_map(|line| line.parse().ok());
    all.max()
        .ok_or_else(|| anyhow::anyhow!("no process of the operator was found"))
}

/// Around what a reader of JSON that guards its stack takes (128), and far beyond.
const DEPTHS: [usize; 9] = [50, 110, 114, 116, 118, 120, 122, 126, 3_000];

pub async fn deep_objects_stall_nobody() -> Result<()> {
    let tenant = Tenant::new("deep").await?;
    let before = replicas(&tenant).await?;
    let mut taken = vec![];
    for depth in DEPTHS {
        let spec = json!({"suspend": true, "ollama": {"models": [], "affinity": "DEEP"}});
        let deep = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        let text = stack(&format!("deep-{depth}"), &spec)
            .to_string()
            .replace("\"DEEP\"", &deep);
        // As text: a reader here would have the same guard.
        let output = tenant.kubectl(&["create", "-f", "-"], &text).await?;
        let said = String::from_utf8_lossy(&output.stderr).trim().to_string();
        if output.status.success() {
            taken.push(depth);
        } else {
            let blamed = said.contains("failed calling webhook") || said.contains("Internal error");
            ensure!(!said.is_empty() && !blamed, "{depth} levels: {said}");
        }
        let shown: String = said.chars().take(200).collect();
        println!("{depth} levels: {}", if shown.is_empty() { "taken" } else { &shown });
    }
    ensure!(taken.contains(&50) && !taken.contains(&3_000), "{taken:?}");
    // Its watches go on: what others make is looked after.
    looked_after(&tenant).await?;
    for depth in taken {
        let name = format!("deep-{depth}");
        let path = "jsonpath={.status.conditions[?(@.type=='Stalled')].status}";
        let seen = async || {
            let output = tenant.kubectl(&["get", "lmdeployment", &name, "-o", path], "").await?;
            Ok((output.stdout == b"True").then_some(()))
        };
        until(&format!("{name} is told that no pod is like that"), LIMIT, seen).await?;
        let deleted = tenant
            .kubectl(&["delete", "lmdeployment", &name, "--timeout=60s"], "")
            .await?;
        ensure!(deleted.status.success(), "{}", String::from_utf8_lossy(&deleted.stderr));
    }
    ensure!(replicas(&tenant).await? == before, "the operator was restarted");
    Ok(())
}
