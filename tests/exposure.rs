//! How stacks meet the load and the world on a real node: autoscalers, Gateways, and who reaches whom.

mod live;

#[path = "exposure/autoscaling.rs"]
mod autoscaling;
#[path = "exposure/gateway.rs"]
mod gateway;
#[path = "exposure/traefik.rs"]
mod traefik;

use cluster::Kind;
use cluster::test::Suite;
use std::process::ExitCode;

fn main() -> ExitCode {
    let suite = Suite::new()
        .test(
            "load_takes_over_without_a_pod_less",
            Kind::Node,
            autoscaling::load_takes_over_without_a_pod_less,
        )
        .test(
            "routes_follow_the_gateway_api",
            Kind::Node,
            gateway::routes_follow_the_gateway_api,
        )
        .test(
            "a_real_controller_lets_people_in",
            Kind::Node,
            traefik::a_real_controller_lets_people_in,
        );
    suite.run()
}
