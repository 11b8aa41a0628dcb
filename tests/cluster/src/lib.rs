//! Real Kubernetes clusters for tests and the demo.

pub mod chart;
pub mod faults;
pub mod gguf;
pub mod images;
pub mod registry;
