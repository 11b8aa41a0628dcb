//! llm-operator: runs private LLM stacks on Kubernetes.
//!
//! The pure half (`base`, `component`, `kind`) turns values into values; the other modules do one kind of IO each.
//! `tests/architecture.rs` holds the arrows between them.

pub mod base;
pub mod cli;
pub mod clock;
pub mod component;
pub mod controller;
pub mod health;
pub mod kind;
pub mod lease;
pub mod metrics;
pub mod ollama;
pub mod pki;
pub mod server;
pub mod webhook;
