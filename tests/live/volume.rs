//! Volumes of a known size.

use super::stage::Stage;
use anyhow::{Result, ensure};
use serde_json::json;

/// A claim on a folder of the node, of that many MiB in memory where it is to fill up.
///
/// # Errors
/// When the node or the API server does not want it.
pub async fn claim(stage: &Stage, name: &str, mib: Option<u32>) -> Result<()> {
    let path = format!("/run/models-{}-{name}", stage.namespace.name());
    let mount = mib.map(|mib| format!("mount -t tmpfs -o size={mib}m,mode=0777 tmpfs {path}"));
    let script = format!(
        "mkdir -p {path} && chmod 0777 {path} && {}",
        mount.unwrap_or_else(|| "true".into())
    );
    let output = stage.cluster().enter(&["sh", "-c", &script]).await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let volume = format!("{}-{name}", stage.namespace.name());
    let (modes, size) = (json!(["ReadWriteMany"]), json!({"storage": "1Gi"}));
    let objects = [
        json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": volume},
            "spec": {
                "capacity": size, "accessModes": modes, "persistentVolumeReclaimPolicy": "Retain", "storageClassName": "",
                "hostPath": {"path": path, "type": "Directory"},
                "claimRef": {"namespace": stage.namespace.name(), "name": name},
            },
        }),
        json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
            "spec": {"accessModes": modes, "resources": {"requests": size}, "storageClassName": "", "volumeName": volume},
        }),
    ];
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    stage.namespace.apply(&list.to_string()).await.map(drop)
}
