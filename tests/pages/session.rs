//! The terminal of someone who follows a page: files as it names them, commands as it prints them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use cluster::test::until;

use crate::blocks::{Block, Content, Page, root};

/// Everything of the project that commands on the pages name.
const NAMED: [&str; 5] = ["certs", "charts", "crds", "docs", "examples"];
/// It would take half an hour, or push an image: what it would do is looked at instead.
const REHEARSED: &str =
    "#!/bin/sh\nexec env PATH=\"${PATH#*:}\" make --dry-run --directory \"$PROJECT\" \"$@\" >/dev/null\n";

/// One page's terminal.
pub struct Session {
    folder: tempfile::TempDir,
    environment: Vec<(&'static str, PathBuf)>,
    background: Vec<Child>,
}

impl Drop for Session {
    fn drop(&mut self) {
        for child in &mut self.background {
            // One that has ended by itself cannot be killed.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Session {
    /// In a folder that looks like the project's, with these programs on PATH.
    pub fn new(programs: &[(&str, &Path)], mut environment: Vec<(&'static str, PathBuf)>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        for name in NAMED {
            symlink(root().join(name), folder.path().join(name))?;
        }
        let bin = folder.path().join(".bin");
        fs::create_dir(&bin)?;
        for (name, program) in programs {
            symlink(program, bin.join(name))?;
        }
        fs::write(bin.join("make"), REHEARSED)?;
        fs::set_permissions(bin.join("make"), fs::Permissions::from_mode(0o755))?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([bin].into_iter().chain(std::env::split_paths(&path)))?;
        environment.extend([("PATH", path.into()), ("PROJECT", root().into())]);
        Ok(Self {
            folder,
            environment,
            background: vec![],
        })
    }

    /// Does what the page says, from top to bottom.
    pub async fn follow(&mut self, page: &Page) -> Result<()> {
        for block in &page.blocks {
            let done = self.block(block).await;
            done.with_context(|| format!("{}:{}", page.path, block.line))?;
        }
        Ok(())
    }

    async fn block(&mut self, block: &Block) -> Result<()> {
        match block.content {
            Content::Accepted | Content::Refused => {
                let name = self.save(block)?;
                let (good, said) = self.run(&format!("kubectl apply --dry-run=server -f {name}")).await?;
                ensure!(good == (block.content == Content::Accepted), "{name}: {said}");
            }
            Content::Values => {
                let name = self.save(block)?;
                let (good, said) = self
                    .run(&format!("helm template charts/llm-operator --values {name}"))
                    .await?;
                ensure!(good, "{name}: {said}");
            }
            Content::Commands => {
                let (good, said) = self.run(&format!("set -e\n{}", block.text)).await?;
                ensure!(good, "{}{said}", block.text);
            }
            Content::Console => {
                for step in block.steps() {
                    let (good, said) = match step.command.strip_suffix('&') {
                        Some(command) => self.leave_running(command).await?,
                        None => self.run(&step.command).await?,
                    };
                    let lines: Vec<&str> = said.lines().collect();
                    let expected: Vec<&str> = step.output.iter().map(String::as_str).collect();
                    // A command may fail where the page shows how.
                    let as_shown = matches(&expected, &lines) && (good || !expected.is_empty());
                    ensure!(
                        as_shown,
                        "$ {}\n{said}\nwhere the page has\n{}",
                        step.command,
                        step.output.join("\n")
                    );
                }
            }
            Content::Drawing => {}
        }
        Ok(())
    }

    fn save(&self, block: &Block) -> Result<String> {
        let name = block.file().context("the first line of YAML is # NAME.yaml")?;
        fs::write(self.folder.path().join(name), &block.text)?;
        Ok(name.to_owned())
    }

    fn shell(&self, command: &str) -> Command {
        let mut shell = Command::new("bash");
        shell
            .args(["-o", "pipefail", "-c", &format!("exec 2>&1\n{command}")])
            .current_dir(self.folder.path())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        shell
    }

    /// Whether it succeeded, and all that it printed, in the order of a terminal.
    pub async fn run(&self, command: &str) -> Result<(bool, String)> {
        let mut shell = self.shell(command);
        let output = tokio::task::spawn_blocking(move || shell.output()).await??;
        Ok((
            output.status.success(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        ))
    }

    /// The same, and an error when it fails.
    pub async fn must(&self, command: &str) -> Result<String> {
        match self.run(command).await? {
            (true, said) => Ok(said),
            (false, said) => bail!("{command}: {said}"),
        }
    }

    /// Starts a command that stays, and returns what it says first.
    async fn leave_running(&mut self, command: &str) -> Result<(bool, String)> {
        let log = self
            .folder
            .path()
            .join(format!(".background-{}", self.background.len()));
        let child = self
            .shell(&format!("exec {command}"))
            .stdout(fs::File::create(&log)?)
            .spawn()?;
        self.background.push(child);
        let says = async || Ok(Some(fs::read_to_string(&log)?).filter(|said| !said.is_empty()));
        Ok((true, until(command, Duration::from_secs(20), says).await?))
    }
}

/// Whether the lines are those of the page. There, a line `...` stands for any lines, `…` for any part of a line, and
/// blanks count as one.
fn matches(expected: &[&str], lines: &[&str]) -> bool {
    match (expected, lines) {
        ([], rest) => rest.iter().all(|line| line.trim().is_empty()),
        (["...", after @ ..], _) => (0..=lines.len()).any(|skipped| matches(after, &lines[skipped..])),
        ([_, ..], []) => false,
        ([pattern, patterns @ ..], [line, lines @ ..]) => {
            let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
            let pattern = pattern.split_whitespace().collect::<Vec<_>>().join(" ");
            is_like(&line, &pattern) && matches(patterns, lines)
        }
    }
}

fn is_like(line: &str, pattern: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('…') else {
        return line == pattern;
    };
    let Some(tail) = line.strip_prefix(start) else {
        return false;
    };
    let ends = tail.char_indices().map(|(at, _)| at).chain([tail.len()]);
    ends.into_iter().any(|at| is_like(&tail[at..], rest))
}

/// The matcher itself, so that a page cannot pass because everything does.
pub fn check_matcher() -> Result<()> {
    let good = [
        (vec!["a …", "..."], vec!["a  b", "c"]),
        (vec!["...", "z"], vec!["x", "y", "z"]),
        (vec![], vec![""]),
        (vec!["n…m  k"], vec!["name k"]),
    ];
    let bad = [
        (vec!["a"], vec!["a", "b"]),
        (vec!["a", "b"], vec!["a"]),
        (vec!["…b"], vec!["abc"]),
        (vec![], vec!["unexpected"]),
    ];
    ensure!(
        good.iter().all(|(expected, lines)| matches(expected, lines)),
        "the matcher refuses what it should not"
    );
    ensure!(
        !bad.iter().any(|(expected, lines)| matches(expected, lines)),
        "the matcher takes what it should not"
    );
    Ok(())
}
