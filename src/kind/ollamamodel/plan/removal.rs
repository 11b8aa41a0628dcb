//! What to do so that a model is on no server any more, and when its object may go.

use super::{Inventory, Pull, Server};

/// Something to end on the server with this id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parting {
    /// End the work on the model; what has arrived stays on the disk.
    Cancel(String),
    /// Delete the model.
    Delete(String),
}

/// What is left to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removal {
    /// In the order of the servers.
    pub partings: Vec<Parting>,
    /// Pods of servers that have not answered.
    pub silent: Vec<String>,
}

impl Removal {
    /// True when nothing is left of the model.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.partings.is_empty() && self.silent.is_empty()
    }
}

/// What is left to do on servers that nobody else needs the model on. With `keep`, only the work on it is ended.
#[must_use]
pub fn removal(servers: &[Server], keep: bool) -> Removal {
    let mut removal = Removal::default();
    for server in servers {
        let id = || server.id.clone();
        match (&server.pull, &server.inventory) {
            (Some(Pull::Running(..) | Pull::Waiting(_)), _) => removal.partings.push(Parting::Cancel(id())),
            _ if keep => {}
            (_, Inventory::Known(None, _)) => {}
            (_, Inventory::Known(Some(_), _)) => removal.partings.push(Parting::Delete(id())),
            (_, Inventory::Unknown | Inventory::Silent(_)) => removal.silent.push(server.pod.clone()),
        }
    }
    removal
}
