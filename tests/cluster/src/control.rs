//! What one says to the first process of a cluster's namespaces: start, stop, pause and list components.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};

use crate::components::Component;
use crate::state::State;

/// The socket's name in the cluster's folder.
pub const SOCKET: &str = "init.sock";

/// One request, a line of JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Request {
    /// Starts a component and remembers how.
    Run {
        /// What to start.
        component: Component,
    },
    /// Starts a stopped component as before, with more arguments for this time.
    Start {
        /// Its name.
        name: String,
        /// Arguments after its own.
        extra: Vec<String>,
    },
    /// Ends a component and waits until it is gone.
    Stop {
        /// Its name.
        name: String,
        /// SIGKILL in place of SIGTERM.
        kill: bool,
    },
    /// Freezes a component: it keeps its connections and answers nothing.
    Pause {
        /// Its name.
        name: String,
    },
    /// Lets a paused component go on.
    Resume {
        /// Its name.
        name: String,
    },
    /// Does nothing but answer.
    List,
}

/// The answer: every component, or why the request failed.
pub type Response = Result<Vec<Status>, String>;

/// How a component is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// Its number inside the cluster's namespaces, while it runs.
    pub pid: Option<i32>,
    /// What it does.
    pub condition: Condition,
}

/// What a component does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It runs.
    Running,
    /// It was frozen.
    Paused,
    /// It was stopped on request.
    Stopped,
    /// It ended by itself; the text says how.
    Died(String),
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Condition::Running => f.write_str("running"),
            Condition::Paused => f.write_str("paused"),
            Condition::Stopped => f.write_str("stopped"),
            Condition::Died(how) => write!(f, "died: {how}"),
        }
    }
}

/// Sends a request and waits for the answer.
///
/// # Errors
/// When the cluster is not running or the request failed.
pub fn ask(state: &State, request: &Request) -> Result<Vec<Status>> {
    let name = state.name();
    let mut socket = UnixStream::connect(state.path(SOCKET))
        .with_context(|| format!("cluster {name:?} is not running; start it with `cluster --name {name} up`"))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    socket.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(socket).read_line(&mut answer)?;
    let response: Response = serde_json::from_str(&answer)
        .with_context(|| format!("cluster {name:?} went down while it was asked to do something"))?;
    response.map_err(|text| anyhow!("cluster {name:?}: {text}"))
}
