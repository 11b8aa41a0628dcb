//! Models on a real node with real Ollama and a registry that can be slow, broken and hanging: whatever is killed, lost or
//! full, each model ends where its object says. Every test that moves bytes prints how many.

mod live;

#[path = "models/derived.rs"]
mod derived;
#[path = "models/ends.rs"]
mod ends;
#[path = "models/fake.rs"]
mod fake;
#[path = "models/faults.rs"]
mod faults;
#[path = "models/figures.rs"]
mod figures;
#[path = "models/place.rs"]
mod place;
#[path = "models/servers.rs"]
mod servers;
#[path = "models/sharing.rs"]
mod sharing;
#[path = "models/targets.rs"]
mod targets;
#[path = "models/truth.rs"]
mod truth;

use cluster::Kind;
use cluster::test::Suite;
use std::process::ExitCode;

macro_rules! tests {
    ($($module:ident::$test:ident),* $(,)?) => {
        Suite::new()$(.test(stringify!($test), Kind::Node, $module::$test))*
    };
}

fn main() -> ExitCode {
    let suite = tests![
        faults::a_full_volume_holds_back_only_what_does_not_fit,
        servers::a_server_that_hangs_before_its_gate_is_replaced,
        faults::a_pull_goes_on_after_the_operator_was_killed,
        faults::a_pull_goes_on_after_ollama_was_stopped,
        faults::a_pull_goes_on_after_ollama_was_killed,
        faults::a_frozen_registry_is_left_and_taken_up_again,
        faults::a_registry_that_stops_in_mid_blob_is_taken_up_again,
        faults::registries_that_fail_are_told_apart,
        truth::two_servers_end_on_one_version,
        truth::a_lost_model_comes_back_and_a_foreign_one_is_left_alone,
        truth::a_refresh_acts_once,
        truth::an_unexpected_digest_is_a_failure,
        truth::a_model_joins_under_load,
        sharing::two_objects_share_one_pull_and_the_last_one_deletes,
        sharing::servers_of_one_volume_pull_once,
        ends::a_deletion_ends_a_running_pull,
        ends::a_server_that_is_gone_holds_no_deletion_for_ever,
        targets::strange_servers_are_told_apart,
        targets::services_and_urls_are_targets,
        targets::what_may_not_be_asked_is_not_asked,
        derived::a_derived_model_is_made_and_made_again,
        servers::models_outlive_pods_without_operator_and_registry,
        figures::a_pull_is_told_in_few_writes,
        figures::two_hundred_models_on_twenty_servers,
    ];
    suite.run()
}
