//! Mounts, links, addresses and kernel settings inside a cluster's namespaces.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::sethostname;

use crate::network;
use crate::packages;
use crate::state::{Kind, State};

/// The network and process namespaces are there already; the keeper made them.
pub(super) fn set_up(state: &State, kind: Kind) -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC)
        .context("cannot make a mount namespace")?;
    propagate(MsFlags::MS_PRIVATE)?;
    if kind == Kind::Node {
        mounts(state)?;
        sethostname(network::NODE).context("cannot set the host name")?;
    }
    links()?;
    if kind == Kind::Node {
        forwarding()?;
    }
    Ok(())
}

fn propagate(how: MsFlags) -> Result<()> {
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | how, None::<&str>)
        .context("cannot change how mounts propagate")
}

/// Covers what node programs write outside of the cluster's folder.
fn mounts(state: &State) -> Result<()> {
    // Shared again, but only among this node's own mount namespaces: volumes with mount propagation need it.
    propagate(MsFlags::MS_SHARED)?;
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), None::<&str>).context("cannot mount /proc")?;
    mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), Some("mode=755")).context("cannot mount /run")?;
    fs::create_dir_all("/run/lock")?;
    for (own, covered) in [("varlog", "/var/log"), ("varlib", "/var/lib")] {
        let own = state.path(own);
        fs::create_dir_all(&own)?;
        mount(Some(&own), covered, None::<&str>, MsFlags::MS_BIND, None::<&str>)
            .with_context(|| format!("cannot cover {covered}"))?;
    }
    Ok(())
}

/// Loopback, the node's address, and the two ranges that need a route.
fn links() -> Result<()> {
    let commands = [
        "link set lo up".to_owned(),
        // A pair and not a dummy device, which some kernels lack. Both ends stay here, so it has a carrier.
        "link add node0 type veth peer name node0p".to_owned(),
        format!("addr add {}/24 dev node0", network::NODE_IP),
        "link set node0 up".to_owned(),
        "link set node0p up".to_owned(),
        // A connection to a Service has to pass the route lookup before kube-proxy's rules see it.
        format!("route add {} dev node0", network::SERVICES),
        format!("route add local {} dev lo", network::KWOK),
    ];
    let ip = packages::program("ip").context("the program ip is gone since it was looked for")?;
    let mut child = Command::new(ip)
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run ip")?;
    let mut input = child.stdin.take().context("ip has no stdin")?;
    input.write_all(commands.join("\n").as_bytes())?;
    drop(input);
    let output = child.wait_with_output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "cannot set up the network of the cluster: {}",
        error.trim()
    );
    Ok(())
}

fn forwarding() -> Result<()> {
    fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("cannot switch on forwarding")?;
    if network::bridge_filter().exists() {
        fs::write(network::bridge_filter(), "1").context("cannot pass bridged traffic through the packet filter")?;
    }
    Ok(())
}
