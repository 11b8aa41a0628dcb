//! The fenced blocks of the documents.
#![allow(dead_code, reason = "each suite uses its part")]

use std::fs;
use std::path::{Path, PathBuf};

/// The folder of the project.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A document.
pub struct Page {
    /// Its path in the project, such as `docs/install.md`.
    pub path: String,
    pub text: String,
    pub blocks: Vec<Block>,
}

/// A fenced block.
pub struct Block {
    /// The line of its fence.
    pub line: usize,
    pub content: Content,
    pub text: String,
}

/// What a block holds. Everything else is a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A manifest that is accepted.
    Accepted,
    /// A manifest that is refused.
    Refused,
    /// Values for the chart.
    Values,
    /// Commands after `$`, and what they print.
    Console,
    /// Commands that succeed.
    Commands,
    /// A drawing.
    Drawing,
}

/// A command and what it prints.
pub struct Step {
    pub command: String,
    pub output: Vec<String>,
}

impl Content {
    fn of(info: &str) -> Option<Self> {
        Some(match info {
            "yaml" => Self::Accepted,
            "yaml refused" => Self::Refused,
            "yaml values" => Self::Values,
            "console" => Self::Console,
            "sh" => Self::Commands,
            "text" | "mermaid" => Self::Drawing,
            _ => return None,
        })
    }

    pub fn is_yaml(self) -> bool {
        matches!(self, Self::Accepted | Self::Refused | Self::Values)
    }
}

impl Block {
    /// The file that a YAML block is, from its first line, `# NAME.yaml`.
    pub fn file(&self) -> Option<&str> {
        let name = self.text.lines().next()?.strip_prefix("# ")?;
        Path::new(name).extension().is_some_and(|e| e == "yaml").then_some(name)
    }

    /// The steps of a console; a line that ends with `\` goes on.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps: Vec<Step> = vec![];
        let mut open = false;
        for line in self.text.lines() {
            match (line.strip_prefix("$ "), steps.last_mut()) {
                (_, Some(step)) if open => {
                    step.command.push('\n');
                    step.command.push_str(line);
                    open = line.ends_with('\\');
                }
                (Some(command), _) => {
                    open = command.ends_with('\\');
                    steps.push(Step {
                        command: command.to_owned(),
                        output: vec![],
                    });
                }
                (None, Some(step)) => step.output.push(line.to_owned()),
                (None, None) => panic!("line {}: a console begins with a command", self.line),
            }
        }
        steps
    }

    /// Every command of the block.
    pub fn commands(&self) -> Vec<String> {
        match self.content {
            Content::Console => self.steps().into_iter().map(|step| step.command).collect(),
            Content::Commands => self.text.replace("\\\n", "").lines().map(str::to_owned).collect(),
            _ => vec![],
        }
    }
}

/// One page, by its path in the project.
pub fn page(path: &str) -> Page {
    let text = fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut blocks = vec![];
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let line = number + 1;
        let content =
            Content::of(info).unwrap_or_else(|| panic!("{path}:{line}: a block of {info:?} cannot be tested"));
        let body = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```");
        let text = body.flat_map(|line| [line, "\n"]).collect();
        blocks.push(Block { line, content, text });
    }
    Page {
        path: path.to_owned(),
        text,
        blocks,
    }
}

/// The README and the pages of `docs/`, but the reference, which is generated.
pub fn pages() -> Vec<Page> {
    let entries = fs::read_dir(root().join("docs")).expect("there are documents");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "md"));
    files.sort();
    let names = files.iter().filter_map(|file| file.file_name()?.to_str());
    let documents = names
        .filter(|name| *name != "reference.md")
        .map(|name| format!("docs/{name}"));
    ["README.md", "CONTRIBUTING.md", "SECURITY.md"]
        .map(str::to_owned)
        .into_iter()
        .chain(documents)
        .map(|path| page(&path))
        .collect()
}
