//! Tiny real models: GGUF files with random weights that Ollama loads and that generate (senseless) tokens on a CPU.
//!
//! The bytes depend on the [`Model`] alone: another seed makes another digest, a padding makes a download of any
//! size, and the file still loads. Nothing is downloaded and no other program is needed.

use std::{fmt, str::FromStr};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

mod bert;
mod llama;
mod noise;
mod writer;

pub use writer::File;

/// What a tiny model is: the same value always gives the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Model {
    architecture: Architecture,
    seed: u64,
    pad_mib: usize,
}

/// The kinds of tiny models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// A two-layer Llama over single characters: generates and chats.
    Llama,
    /// A two-layer BERT encoder with mean pooling: makes embeddings, and refuses to generate.
    Bert,
}

impl Architecture {
    /// The name in the file, which Ollama shows as the model's family.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Bert => "bert",
        }
    }
}

impl Model {
    /// A model that generates: half a mebibyte, seed 1.
    #[must_use]
    pub fn llama() -> Self {
        Self {
            architecture: Architecture::Llama,
            seed: 1,
            pad_mib: 0,
        }
    }

    /// A model for embeddings: half a mebibyte, seed 1.
    #[must_use]
    pub fn bert() -> Self {
        Self {
            architecture: Architecture::Bert,
            ..Self::llama()
        }
    }

    /// Other weights, and so another digest.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Grows the file to about this many MiB by wider feed-forward layers, for downloads that take a while.
    #[must_use]
    pub fn pad_mib(self, pad_mib: usize) -> Self {
        Self { pad_mib, ..self }
    }

    /// The architecture of this model.
    #[must_use]
    pub fn architecture(self) -> Architecture {
        self.architecture
    }

    /// The GGUF file.
    #[must_use]
    pub fn file(self) -> File {
        let mut noise = noise::Noise::new(self.seed);
        match self.architecture {
            Architecture::Llama => llama::file(&mut noise, self.feed_forward(llama::WIDE_MATRICES)),
            Architecture::Bert => bert::file(&mut noise, self.feed_forward(bert::WIDE_MATRICES)),
        }
    }

    /// The width of the feed-forward layers that gives the wanted size, `matrices` of them being that wide.
    fn feed_forward(self, matrices: usize) -> usize {
        let wanted = (self.pad_mib << 20) / (matrices * WIDTH * size_of::<f32>());
        (wanted / 32 * 32).max(2 * WIDTH)
    }
}

/// Layers of every tiny model.
const LAYERS: usize = 2;
/// Length of an embedding.
const WIDTH: usize = 64;
/// Attention heads.
const HEADS: usize = 4;
/// Context in tokens.
const CONTEXT: usize = 512;

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},seed={}", self.architecture.name(), self.seed)?;
        if self.pad_mib > 0 {
            write!(f, ",pad-mib={}", self.pad_mib)?;
        }
        Ok(())
    }
}

/// Reads the form of the command line and of control messages: `llama`, `bert,seed=2`, `llama,seed=3,pad-mib=40`.
impl FromStr for Model {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let mut parts = text.split(',');
        let mut model = match parts.next() {
            Some("llama") => Self::llama(),
            Some("bert") => Self::bert(),
            _ => {
                bail!("model {text:?} must begin with its architecture, \"llama\" or \"bert\", as in \"llama,seed=2\"")
            }
        };
        for part in parts {
            let number = |value: &str| {
                value
                    .parse()
                    .with_context(|| format!("model {text:?}: {part:?} needs a number"))
            };
            model = match part.split_once('=') {
                Some(("seed", value)) => model.seed(number(value)?),
                Some(("pad-mib", value)) => model.pad_mib(usize::try_from(number(value)?)?),
                _ => bail!("model {text:?}: {part:?} is neither \"seed=NUMBER\" nor \"pad-mib=NUMBER\""),
            };
        }
        Ok(model)
    }
}

impl TryFrom<String> for Model {
    type Error = anyhow::Error;

    fn try_from(text: String) -> anyhow::Result<Self> {
        text.parse()
    }
}

impl From<Model> for String {
    fn from(model: Model) -> Self {
        model.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_depend_on_the_description_alone() {
        assert_eq!(Model::llama().file().bytes, Model::llama().file().bytes);
        assert_ne!(Model::llama().file().bytes, Model::llama().seed(2).file().bytes);
        assert_ne!(Model::llama().file().bytes, Model::bert().file().bytes);
    }

    #[test]
    fn padding_reaches_the_size_asked_for() {
        for model in [Model::llama(), Model::bert()] {
            let mib = model.pad_mib(5).file().bytes.len() >> 10;
            assert!(
                (5 << 10..6 << 10).contains(&mib),
                "{model} padded to 5 MiB has {mib} KiB"
            );
        }
    }

    #[test]
    fn a_description_survives_its_text_form() {
        for model in [
            Model::llama(),
            Model::bert().seed(7),
            Model::llama().seed(3).pad_mib(40),
        ] {
            assert_eq!(model.to_string().parse::<Model>().unwrap(), model);
        }
    }

    #[test]
    fn a_wrong_description_says_what_is_wrong() {
        let message = |text: &str| format!("{:#}", text.parse::<Model>().unwrap_err());
        assert!(message("gpt2").contains("\"llama\" or \"bert\""), "{}", message("gpt2"));
        assert!(
            message("llama,seed=x").contains("\"seed=x\" needs a number"),
            "{}",
            message("llama,seed=x")
        );
        assert!(
            message("llama,size=3").contains("\"size=3\" is neither"),
            "{}",
            message("llama,size=3")
        );
    }
}
