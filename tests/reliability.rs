//! Faults, one after the other, in a release that people use meanwhile; and the table of what came of them.

mod live;

#[path = "reliability/objects.rs"]
mod objects;
#[path = "reliability/pods.rs"]
mod pods;
#[path = "reliability/scene.rs"]
mod scene;
#[path = "reliability/server.rs"]
mod server;
#[path = "reliability/table.rs"]
mod table;
#[path = "reliability/trust.rs"]
mod trust;
#[path = "reliability/versions.rs"]
mod versions;

use anyhow::Result;
use cluster::test::Suite;
use cluster::{Helm, Kind};
use std::process::ExitCode;

/// The name of the cluster.
const CLUSTER: &str = "apart";

/// The rows of the table, in its order.
const FAULTS: [&str; 28] = [
    "leader killed",
    "leader out of memory",
    "leader frozen",
    "partition",
    "pods deleted",
    "every pod gone",
    "rollout",
    "node drained",
    "API server restarted",
    "etcd restarted",
    "watches expired",
    "storm of 409",
    "storm of 429",
    "API server slow",
    "API server stands still",
    "rights taken away",
    "caBundle wiped",
    "webhook configurations deleted",
    "CA Secret wiped",
    "leaf rotation and CA rollover",
    "older CA Secret",
    "clock 400 days ahead",
    "clock 2 hours behind",
    "children touched",
    "namespace deleted",
    "kind deleted",
    "kind missing at start",
    "full disk",
];

fn main() -> ExitCode {
    let node = Kind::Node;
    // First, on definitions that nobody but Helm has written.
    let mut suite = Suite::new().test("helm_4_changes_versions", node, versions::helm_4_changes_versions);
    if table::is_soak() {
        suite = suite.test("helm_3_changes_versions", node, versions::helm_3_changes_versions);
    }
    suite
        .test("the_leader_is_killed", node, pods::the_leader_is_killed)
        .test(
            "the_leader_has_no_memory_left",
            node,
            pods::the_leader_has_no_memory_left,
        )
        .test("the_leader_freezes", node, pods::the_leader_freezes)
        .test("the_leader_is_cut_off", node, pods::the_leader_is_cut_off)
        .test("pods_are_deleted_one_by_one", node, pods::pods_are_deleted_one_by_one)
        .test("all_pods_go_at_once", node, pods::all_pods_go_at_once)
        .test("the_release_rolls", node, pods::the_release_rolls)
        .test("a_node_is_drained", node, pods::a_node_is_drained)
        .test("the_api_server_restarts", node, server::the_api_server_restarts)
        .test("etcd_restarts", node, server::etcd_restarts)
        .test("watches_expire", node, server::watches_expire)
        .test("a_storm_of_409", node, server::a_storm_of_409)
        .test("a_storm_of_429", node, server::a_storm_of_429)
        .test("the_api_server_is_slow", node, server::the_api_server_is_slow)
        .test("the_api_server_stands_still", node, server::the_api_server_stands_still)
        .test("rights_are_taken_away", node, server::rights_are_taken_away)
        .test("the_bundle_is_wiped", node, trust::the_bundle_is_wiped)
        .test(
            "the_configurations_are_deleted",
            node,
            trust::the_configurations_are_deleted,
        )
        .test("the_secret_is_lost", node, trust::the_secret_is_lost)
        .test("certificates_roll_over", node, trust::certificates_roll_over)
        .test("clocks_are_wrong", node, trust::clocks_are_wrong)
        .test("children_are_touched", node, objects::children_are_touched)
        .test("a_namespace_goes", node, objects::a_namespace_goes)
        .test("a_kind_goes_and_comes", node, objects::a_kind_goes_and_comes)
        .test("a_disk_is_full", node, objects::a_disk_is_full)
        .test("the_table_is_put_together", node, the_table_is_put_together)
        .one_by_one()
        .run()
}

async fn the_table_is_put_together() -> Result<()> {
    let helms = if table::is_soak() {
        &[Helm::V4, Helm::V3][..]
    } else {
        &[Helm::V4]
    };
    let versions: Vec<String> = helms.iter().flat_map(|helm| versions::rows(*helm)).collect();
    let rows = FAULTS.iter().copied().chain(versions.iter().map(String::as_str));
    table::put_together(rows)
}
