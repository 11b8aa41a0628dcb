//! The process: see `cli`.
fn main() {}
