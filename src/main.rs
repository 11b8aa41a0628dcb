//! The process; everything is in `cli`.

use std::process::ExitCode;

/// Gives back what a burst of work has taken: the image sets how eagerly, see its Dockerfile.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    llm_operator::cli::main()
}
