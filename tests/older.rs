//! What older operators and older manifests leave behind, on a real node: older kinds, a stack that changes its kind, and one
//! that another operator made.

mod live;

#[path = "older/kinds.rs"]
mod kinds;
#[path = "older/left.rs"]
mod left;
#[path = "support/printed.rs"]
mod manifests;
#[path = "older/printed.rs"]
mod printed;

use cluster::Kind;
use cluster::test::Suite;
use std::process::ExitCode;

fn main() -> ExitCode {
    Suite::new()
        .test(
            "a_stack_of_an_older_kind_is_a_stack",
            Kind::Node,
            kinds::a_stack_of_an_older_kind_is_a_stack,
        )
        .test(
            "two_of_one_name_do_not_fight",
            Kind::Node,
            kinds::two_of_one_name_do_not_fight,
        )
        .test(
            "a_stack_changes_its_kind_and_keeps_its_pods",
            Kind::Node,
            kinds::a_stack_changes_its_kind_and_keeps_its_pods,
        )
        .test(
            "what_was_kept_for_another_kind_is_taken_up",
            Kind::Node,
            kinds::what_was_kept_for_another_kind_is_taken_up,
        )
        .test(
            "without_the_older_kinds_all_else_goes_on",
            Kind::Node,
            kinds::without_the_older_kinds_all_else_goes_on,
        )
        .test(
            "a_stack_of_the_older_operator_is_taken_over",
            Kind::Node,
            left::a_stack_of_the_older_operator_is_taken_over,
        )
        .test(
            "printed_manifests_apply_as_printed",
            Kind::Node,
            printed::printed_manifests_apply_as_printed,
        )
        .run()
}
