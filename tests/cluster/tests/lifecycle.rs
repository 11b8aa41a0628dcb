//! Starting and stopping: what a cluster leaves behind, also when its processes or the test's are killed.

#[path = "lifecycle/traces.rs"]
mod traces;
mod web;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use cluster::state::{Process, State};
use cluster::test::{Suite, until};
use cluster::{Cluster, Kind};
use nix::sys::signal::Signal;
use traces::{changed_settings, differences, processes, traces};
use web::{LIMIT, WEB, web_is_ready};

/// Set in a copy of this test that holds a cluster until it is killed: a name, or `shared`.
const HOLD: &str = "CLUSTER_TEST_HOLD";
const SHARED: &str = "shared";

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
            "the_last_of_several_tests_takes_the_cluster_along",
            Kind::Kwok,
            the_last_of_several_tests_takes_the_cluster_along,
        )
        .test(
            "two_clusters_run_side_by_side",
            Kind::Kwok,
            two_clusters_run_side_by_side,
        )
        .one_by_one()
        .run()
}

async fn a_node_leaves_nothing() -> Result<()> {
    let before = traces("test-leaves")?;
    let cluster = Cluster::separate("test-leaves", Kind::Node, 0).await?;
    let namespace = cluster.namespace("leaves").await?;
    namespace.apply(WEB).await?;
    web_is_ready(&namespace, 2).await?;
    let during = traces("test-leaves")?;
    let new = differences(&before, &during);
    let expected = |line: &&&String| line.starts_with("/proc/") || line.contains("/llm-operator-test-leaves-");
    assert!(
        new.len() > 20,
        "the test sees a cluster's processes and cgroups: {new:?}"
    );
    assert_eq!(
        new.iter().filter(|line| !expected(line)).count(),
        0,
        "not even while it runs: {new:?}"
    );
    let recorded: BTreeMap<String, String> = cluster.state().read("sysctl.json")?.context("no record")?;
    drop(namespace);
    let dir = cluster.state().dir().to_owned();
    drop(cluster);
    assert_eq!(differences(&before, &traces("test-leaves")?), Vec::<&String>::new());
    assert!(!dir.exists());
    if State::all()?.is_empty() {
        assert_eq!(changed_settings(&recorded), Vec::<String>::new());
    }
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
    let before = traces("test-killed")?;
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
    assert_eq!(differences(&before, &traces("test-killed")?), Vec::<&String>::new());
    assert!(!state.dir().exists());
    Ok(())
}

/// Plays a test process that uses a cluster until it is killed.
fn hold(name: &str) -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let cluster = runtime.block_on(async {
        if name == SHARED {
            Cluster::shared().await.cloned()
        } else {
            Cluster::separate(name, Kind::Kwok, 1).await
        }
    });
    let cluster = cluster.expect("a cluster");
    println!("{}", cluster.state().keeper().expect("a keeper").pid);
    std::thread::sleep(Duration::from_secs(600));
    ExitCode::FAILURE
}

/// A process that uses a cluster, and the number of the cluster's keeper.
fn holder(name: &str, home: Option<&Path>) -> Result<(Child, Process)> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .env(HOLD, name)
        .env_remove(cluster::VARIABLE)
        .stdout(Stdio::piped());
    if let Some(home) = home {
        command.env("XDG_STATE_HOME", home);
    }
    let mut child = command.spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("no stdout")?).read_line(&mut line)?;
    Ok((child, Process::of(line.trim().parse()?)?))
}

async fn a_killed_test_takes_its_cluster_along() -> Result<()> {
    let state = State::of("test-holds")?;
    let (mut test, keeper) = holder(state.name(), None)?;
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

async fn the_last_of_several_tests_takes_the_cluster_along() -> Result<()> {
    // Apart from the clusters that other tests on this machine may be sharing.
    let home = std::env::temp_dir().join(format!("share-{}", std::process::id()));
    let (mut one, keeper) = holder(SHARED, Some(&home))?;
    let (mut two, same) = holder(SHARED, Some(&home))?;
    assert_eq!(keeper, same, "the second process joins");
    one.kill()?;
    one.wait()?;
    assert!(keeper.alive());
    two.kill()?;
    two.wait()?;
    keeper.wait_gone(LIMIT)?;
    fs::remove_dir(&home).context("something is left of the shared cluster")
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
