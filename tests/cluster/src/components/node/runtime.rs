//! The configuration files of containerd and the pods' network.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::json;

use crate::images::PAUSE;
use crate::network;
use crate::packages;
use crate::state::State;

/// containerd's configuration, in the form of its own generation: Debian 12 has 1.6, others have 2.
pub(super) fn containerd(state: &State, program: &Path) -> Result<String> {
    let output = Command::new(program)
        .arg("--version")
        .output()
        .context("cannot run containerd --version")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text
        .split_whitespace()
        .find(|w| w.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit()));
    let version = version.map_or("1", |v| v.trim_start_matches('v'));
    Ok(if version.starts_with("1.") {
        containerd_1(state)?
    } else {
        containerd_2(state)?
    })
}

fn common(state: &State, version: u8) -> String {
    let dir = state.dir().display();
    // CAP_SYS_RESOURCE may be missing, so nobody's OOM score is lowered.
    format!(
        "version = {version}\nroot = \"{dir}/containerd/root\"\nstate = \"/run/containerd\"\noom_score = 0\n\
         [grpc]\n  address = \"{dir}/containerd.sock\"\n[ttrpc]\n  address = \"{dir}/containerd.ttrpc\"\n"
    )
}

fn programs() -> Result<(String, String)> {
    let runc = packages::program("runc").context("runc is gone since it was looked for")?;
    let cni = packages::cni_folder().context("the CNI plugins are gone since they were looked for")?;
    Ok((runc.display().to_string(), cni.display().to_string()))
}

fn containerd_1(state: &State) -> Result<String> {
    let (runc, cni) = programs()?;
    let (dir, snapshotter) = (state.dir().display(), snapshotter(state)?);
    Ok(common(state, 2)
        + &format!(
            r#"[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  tolerate_missing_hugetlb_controller = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni}"
    conf_dir = "{dir}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      BinaryName = "{runc}"
      SystemdCgroup = false
"#
        ))
}

fn containerd_2(state: &State) -> Result<String> {
    let (runc, cni) = programs()?;
    let (dir, snapshotter) = (state.dir().display(), snapshotter(state)?);
    Ok(common(state, 3)
        + &format!(
            r#"[plugins.'io.containerd.cri.v1.images']
  snapshotter = "{snapshotter}"
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = "{PAUSE}"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  disable_apparmor = true
  tolerate_missing_hugetlb_controller = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ["{cni}"]
    conf_dir = "{dir}/cni"
    max_conf_num = 1
  [plugins.'io.containerd.cri.v1.runtime'.containerd]
    default_runtime_name = "runc"
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
        BinaryName = "{runc}"
        SystemdCgroup = false
"#
        ))
}

/// An overlay cannot lie on another overlay, such as the root of a container that this runs in.
fn snapshotter(state: &State) -> Result<&'static str> {
    let kind = nix::sys::statfs::statfs(state.dir())?.filesystem_type();
    Ok(if kind == nix::sys::statfs::OVERLAYFS_SUPER_MAGIC {
        "native"
    } else {
        "overlayfs"
    })
}

pub(super) fn cni() -> String {
    let bridge = json!({
        "type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true, "ipMasq": false,
        "ipam": {"type": "host-local", "dataDir": "/run/cni-ipam", "ranges": [[{"subnet": network::PODS}]],
            "routes": [{"dst": "0.0.0.0/0"}]},
    });
    let portmap = json!({"type": "portmap", "capabilities": {"portMappings": true}, "backend": "nftables"});
    json!({"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge, portmap]}).to_string()
}
