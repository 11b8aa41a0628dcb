//! Installing as users do: real Helm, the chart, the image; and what is there from the first moment on.

mod live;

#[path = "install/chart.rs"]
mod chart;
#[path = "install/image.rs"]
mod image;

use cluster::Kind;
use cluster::test::Suite;
use std::process::ExitCode;

fn main() -> ExitCode {
    Suite::new()
        .test(
            "helm_3_installs_and_never_races",
            Kind::Node,
            chart::helm_3_installs_and_never_races,
        )
        .test(
            "helm_4_installs_and_never_races",
            Kind::Node,
            chart::helm_4_installs_and_never_races,
        )
        .test(
            "rendering_twice_gives_the_same_bytes",
            Kind::Node,
            chart::rendering_twice_gives_the_same_bytes,
        )
        .test(
            "what_is_rendered_and_applied_twice_changes_nothing",
            Kind::Node,
            chart::what_is_rendered_and_applied_twice_changes_nothing,
        )
        .test(
            "the_image_has_no_clock_of_the_tests",
            Kind::Node,
            image::the_image_has_no_clock_of_the_tests,
        )
        .test(
            "the_image_is_one_program_without_a_shell",
            Kind::Node,
            image::the_image_is_one_program_without_a_shell,
        )
        .one_by_one()
        .run()
}
