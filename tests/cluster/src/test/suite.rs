//! Test suites that know what the machine can run. A test that cannot run here counts as ignored and says why;
//! on CI, where the variable `CI` is set, it runs and fails.

use std::env;
use std::process::ExitCode;

use anyhow::Result;
use libtest_mimic::{Arguments, Completion, Trial};
use nix::unistd::geteuid;

use crate::packages::{self, Need};
use crate::state::Kind;

/// A list of tests; the `main` of a test with `harness = false`.
#[derive(Default)]
pub struct Suite {
    trials: Vec<Trial>,
    one_by_one: bool,
}

impl Suite {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a test that needs a cluster of this kind. It fails by an error or a panic.
    #[must_use]
    pub fn test<F>(mut self, name: &str, kind: Kind, test: fn() -> F) -> Self
    where
        F: Future<Output = Result<()>> + 'static,
    {
        self.trials
            .push(Trial::ignorable_test(name, move || match obstacle(kind) {
                Some(reason) => Ok(Completion::ignored_with(reason)),
                None => run(test).map_err(|error| format!("{error:#}").into()),
            }));
        self
    }

    /// Has the tests run one after another, where they look at the whole machine or start a cluster each.
    #[must_use]
    pub fn one_by_one(self) -> Self {
        Self {
            one_by_one: true,
            ..self
        }
    }

    /// Runs what the command line asks for.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let mut arguments = Arguments::from_args();
        if self.one_by_one {
            arguments.test_threads = Some(1);
        }
        libtest_mimic::run(&arguments, self.trials).exit_code()
    }
}

fn run<F: Future<Output = Result<()>>>(test: fn() -> F) -> Result<Completion> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(test())?;
    Ok(Completion::Completed)
}

/// Why a cluster of this kind cannot run here; never a reason on CI.
#[must_use]
pub fn obstacle(kind: Kind) -> Option<String> {
    if env::var_os("CI").is_some() {
        return None;
    }
    if !cfg!(target_os = "linux") {
        return Some("clusters need Linux".into());
    }
    if kind == Kind::Kwok {
        return lacking(Need::ControlPlane);
    }
    if !geteuid().is_root() {
        return Some("the real node needs root".into());
    }
    lacking(Need::Node).filter(|_| packages::program("apt-get").is_none())
}

fn lacking(need: Need) -> Option<String> {
    let missing = packages::missing(need);
    (!missing.is_empty()).then(|| format!("this machine lacks the packages {}", missing.join(", ")))
}
