//! Real Kubernetes clusters for tests and the demo.

mod cgroup;
mod enter;
mod init;
mod oci;
mod pki;
mod sysctl;
pub mod chart;
pub mod cli;
pub mod components;
pub mod connect;
pub mod control;
pub mod dirs;
pub mod down;
pub mod faults;
pub mod gguf;
pub mod images;
pub mod keeper;
pub mod load;
pub mod network;
pub mod packages;
pub mod registry;
pub mod state;
pub mod text;
pub mod tools;
pub mod up;
