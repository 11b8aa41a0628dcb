//! Attempts that end at the apply, each with the field that the tenant has to change.

use super::tenant::{Tenant, model, stack};
use anyhow::{Result, ensure};
use llm_operator::base::object::merge;
use serde_json::{Value, json};

/// Where it is refused, what is said there, and what is sent.
type Attempt = (String, &'static str, Value);

/// Blocks that any component with pods of its own takes, and the field below it that is refused.
fn overlays() -> Vec<(&'static str, Value)> {
    let volume = |source: Value| {
        let mut volume = json!({"name": "x"});
        merge(&mut volume, source);
        json!({"volumes": [volume], "volumeMounts": [{"name": "x", "mountPath": "/x"}]})
    };
    let first = |more: Value| {
        let mut container = json!({"name": "first", "image": "localhost/x:1", "command": ["id"]});
        merge(&mut container, more);
        json!({"initContainers": [container]})
    };
    let apparmor = "container.apparmor.security.beta.kubernetes.io/first";
    vec![
        ("volumes[0].hostPath", volume(json!({"hostPath": {"path": "/"}}))),
        (
            "volumes[0].projected.sources[0].serviceAccountToken",
            volume(json!({"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}})),
        ),
        (
            "securityContext.privileged",
            json!({"securityContext": {"privileged": true}}),
        ),
        (
            "securityContext.capabilities.add",
            json!({"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}),
        ),
        (
            "securityContext.procMount",
            json!({"securityContext": {"procMount": "Unmasked"}}),
        ),
        (
            "securityContext.seccompProfile",
            json!({"securityContext": {"seccompProfile": {"type": "Unconfined"}}}),
        ),
        (
            "podSecurityContext.sysctls[0]",
            json!({"podSecurityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}}),
        ),
        (
            "podSecurityContext.seLinuxOptions",
            json!({"podSecurityContext": {"seLinuxOptions": {"type": "spc_t"}}}),
        ),
        (
            "podSecurityContext.windowsOptions.hostProcess",
            json!({"podSecurityContext": {"windowsOptions": {"hostProcess": true}}}),
        ),
        (
            "initContainers[0].securityContext.privileged",
            first(json!({"securityContext": {"privileged": true}})),
        ),
        (
            "initContainers[0].securityContext.capabilities.add",
            first(json!({"securityContext": {"capabilities": {"add": ["NET_RAW"]}}})),
        ),
        (
            "initContainers[0].ports[0].hostPort",
            first(json!({"ports": [{"containerPort": 80, "hostPort": 80}]})),
        ),
        (
            "initContainers[0].startupProbe.httpGet.host",
            first(
                json!({"restartPolicy": "Always", "startupProbe": {"httpGet": {"host": "169.254.169.254", "port": 80}}}),
            ),
        ),
        (
            "initContainers[0].lifecycle.postStart.tcpSocket.host",
            first(
                json!({"restartPolicy": "Always", "lifecycle": {"postStart": {"tcpSocket": {"host": "10.0.0.1", "port": 22}}}}),
            ),
        ),
        (
            "priorityClassName",
            json!({"priorityClassName": "system-node-critical"}),
        ),
        ("podAnnotations", json!({"podAnnotations": {apparmor: "unconfined"}})),
    ]
}

/// A stack with all its parts, and a block laid over one of them.
fn with(part: &str, block: &Value) -> Value {
    let mut spec = json!({
        "ollama": {"models": ["tiny"]},
        "openwebui": {"enabled": true, "pipelines": {"enabled": true}},
        "tabby": {"enabled": true},
    });
    let place = part.split('.').fold(&mut spec, |place, key| &mut place[key]);
    merge(place, block.clone());
    stack("mine", &spec)
}

fn pods() -> Vec<Attempt> {
    let mut all = vec![];
    for part in ["ollama", "openwebui", "openwebui.pipelines", "tabby"] {
        let each = overlays().into_iter();
        all.extend(each.map(|(field, block)| (format!("spec.{part}.{field}"), "allowUnsafePods", with(part, &block))));
    }
    all
}

/// Names of things of others, or that mean more than a name where they are used.
#[allow(clippy::too_many_lines, reason = "a table")]
fn names() -> Vec<Attempt> {
    let at = |path: &str, words, part: &str, block: Value| (path.to_string(), words, with(part, &block));
    let mut all = vec![
        at(
            "spec.openwebui.langfuse.secretRef.namespace",
            "namespace",
            "openwebui",
            json!({"langfuse": {"enabled": true, "url": "http://langfuse", "secretRef": {"name": "keys", "namespace": "kube-system"}}}),
        ),
        at(
            "spec.tabby.ollamaServiceName",
            "is not the name of a Service",
            "tabby",
            json!({"ollamaServiceName": "ollama.kube-system.svc"}),
        ),
        at(
            "spec.ollama.env[0].name",
            "Invalid",
            "ollama",
            json!({"env": [{"name": "A\nB=1", "value": ""}]}),
        ),
        at(
            "spec.ollama.env[0].name",
            "is set by the operator",
            "ollama",
            json!({"env": [{"name": "OLLAMA_HOST", "value": "x"}]}),
        ),
        at(
            "spec.ollama.image",
            "is not an image",
            "ollama",
            json!({"image": "x\n  privileged: true"}),
        ),
        at(
            "spec.ollama.imageTag",
            "is not a tag",
            "ollama",
            json!({"imageTag": "$(id)"}),
        ),
        at(
            "spec.ollama.podLabels[a]",
            "is no value of a label",
            "ollama",
            json!({"podLabels": {"a": "$(id)\n"}}),
        ),
        at(
            "spec.tabby.ingress.host",
            "Invalid",
            "tabby",
            json!({"ingress": {"host": "a.b\n- c"}}),
        ),
        at(
            "spec.tabby.gateway.parentRef.namespace",
            "is no name",
            "tabby",
            json!({"gateway": {"parentRef": {"name": "web", "namespace": "../kube-system"}, "host": "a.example.com"}}),
        ),
        at(
            "spec.openwebui.ollamaUrls[0]",
            "is no address",
            "openwebui",
            json!({"ollamaUrls": ["file:///etc/passwd"]}),
        ),
        at(
            "spec.openwebui.ollamaUrls[0]",
            "is no address",
            "openwebui",
            json!({"ollamaUrls": ["http://a;http://b"]}),
        ),
        at(
            "spec.openwebui.pipelines.urls[0]",
            "http",
            "openwebui.pipelines",
            json!({"urls": ["https://x/$(id).py\n-o /etc/x"]}),
        ),
        at(
            "spec.openwebui.admin.email",
            "is no address",
            "openwebui",
            json!({"admin": {"email": "a@b.c\nX: y", "secretRef": {"name": "s"}}}),
        ),
    ];
    let odd = [
        "$(id)",
        "`id`",
        "a\nb",
        "a\"b",
        "a'b",
        "a;id",
        "a{{.}}",
        "--help",
        "../../etc/passwd/x",
        "a\u{0}b",
        "a]\n[server",
    ];
    for name in odd {
        all.push(at(
            "spec.ollama.models[0]",
            "Invalid",
            "ollama",
            json!({"models": [name]}),
        ));
        all.push(at(
            "spec.tabby.embeddingModel",
            "Invalid",
            "tabby",
            json!({"embeddingModel": name}),
        ));
        all.push(("spec.name".into(), "Invalid", model("mine", &json!({"name": name}))));
    }
    all
}

fn servers() -> Vec<Attempt> {
    let target = |target: Value| model("mine", &json!({"name": "tiny", "target": target}));
    let urls = [
        "http://169.254.169.254",
        "http://169.254.169.254/latest/meta-data/",
        "http://kubernetes.default.svc:443",
        "https://kubernetes.default.svc",
        "http://10.0.0.1@169.254.169.254",
        "http://localhost:8080",
        "http://[::1]:8080",
        "http://llm-operator-webhook.llm-operator-system.svc",
        "file:///var/run/secrets/kubernetes.io/serviceaccount/token",
        "gopher://127.0.0.1:6379/_INFO",
    ];
    let mut all: Vec<Attempt> = urls
        .into_iter()
        .map(|url| ("spec.target.url".to_string(), "Invalid", target(json!({"url": url}))))
        .collect();
    all.extend([
        (
            "spec.target.service.name".into(),
            "is not the name of a Service",
            target(json!({"service": {"name": "ollama.kube-system"}})),
        ),
        (
            "spec.target.deploymentRef.name".into(),
            "is not the name of a stack",
            target(json!({"deploymentRef": {"name": "kube-system/chat"}})),
        ),
        (
            "spec.target.deploymentRef.kind".into(),
            "Unsupported",
            target(json!({"deploymentRef": {"kind": "Secret", "name": "chat"}})),
        ),
        // An unknown field, which kubectl has refused by the API server.
        (
            "spec.target.deploymentRef.namespace".into(),
            "unknown field",
            target(json!({"deploymentRef": {"name": "chat", "namespace": "kube-system"}})),
        ),
        (
            "spec.ollama.hostNetwork".into(),
            "unknown field",
            with("ollama", &json!({"hostNetwork": true})),
        ),
        (
            "spec.ollama.hostPID".into(),
            "unknown field",
            with("ollama", &json!({"hostPID": true})),
        ),
        (
            "spec.from".into(),
            "models.derivedNamespaces",
            model("mine", &json!({"name": "tiny", "from": "base"})),
        ),
    ]);
    let mut taken = with("ollama", &json!({}));
    taken["metadata"]["annotations"] = json!({"llm.geeper.io/take-over-from": "Deployment/theirs"});
    all.push((
        "metadata.annotations[llm.geeper.io/take-over-from]".into(),
        "must name the stack",
        taken,
    ));
    let mut far = with("ollama", &json!({}));
    far["metadata"]["annotations"] = json!({"llm.geeper.io/take-over-from": "Deployment/kube-system/mine"});
    all.push((
        "metadata.annotations[llm.geeper.io/take-over-from]".into(),
        "must name the stack",
        far,
    ));
    all
}

pub async fn what_reaches_further_is_refused() -> Result<()> {
    let tenant = Tenant::new("refused").await?;
    // What the tenant may do himself: so that what follows is about the operator's rights, and not his own.
    for right in [
        "create pods",
        "create deployments.apps",
        "get secrets",
        "create services",
        "create lmdeployments.llm.geeper.io --namespace kube-system",
    ] {
        let words: Vec<&str> = ["auth", "can-i"].into_iter().chain(right.split(' ')).collect();
        let said = tenant.kubectl(&words, "").await?;
        ensure!(
            String::from_utf8_lossy(&said.stdout).trim() == "no",
            "a tenant may {right}"
        );
    }
    let attempts = [pods(), names(), servers()].concat();
    let mut wrong = vec![];
    for (field, words, object) in &attempts {
        match tenant.refused(object).await {
            Ok(said) if said.contains(field.as_str()) && said.contains(words) => {}
            Ok(said) => wrong.push(format!("{field}: {words}: it was said: {said}")),
            Err(error) => {
                wrong.push(format!("{field}: {error:#}"));
                tenant
                    .kubectl(&["delete", "--wait=false", "-f", "-"], &object.to_string())
                    .await?;
            }
        }
    }
    ensure!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        attempts.len(),
        wrong.join("\n")
    );
    let made = tenant.made().await?;
    ensure!(made.is_empty(), "something came of it: {made:?}");
    println!("{} attempts, each refused with its field", attempts.len());
    Ok(())
}
