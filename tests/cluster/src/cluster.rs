//! A cluster in the hands of a test or a demonstration.

pub mod audit;
mod commands;
mod faults;
mod network;
mod program;

use std::env;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kube::Client;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

pub use commands::Helm;
pub use network::Reply;
pub use program::PROGRAM;

use crate::keeper::USERS;
use crate::state::{Kind, State};
use crate::up::{self, Options};
use crate::{connect, down, load};

/// Names the running cluster that tests use in place of starting one; `make test` sets it.
pub const VARIABLE: &str = "LLM_OPERATOR_TEST_CLUSTER";
/// The cluster that test processes start and share when the variable is not set.
const SHARED_NAME: &str = "test";
/// Seconds that the shared cluster stays up without users, so that one test binary after another finds it.
const SHARED_LINGER: u64 = 15;

/// A running cluster. Clones are the same cluster; a separate one goes down with its last clone.
#[derive(Clone, Debug)]
pub struct Cluster {
    state: State,
    kind: Kind,
    /// Only its end matters.
    _hold: Arc<Hold>,
}

/// What keeps the cluster up.
#[derive(Debug)]
enum Hold {
    /// Somebody else.
    Attached,
    /// A shared lock on the file of users, as long as this process lives.
    Shared { _users: File },
    /// This, until it is dropped.
    Separate { state: State, _users: File },
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Hold::Separate { state, .. } = self
            && let Err(error) = down::down(state)
        {
            eprintln!("cluster {:?} did not go down: {error:#}", state.name());
        }
    }
}

impl Cluster {
    /// The cluster that all tests share: the one that `LLM_OPERATOR_TEST_CLUSTER` names, or one that is started
    /// now and goes down soon after the last process that uses it has ended, however it ended.
    ///
    /// # Errors
    /// When the named cluster is not up, or none can be started.
    pub async fn shared() -> Result<&'static Cluster> {
        static SHARED: OnceCell<Cluster> = OnceCell::const_new();
        SHARED
            .get_or_try_init(async || match env::var(VARIABLE) {
                Ok(name) => Self::attach(&name).with_context(|| format!("the variable {VARIABLE} names it")),
                Err(_) => Self::join(SHARED_NAME).await,
            })
            .await
    }

    /// A running cluster by its name. Whoever started it stops it.
    ///
    /// # Errors
    /// When it is not up.
    pub fn attach(name: &str) -> Result<Self> {
        let state = State::of(name)?;
        ensure!(
            up::is_up(&state),
            "cluster {name:?} is not up; start it with `cluster --name {name} up`"
        );
        Self::with(state, Hold::Attached)
    }

    async fn join(name: &str) -> Result<Self> {
        let state = State::of(name)?;
        let lock = lock(&state).await?;
        if !up::is_up(&state) {
            up::up(&state, &lock, &options(None, 0, SHARED_LINGER).await?).await?;
        }
        let users = users(&state)?;
        Self::with(state, Hold::Shared { _users: users })
    }

    /// A cluster of this test's own, for what disturbs others: it goes down when the value is dropped. A second
    /// process that asks for the same name waits.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn separate(name: &str, kind: Kind, kwok_nodes: u32) -> Result<Self> {
        let state = State::of(name)?;
        let lock = loop {
            let lock = lock(&state).await?;
            if !up::is_up(&state) || !in_use(&state)? {
                break lock;
            }
            drop(lock);
            eprintln!("cluster {name:?} is in use by another process; waiting for it");
            tokio::time::sleep(Duration::from_secs(2)).await;
        };
        up::up(&state, &lock, &options(Some(kind), kwok_nodes, 0).await?).await?;
        let users = users(&state)?;
        Self::with(state.clone(), Hold::Separate { state, _users: users })
    }

    fn with(state: State, hold: Hold) -> Result<Self> {
        Ok(Self {
            kind: state.spec()?.kind,
            state,
            _hold: Arc::new(hold),
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.state.name()
    }

    /// Whether it has a real node.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where it keeps its files.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The path of the administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.state.kubeconfig()
    }

    /// A client with the administrator's rights; make one per test, since its connections end with the test's
    /// runtime.
    ///
    /// # Errors
    /// When the kubeconfig cannot be read.
    pub async fn client(&self) -> Result<Client> {
        connect::client(&self.state).await
    }

    /// Loads a Docker or OCI archive, or an image of that name from buildah's storage, into the node.
    ///
    /// # Errors
    /// When there is no such image or no real node.
    pub async fn load(&self, image: &str) -> Result<Vec<String>> {
        load::load(&self.state, image).await
    }

    /// Adds nodes that KWOK plays, `kwok-0` and so on. Beside a real node they have the taint
    /// [`crate::components::NODE_TAINT`]; all have the label [`crate::components::NODE_LABEL`].
    ///
    /// # Errors
    /// When KWOK cannot be started.
    pub async fn add_kwok_nodes(&self, count: u32) -> Result<()> {
        up::add_kwok_nodes(&self.state, self.kind, count).await
    }
}

async fn lock(state: &State) -> Result<crate::state::Lock> {
    let state = state.clone();
    spawn_blocking(move || state.lock()).await?
}

fn in_use(state: &State) -> Result<bool> {
    Ok(File::open(state.path(USERS))?.try_lock().is_err())
}

/// Taken while the lock on the folder is held, so that the keeper cannot be taking the cluster down.
fn users(state: &State) -> Result<File> {
    let users = File::open(state.path(USERS)).context("there is no file of users")?;
    users.lock_shared()?;
    Ok(users)
}

async fn options(kind: Option<Kind>, kwok_nodes: u32, linger: u64) -> Result<Options> {
    Ok(Options {
        kind,
        kwok_nodes,
        linger: Some(linger),
        program: spawn_blocking(program::path).await??,
    })
}
