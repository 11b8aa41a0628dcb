//! What goes wrong around the operator, and what users see of it, in a cluster of its own: one test after another.

mod live;

#[path = "faults/children.rs"]
mod children;
#[path = "faults/cleanup.rs"]
mod cleanup;
#[path = "faults/operator.rs"]
mod operator;
#[path = "faults/server.rs"]
mod server;

use cluster::Kind;
use cluster::test::Suite;
use std::process::ExitCode;

/// The name of the cluster.
const CLUSTER: &str = "apart";

fn main() -> ExitCode {
    Suite::new()
        .test(
            "a_name_that_is_taken_is_not_taken_over",
            Kind::Node,
            children::a_name_that_is_taken_is_not_taken_over,
        )
        .test(
            "a_quota_is_told_of_and_healed",
            Kind::Node,
            children::a_quota_is_told_of_and_healed,
        )
        .test(
            "children_changed_by_hand_are_repaired",
            Kind::Node,
            children::children_changed_by_hand_are_repaired,
        )
        .test(
            "an_object_that_does_not_decode_stalls_nobody",
            Kind::Node,
            children::an_object_that_does_not_decode_stalls_nobody,
        )
        .test(
            "a_namespace_goes_with_its_stacks",
            Kind::Node,
            children::a_namespace_goes_with_its_stacks,
        )
        .test(
            "what_an_operator_held_is_let_go_without_it",
            Kind::Node,
            cleanup::what_an_operator_held_is_let_go_without_it,
        )
        .test(
            "nothing_is_written_at_rest",
            Kind::Node,
            operator::nothing_is_written_at_rest,
        )
        .test(
            "a_pull_survives_the_operator",
            Kind::Node,
            operator::a_pull_survives_the_operator,
        )
        .test(
            "certificates_mend_themselves",
            Kind::Node,
            operator::certificates_mend_themselves,
        )
        .test(
            "the_api_server_may_restart",
            Kind::Node,
            server::the_api_server_may_restart,
        )
        .test(
            "errors_of_the_api_server_pass",
            Kind::Node,
            server::errors_of_the_api_server_pass,
        )
        .test(
            "a_hanging_request_stalls_nobody_else",
            Kind::Node,
            server::a_hanging_request_stalls_nobody_else,
        )
        .test(
            "of_two_operators_one_writes",
            Kind::Node,
            server::of_two_operators_one_writes,
        )
        .test(
            "an_operator_ends_before_it_has_seen_everything",
            Kind::Node,
            server::an_operator_ends_before_it_has_seen_everything,
        )
        .one_by_one()
        .run()
}
