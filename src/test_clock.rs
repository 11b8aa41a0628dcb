//! The operator with a clock that can be wrong and certificates that live for minutes, for the tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    llm_operator::cli::main()
}
