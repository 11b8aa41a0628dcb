//! Real Kubernetes clusters for tests and the demo.

pub mod bench;
mod cgroup;
pub mod chart;
pub mod cli;
mod cluster;
pub mod components;
pub mod connect;
pub mod control;
pub mod demo;
pub mod dirs;
pub mod down;
mod enter;
pub mod faults;
pub mod generate;
pub mod gguf;
pub mod images;
mod init;
pub mod keeper;
pub mod load;
pub mod network;
pub mod operator;
pub mod packages;
mod pki;
pub mod policies;
pub mod predecessor;
pub mod registry;
pub mod state;
mod sysctl;
pub mod test;
pub mod text;
pub mod tools;
pub mod up;
mod with;

pub use cluster::{Cluster, Helm, Reply, VARIABLE, audit};
pub use state::Kind;
