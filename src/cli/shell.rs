//! The command line as shells and `man` know it, from the description that the command line itself is made of.

use super::output;
use anyhow::Context;
use clap::Command;
use clap_complete::Shell;
use std::process::ExitCode;

/// Arguments of `completion`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell.
    shell: Shell,
}

/// Prints what the shell is to load.
pub(super) fn completion(args: &Args, mut command: Command) -> anyhow::Result<ExitCode> {
    let mut script = vec![];
    let name = command.get_name().to_owned();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    output::print(&String::from_utf8(script)?)?;
    Ok(ExitCode::SUCCESS)
}

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
pub(super) struct Page {
    /// The command whose page it is. Default: the page of the program.
    command: Option<String>,
}

/// Prints a page of the manual.
pub(super) fn manual(args: &Page, mut command: Command) -> anyhow::Result<ExitCode> {
    command.build();
    let shown = match &args.command {
        None => command,
        Some(name) => {
            let found = command.find_subcommand(name).cloned();
            found.with_context(|| format!("there is no command {name:?}; `llm-operator help` lists them"))?
        }
    };
    let mut page = vec![];
    let source = concat!("llm-operator ", env!("CARGO_PKG_VERSION"));
    clap_mangen::Man::new(shown).source(source).render(&mut page)?;
    output::print(&String::from_utf8(page)?)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::super::command;
    use clap::ValueEnum;

    #[test]
    fn the_description_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn every_shell_completes_every_command() {
        for shell in clap_complete::Shell::value_variants() {
            let mut script = vec![];
            clap_complete::generate(*shell, &mut command(), "llm-operator", &mut script);
            let script = String::from_utf8(script).unwrap();
            for name in command().get_subcommands().map(|c| c.get_name().to_owned()) {
                assert!(script.contains(&name), "{shell} does not know {name}");
            }
        }
    }
}
