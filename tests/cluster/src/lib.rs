//! Real Kubernetes clusters for tests and the demo.

pub mod chart;
