//! Starting and stopping: what a cluster leaves behind, also when its processes or the test's are killed.

mod web;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use cluster::state::{Process, State};
use cluster::test::{Suite, until};
use cluster::{Cluster, Kind};
use nix::sys::signal::Signal;
use web::{LIMIT, WEB, web_is_ready};

/// Set in a copy of this test that holds a cluster until it is killed.
const HOLD: &str = "CLUSTER_TEST_HOLD";

fn main() -> ExitCode {
    if let Ok(name) = std::env::var(HOLD) {
        return hold(&name);
    }
    Suite::new()
        .test("a_node_leaves_nothing", Kind::Node, a_node_leaves_nothing)
        .test(
            "the_command_line_says_what_it_does",
            Kind::Kwok,
            the_command_line_says_what_it_does,
        )
        .test(
            "a_killed_keeper_is_cleaned_up_after",
            Kind::Node,
            a_killed_keeper_is_cleaned_up_after,
        )
        .test(
            "a_killed_test_takes_its_cluster_along",
            Kind::Kwok,
            a_killed_test_takes_its_cluster_along,
        )
        .test(
            "two_clusters_run_side_by_side",
            Kind::Kwok,
            two_clusters_run_side_by_side,
        )
        .one_by_one()
        .run()
}

/// All that a cluster could leave on the machine.
#[derive(Debug, PartialEq, Eq)]
struct Traces {
    processes: BTreeSet<String>,
    mounts: BTreeSet<String>,
    links: BTreeSet<String>,
    rules: String,
    cgroups: BTreeSet<String>,
    settings: Vec<String>,
    files: BTreeSet<String>,
}

impl Traces {
    /// Of the cluster called `name`; links, rules and settings of the whole machine.
    fn of(name: &str) -> Result<Self> {
        let state = State::of(name)?;
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let settings = [
            "vm/overcommit_memory",
            "vm/panic_on_oom",
            "kernel/panic",
            "kernel/panic_on_oops",
        ];
        let rules = Command::new("nft").args(["list", "ruleset"]).output();
        Ok(Self {
            processes: processes(&state),
            mounts: mounts.lines().map(str::to_owned).collect(),
            links: names("/sys/class/net"),
            rules: rules
                .map(|o| String::from_utf8_lossy(&o.stdout).into_owned())
                .unwrap_or_default(),
            cgroups: cgroups(Path::new("/sys/fs/cgroup"), name),
            settings: settings
                .iter()
                .map(|s| fs::read_to_string(format!("/proc/sys/{s}")))
                .collect::<Result<_, _>>()?,
            files: ["/run", "/var/lib", "/var/log", "/opt", "/etc"]
                .iter()
                .flat_map(|dir| names(dir))
                .collect(),
        })
    }
}

fn names(dir: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).map(|entries| entries.filter_map(Result::ok).collect::<Vec<_>>());
    entries
        .unwrap_or_default()
        .iter()
        .map(|e| e.path().display().to_string())
        .collect()
}

fn cgroups(dir: &Path, name: &str) -> BTreeSet<String> {
    let wanted = format!("llm-operator-{name}-");
    let hierarchies = names(&dir.display().to_string());
    let all = hierarchies
        .iter()
        .flat_map(|hierarchy| names(hierarchy))
        .chain(hierarchies.iter().cloned());
    all.filter(|path| path.contains(&wanted)).collect()
}

/// Those that name the cluster's folder or run in its cgroup. Zombies have neither.
fn processes(state: &State) -> BTreeSet<String> {
    let dir = state.dir().display().to_string();
    let keeper = format!("--name\0{}\0__", state.name());
    let cgroup = format!("llm-operator-{}-", state.name());
    let read = |pid: &str, file: &str| fs::read_to_string(format!("{pid}/{file}")).unwrap_or_default();
    let belongs = |pid: &String| {
        let line = read(pid, "cmdline");
        line.contains(&dir) || line.contains(&keeper) || (!line.is_empty() && read(pid, "cgroup").contains(&cgroup))
    };
    names("/proc").into_iter().filter(belongs).collect()
}

async fn a_node_leaves_nothing() -> Result<()> {
    let before = Traces::of("test-leaves")?;
    let cluster = Cluster::separate("test-leaves", Kind::Node, 0).await?;
    let namespace = cluster.namespace("leaves").await?;
    namespace.apply(WEB).await?;
    web_is_ready(&namespace, 2).await?;
    let during = Traces::of("test-leaves")?;
    assert!(
        during.processes.len() > 10 && !during.cgroups.is_empty(),
        "the test sees a cluster's traces: {during:?}"
    );
    assert_eq!(
        (&during.links, &during.rules),
        (&before.links, &before.rules),
        "not even while it runs"
    );
    drop(namespace);
    let dir = cluster.state().dir().to_owned();
    drop(cluster);
    assert_eq!(Traces::of("test-leaves")?, before);
    assert!(!dir.exists());
    Ok(())
}

fn cli(arguments: &[&str]) -> Result<Output> {
    Command::new(env!("CARGO_BIN_EXE_cluster"))
        .args(arguments)
        .output()
        .context("cannot run cluster")
}

fn prints(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

async fn the_command_line_says_what_it_does() -> Result<()> {
    let name = ["--name", "test-cli"];
    let run = |arguments: &[&str]| cli(&[&name, arguments].concat());
    let nothing = run(&["kubeconfig"])?;
    assert!(
        prints(&nothing).contains("there is no cluster \"test-cli\"; start it with"),
        "{}",
        prints(&nothing)
    );
    assert!(!run(&["status"])?.status.success());
    let up = run(&["up", "--kwok"])?;
    assert!(
        up.status.success() && prints(&up).contains("export KUBECONFIG="),
        "{}",
        prints(&up)
    );
    assert!(prints(&run(&["up"])?).contains("already up"));
    let status = prints(&run(&["status"])?);
    assert!(
        status.contains("is up: control plane with KWOK nodes") && status.contains("etcd"),
        "{status}"
    );
    let kubeconfig = prints(&run(&["kubeconfig"])?);
    assert!(Path::new(kubeconfig.trim()).is_file(), "{kubeconfig}");
    assert!(prints(&run(&["logs", "kube-scheduler"])?).contains("Serving securely"));
    assert!(prints(&run(&["logs", "kubelet"])?).contains("the components are"));
    let inside = run(&["enter", "sh", "-c", "ip -br addr show node0; exit 3"])?;
    assert!(
        prints(&inside).contains("10.200.0.1/24") && inside.status.code() == Some(3),
        "{}",
        prints(&inside)
    );
    assert!(prints(&run(&["load", "x.tar"])?).contains("has no real node"));
    assert_eq!(prints(&run(&["down"])?), "down\n");
    assert_eq!(prints(&run(&["down"])?), "there was nothing to take down\n");
    assert!(prints(&cli(&["--name", "Not A Name", "up"])?).contains("is not a name for a cluster"));
    Ok(())
}

async fn a_killed_keeper_is_cleaned_up_after() -> Result<()> {
    let state = State::of("test-killed")?;
    let before = Traces::of("test-killed")?;
    assert!(cli(&["--name", "test-killed", "up"])?.status.success());
    let keeper = state.keeper().context("no keeper")?;
    keeper.signal(Signal::SIGKILL)?;
    until("the end of every process", LIMIT, async || {
        Ok(processes(&state).is_empty().then_some(()))
    })
    .await?;
    let left = cli(&["--name", "test-killed", "status"])?;
    assert!(
        prints(&left).contains("an earlier one left something"),
        "{}",
        prints(&left)
    );
    // Both a start and a stop clean up.
    assert!(cli(&["--name", "test-killed", "up"])?.status.success());
    state.init().context("no first process")?.signal(Signal::SIGKILL)?;
    until("the end of the keeper", LIMIT, async || {
        Ok(state.keeper().is_none().then_some(()))
    })
    .await?;
    assert_eq!(prints(&cli(&["--name", "test-killed", "down"])?), "down\n");
    assert_eq!(Traces::of("test-killed")?, before);
    assert!(!state.dir().exists());
    Ok(())
}

/// Plays a test process that uses a cluster until it is killed.
fn hold(name: &str) -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let _cluster = runtime
        .block_on(Cluster::separate(name, Kind::Kwok, 1))
        .expect("a cluster");
    println!("holding");
    std::thread::sleep(Duration::from_secs(600));
    ExitCode::FAILURE
}

async fn a_killed_test_takes_its_cluster_along() -> Result<()> {
    let state = State::of("test-holds")?;
    let mut test = Command::new(std::env::current_exe()?)
        .env(HOLD, state.name())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    std::io::BufRead::read_line(
        &mut std::io::BufReader::new(test.stdout.take().context("stdout")?),
        &mut line,
    )?;
    assert_eq!(line, "holding\n");
    let keeper: Process = state.keeper().context("no keeper")?;
    test.kill()?;
    test.wait()?;
    until("the end of the cluster", LIMIT, async || {
        Ok((!state.dir().exists()).then_some(()))
    })
    .await?;
    keeper.wait_gone(LIMIT)?;
    assert_eq!(processes(&state), BTreeSet::new());
    Ok(())
}

async fn two_clusters_run_side_by_side() -> Result<()> {
    let (one, two) = tokio::try_join!(
        Cluster::separate("test-one", Kind::Kwok, 1),
        Cluster::separate("test-two", Kind::Kwok, 3)
    )?;
    for (cluster, nodes) in [(&one, 1), (&two, 3)] {
        assert_eq!(
            cluster.kubectl(&["get", "nodes", "-o", "name"]).await?.lines().count(),
            nodes
        );
    }
    drop(one);
    assert_eq!(two.kubectl(&["get", "nodes", "-o", "name"]).await?.lines().count(), 3);
    Ok(())
}
