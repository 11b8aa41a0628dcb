//! Who keeps the certificate of the webhooks, on a real release under load: the operator, cert-manager, or whoever keeps a
//! Secret; and from each to the next.

mod live;

#[path = "certificates/manager.rs"]
mod manager;
#[path = "certificates/modes.rs"]
mod modes;
#[path = "certificates/rights.rs"]
mod rights;

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
        .test(
            "rights_under_cert_manager_are_those_in_use",
            Kind::Node,
            rights::rights_under_cert_manager_are_those_in_use,
        )
        .test(
            "rights_in_one_namespace_are_those_in_use",
            Kind::Node,
            rights::rights_in_one_namespace_are_those_in_use,
        )
        .one_by_one()
        .run()
}
