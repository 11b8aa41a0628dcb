//! The command line of the test clusters.
fn main() {}
