//! Who keeps the certificate of the webhooks, on a real release under load: the operator, cert-manager, or whoever keeps a
//! Secret; and from each to the next.

mod live;

#[path = "certificates/manager.rs"]
mod manager;
#[path = "certificates/modes.rs"]
mod modes;

use cluster::Kind;
use cluster::test::Suite;
use std::process::ExitCode;

/// The name of the cluster.
const CLUSTER: &str = "apart";

fn main() -> ExitCode {
    Suite::new()
        .test(
            "the_keeper_of_the_certificate_can_be_changed",
            Kind::Node,
            modes::the_keeper_of_the_certificate_can_be_changed,
        )
        .one_by_one()
        .run()
}
