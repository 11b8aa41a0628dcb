//! What several of these tests use.

use std::time::Duration;

use anyhow::Result;
use cluster::test::Namespace;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;

/// Long enough for a busy machine; nothing here takes longer than a few seconds on a free one.
pub const LIMIT: Duration = Duration::from_secs(60);

/// A Deployment of busybox web servers that each answer with their own name, and a Service before them.
pub const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      securityContext: {runAsNonRoot: true, runAsUser: 10001, fsGroup: 10001, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: web
        image: localhost/busybox:1
        command: [sh, -c, 'hostname > /www/index.html; exec httpd -f -p 8080 -h /www']
        securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
        readinessProbe: {httpGet: {port: 8080}, periodSeconds: 1}
        volumeMounts: [{name: www, mountPath: /www}]
      volumes: [{name: www, emptyDir: {}}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
";

/// Waits until all replicas of the Deployment `web` are ready.
pub async fn web_is_ready(namespace: &Namespace, replicas: i32) -> Result<()> {
    let deployments: Api<Deployment> = Api::namespaced(namespace.cluster().client().await?, namespace.name());
    namespace
        .until("the web servers", LIMIT, async || {
            let status = deployments.get_status("web").await?.status.unwrap_or_default();
            Ok((status.ready_replicas == Some(replicas)).then_some(()))
        })
        .await
}
