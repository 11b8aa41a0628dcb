//! How stacks meet the load and the world on a real node: autoscalers, Gateways, and who reaches whom.

mod live;

#[path = "exposure/autoscaling.rs"]
mod autoscaling;
#[path = "exposure/gateway.rs"]
mod gateway;

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
        );
    suite.run()
}
