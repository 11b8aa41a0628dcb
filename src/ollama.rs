//! Ollama's HTTP API, and the pulls that run on the servers of the cluster.

pub mod client;
pub mod fleet;
pub mod metrics;
pub mod words;
