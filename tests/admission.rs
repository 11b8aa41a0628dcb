//! Admission as users meet it: through a real API server, the installed chart and kubectl, in its words.

mod live;

#[path = "admission/alone.rs"]
mod alone;
#[path = "admission/answers.rs"]
mod answers;
#[path = "admission/refusals.rs"]
mod refusals;

use cluster::Kind;
use cluster::test::Suite;
use std::process::ExitCode;

fn main() -> ExitCode {
    Suite::new()
        .test(
            "every_error_is_in_one_answer",
            Kind::Node,
            answers::every_error_is_in_one_answer,
        )
        .test("warnings_are_printed", Kind::Node, answers::warnings_are_printed)
        .test(
            "what_does_not_decode_gets_the_schemas_answer",
            Kind::Node,
            answers::what_does_not_decode_gets_the_schemas_answer,
        )
        .test(
            "applying_twice_changes_nothing",
            Kind::Node,
            answers::applying_twice_changes_nothing,
        )
        .test(
            "objects_that_are_going_are_let_go",
            Kind::Node,
            answers::objects_that_are_going_are_let_go,
        )
        .test(
            "each_rule_refuses_with_its_path",
            Kind::Node,
            refusals::each_rule_refuses_with_its_path,
        )
        .test(
            "what_cannot_change_is_refused",
            Kind::Node,
            refusals::what_cannot_change_is_refused,
        )
        .test(
            "an_old_violation_blocks_nobody",
            Kind::Node,
            alone::an_old_violation_blocks_nobody,
        )
        .test(
            "without_the_operator_metadata_and_bounds_work",
            Kind::Node,
            alone::without_the_operator_metadata_and_bounds_work,
        )
        .run()
}
