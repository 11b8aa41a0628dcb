//! What the tests on real clusters share: the operator as users run it, a stage for each test, and access to objects.
#![allow(dead_code, reason = "each suite uses its part")]

pub mod detour;
pub mod inside;
pub mod load;
pub mod objects;
pub mod operator;
pub mod predecessor;
pub mod process;
pub mod relay;
pub mod rights;
pub mod stage;
pub mod volume;

use std::time::Duration;

/// Long enough for a busy machine with two cores; a free one needs a tenth of it.
pub const LIMIT: Duration = Duration::from_secs(180);
