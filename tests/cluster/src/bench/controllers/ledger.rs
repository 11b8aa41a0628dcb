//! What the operator asked the API server for, out of the audit log.

use std::collections::{BTreeMap, BTreeSet};

use crate::bench::bed::USER;
use crate::bench::figures::count;
use crate::bench::record::Table;
use crate::cluster::audit::Request;

/// The operator's requests of some time.
pub struct Ledger(Vec<Request>);

impl Ledger {
    /// Out of everybody's.
    pub fn of(requests: Vec<Request>) -> Self {
        Self(requests.into_iter().filter(|r| r.user == USER).collect())
    }

    fn number(&self, of: impl Fn(&Request) -> bool) -> f64 {
        count(self.0.iter().filter(|r| !is_lease(r) && of(r)).count())
    }

    /// All but those of the Lease.
    pub fn requests(&self) -> f64 {
        self.number(|_| true)
    }

    /// Those that change something, the Lease aside.
    pub fn writes(&self) -> f64 {
        self.number(Request::is_write)
    }

    /// Writes of a status.
    pub fn statuses(&self) -> f64 {
        self.number(|r| r.is_write() && r.subresource == "status")
    }

    /// Gets and lists.
    pub fn reads(&self) -> f64 {
        self.number(|r| matches!(r.verb.as_str(), "get" | "list"))
    }

    /// Watches that were begun.
    pub fn watches(&self) -> f64 {
        self.number(|r| r.verb == "watch")
    }

    /// Those of the Lease.
    pub fn leases(&self) -> f64 {
        count(self.0.iter().filter(|r| is_lease(r)).count())
    }

    /// Different objects that were written, without events and without the stacks themselves.
    pub fn children(&self) -> f64 {
        let own = |r: &&Request| r.is_write() && !is_lease(r) && r.subresource.is_empty();
        let child = |r: &&Request| own(r) && r.resource != "events" && r.resource != "lmdeployments";
        let names = self
            .0
            .iter()
            .filter(child)
            .map(|r| (&r.resource, &r.namespace, &r.name));
        count(names.collect::<BTreeSet<_>>().len())
    }

    /// Requests a stack by verb and resource, for that many stacks.
    pub fn table(&self, stacks: f64) -> Table {
        let mut table = Table::new(
            "What the operator asks for, in the last step",
            "request",
            &["*per stack", "in all"],
        );
        let mut kinds: BTreeMap<(bool, String), usize> = BTreeMap::new();
        for request in self.0.iter().filter(|r| !is_lease(r)) {
            let slash = if request.subresource.is_empty() { "" } else { "/" };
            let name = format!("{} {}{slash}{}", request.verb, request.resource, request.subresource);
            *kinds.entry((!request.is_write(), name)).or_default() += 1;
        }
        for ((_, name), number) in kinds {
            table.row(name, [count(number) / stacks, count(number)]);
        }
        table.row(
            "all children (different objects)",
            [self.children() / stacks, self.children()],
        );
        table
    }
}

fn is_lease(request: &Request) -> bool {
    request.resource == "leases"
}
