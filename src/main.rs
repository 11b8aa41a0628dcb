//! The process; everything is in `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    llm_operator::cli::main()
}
