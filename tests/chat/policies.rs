//! Who reaches whom, asked from inside the pods: with policies that nobody enforces, enforced, narrowed, and switched off.

use super::arrows::{ARROWS, Arrows, GUEST, OPERATOR, STRANGER, TITLES};
use super::live::objects::{name, names};
use super::live::operator;
use super::live::stage::Stage;
use anyhow::{Context, Result, bail, ensure};
use cluster::policies::Enforcer;
use cluster::{images, network};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// Where clouds keep the credentials of their machines.
const CREDENTIALS: &str = "169.254.169.254";
/// Finds the network namespace of the pod with the address `$1`, and tries to connect from there to each further argument.
/// Nothing is sent; a line for each that answers.
const ASK: &str = r#"for f in /run/netns/*; do
  nsenter --net="$f" ip -o -4 addr show scope global | grep -q " $1/" || continue
  shift
  for to in "$@"; do
    nsenter --net="$f" timeout 3 bash -c "exec 3<>/dev/tcp/${to%:*}/${to#*:}" 2>/dev/null && echo "$to" &
  done
  wait
  exit 0
done
exit 9"#;
/// The same for a name that is looked up.
const RESOLVE: &str = r#"for f in /run/netns/*; do
  nsenter --net="$f" ip -o -4 addr show scope global | grep -q " $1/" || continue
  exec nsenter --net="$f" busybox nslookup kubernetes.default.svc.cluster.local "$2"
done"#;

pub async fn pods_reach_whom_the_page_says() -> Result<()> {
    let stage = super::stage("policies").await?;
    let spec = |policy: Value| {
        let web = json!({
            "redis": {"enabled": true}, "database": {"enabled": true}, "pipelines": {"enabled": true},
        });
        let mut spec = super::spec(&stage, &web);
        spec["ollama"]["models"] = json!([stage.item("tiny"), stage.item("embed")]);
        spec["tabby"] = json!({"enabled": true, "embeddingModel": stage.model("embed")});
        spec["networkPolicy"] = policy;
        spec
    };
    for (guest, labels) in [(GUEST, json!({"team": "search"})), (STRANGER, json!({"team": "other"}))] {
        stage.namespace.apply(&bystander(guest, &labels).to_string()).await?;
    }
    stage.stack("chat", &spec(json!({"enabled": true}))).await?;
    super::ready(&stage).await?;
    let everyone = |_: &Arrows| TITLES.iter().map(|(name, _)| *name).collect();
    let wire = Wire::of(&stage).await?;

    // The node has no policies of its own: so whatever is refused later, the enforcer refuses.
    wire.compare(&stage, "without an enforcer", everyone).await?;
    let cloud = CloudCredentials::open(&stage).await?;
    assert_eq!(
        wire.ask(&stage, "openwebui", &[cloud.0]).await?.len(),
        1,
        "they can be reached"
    );

    let enforcer = Enforcer::start(stage.cluster()).await?;
    wire.compare(&stage, "by default", |arrows| arrows.default.to_vec())
        .await?;
    // What no policy selects reaches them still; what is ours does not, and names are looked up.
    assert_eq!(wire.ask(&stage, STRANGER, &[cloud.0]).await?.len(), 1);
    for (component, _) in TITLES
        .iter()
        .filter(|(name, _)| ![OPERATOR, GUEST, STRANGER].contains(name))
    {
        assert_eq!(
            wire.ask(&stage, component, &[cloud.0]).await?,
            Vec::<String>::new(),
            "{component}"
        );
        wire.resolves(&stage, component).await?;
    }

    let from = json!({"enabled": true, "from": [{"podSelector": {"matchLabels": {"team": "search"}}}]});
    stage.stack("chat", &spec(from)).await?;
    let narrowed = |o: &Value| !o["spec"]["ingress"][0]["from"].is_null();
    stage
        .until("is narrowed", "NetworkPolicy", "chat-tabby", narrowed)
        .await?;
    super::ready(&stage).await?;
    enforcer.settle().await?;
    wire.compare(&stage, "with from", |arrows| arrows.from.to_vec()).await?;
    assert_eq!(
        Wire::of(&stage).await?.addresses,
        wire.addresses,
        "no pod is replaced by a policy"
    );

    stage.stack("chat", &spec(json!({"enabled": false}))).await?;
    stage.gone("NetworkPolicy", "chat-tabby").await?;
    stage.gone("NetworkPolicy", "chat-postgres").await?;
    super::ready(&stage).await?;
    enforcer.settle().await?;
    wire.compare(&stage, "without policies", everyone).await?;
    assert_eq!(wire.ask(&stage, "openwebui", &[cloud.0]).await?.len(), 1);
    Ok(())
}

/// A pod that does nothing.
fn bystander(name: &str, labels: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "securityContext": {"runAsNonRoot": true, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "rest", "image": images::BUSYBOX, "command": ["sleep", "3600"],
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
            }],
        },
    })
}

/// The pods that are asked, by the names of the page.
struct Wire {
    addresses: BTreeMap<&'static str, String>,
}

impl Wire {
    async fn of(stage: &Stage) -> Result<Self> {
        let mut addresses = BTreeMap::new();
        for (name, _) in TITLES {
            addresses.insert(name, address(stage, name).await?);
        }
        Ok(Self { addresses })
    }

    /// Asks everyone for everything, and compares with the page.
    async fn compare(&self, stage: &Stage, what: &str, expected: impl Fn(&Arrows) -> Vec<&'static str>) -> Result<()> {
        let all = ARROWS.iter();
        let to = all.map(|a| Ok(format!("{}:{}", self.addresses[a.to], a.port).parse()?));
        let to = to.collect::<Result<Vec<SocketAddr>>>()?;
        let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (name, _) in TITLES {
            let answers = self.ask(stage, name, &to).await?;
            for (arrows, to) in ARROWS.iter().zip(&to) {
                if answers.contains(&to.to_string()) {
                    found.entry(arrows.to).or_default().insert(name);
                }
            }
        }
        for arrows in &ARROWS {
            let mut found = found.remove(arrows.to).unwrap_or_default();
            // Nobody needs the network to reach itself.
            found.remove(arrows.to);
            let mut expected: BTreeSet<&str> = expected(arrows).into_iter().collect();
            expected.remove(arrows.to);
            assert_eq!(found, expected, "to {}, {what}", arrows.to);
        }
        Ok(())
    }

    /// Which of these addresses the pod reaches.
    async fn ask(&self, stage: &Stage, name: &str, to: &[SocketAddr]) -> Result<Vec<String>> {
        let from = &self.addresses[name];
        let to: Vec<String> = to.iter().map(ToString::to_string).collect();
        let mut command = vec!["bash", "-c", ASK, "ask", from];
        command.extend(to.iter().map(String::as_str));
        let output = stage.cluster().enter(&command).await?;
        ensure!(output.status.success(), "{name} has no network at {from}: {output:?}");
        Ok(String::from_utf8(output.stdout)?.lines().map(str::to_string).collect())
    }

    async fn resolves(&self, stage: &Stage, name: &str) -> Result<()> {
        let from = &self.addresses[name];
        let command = ["bash", "-c", RESOLVE, "resolve", from, network::NODE_IP];
        let output = stage.cluster().enter(&command).await?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(
            said.contains(network::API_SERVICE_IP),
            "{name} looks up no name: {said}"
        );
        Ok(())
    }
}

/// The address of the pod, as soon as it has one.
async fn address(stage: &Stage, name: &'static str) -> Result<String> {
    let running = |pod: &Value| pod["status"]["phase"] == "Running";
    let pod = match name {
        GUEST | STRANGER => stage.until("runs", "Pod", name, running).await?,
        OPERATOR => {
            let labels = "app.kubernetes.io/name=llm-operator";
            let arguments = ["get", "pods", "-n", operator::NAMESPACE, "-l", labels, "-o", "json"];
            let all: Value = serde_json::from_str(&stage.cluster().kubectl(&arguments).await?)?;
            let mut pods = all["items"].as_array().into_iter().flatten();
            pods.find(|pod| running(pod)).cloned().context("no operator runs")?
        }
        component => match &stage.pods("chat", component).await?[..] {
            [pod] => pod.clone(),
            pods => bail!("{:?} in place of one pod of {component}", names(pods)),
        },
    };
    let ip = pod["status"]["podIP"].as_str();
    Ok(ip
        .with_context(|| format!("Pod {} has no address", self::name(&pod)))?
        .to_string())
}

/// Somebody who listens where clouds keep credentials.
struct CloudCredentials(
    SocketAddr,
    #[allow(dead_code, reason = "it listens as long as it is held")] tokio::net::TcpListener,
);

impl CloudCredentials {
    async fn open(stage: &Stage) -> Result<Self> {
        let address = format!("{CREDENTIALS}/32");
        let output = stage
            .cluster()
            .enter(&["ip", "addr", "replace", &address, "dev", "lo"])
            .await?;
        ensure!(output.status.success(), "{output:?}");
        let socket: SocketAddr = format!("{CREDENTIALS}:80").parse()?;
        Ok(Self(socket, stage.cluster().listen_on(socket).await?))
    }
}
