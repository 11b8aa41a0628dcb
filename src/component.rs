//! The parts of a stack. A component holds its spec, defaults, checks and objects; none knows another.

pub mod common;
pub mod ollama;
pub mod openwebui;
pub mod pipelines;
pub mod postgres;
pub mod redis;
pub mod tabby;
