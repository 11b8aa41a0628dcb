//! What a tenant can do who may only create our kinds, in one namespace: nothing beyond it. And what the operator itself
//! may do: nothing that it does not need.

mod live;

#[path = "tenants/elsewhere.rs"]
mod elsewhere;
#[path = "tenants/forged.rs"]
mod forged;
#[path = "tenants/huge.rs"]
mod huge;
#[path = "tenants/refused.rs"]
mod refused;
#[path = "tenants/rights.rs"]
mod rights;
#[path = "tenants/tenant.rs"]
mod tenant;
#[path = "tenants/texts.rs"]
mod texts;

use cluster::Kind;
use cluster::test::Suite;
use std::process::ExitCode;

fn main() -> ExitCode {
    Suite::new()
        .test(
            "what_reaches_further_is_refused",
            Kind::Node,
            refused::what_reaches_further_is_refused,
        )
        .test(
            "nothing_of_another_namespace_is_used",
            Kind::Node,
            elsewhere::nothing_of_another_namespace_is_used,
        )
        .test(
            "the_operator_follows_nobody_elsewhere",
            Kind::Node,
            elsewhere::the_operator_follows_nobody_elsewhere,
        )
        .test(
            "unknown_fields_get_nowhere",
            Kind::Node,
            elsewhere::unknown_fields_get_nowhere,
        )
        .test("forged_marks_win_nothing", Kind::Node, forged::forged_marks_win_nothing)
        .test(
            "pods_cannot_pass_for_others",
            Kind::Node,
            forged::pods_cannot_pass_for_others,
        )
        .test("texts_stay_texts", Kind::Node, texts::texts_stay_texts)
        .test(
            "huge_objects_get_an_answer",
            Kind::Node,
            huge::huge_objects_get_an_answer,
        )
        .test("deep_objects_stall_nobody", Kind::Node, huge::deep_objects_stall_nobody)
        .test("every_right_has_a_reason", Kind::Node, rights::every_right_has_a_reason)
        .test("every_right_is_used", Kind::Node, rights::every_right_is_used)
        .run()
}
