//! llm-operator: runs private LLM stacks on Kubernetes.
//!
//! The pure half (`base`, `component`, `kind`) turns values into values; the other modules do one kind of IO each.
//! `tests/architecture.rs` holds the arrows between them.

pub mod base;
pub mod component;
pub mod health;
pub mod kind;
pub mod lease;
pub mod metrics;
pub mod pki;
pub mod server;
pub mod webhook;
