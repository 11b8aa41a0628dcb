//! The GGUF container, version 3, little endian: header, metadata, tensor directory, tensor data.

/// A finished model file.
pub struct File {
    /// The whole file.
    pub bytes: Vec<u8>,
    /// How many weights it holds.
    pub parameters: u64,
}

/// Where each tensor begins, and the data as a whole: a multiple of this many bytes (the format's default).
const ALIGNMENT: usize = 32;

/// The numbers by which the format tells the types of metadata values.
#[derive(Clone, Copy)]
enum Type {
    Count = 4,
    Integer = 5,
    Real = 6,
    Flag = 7,
    Text = 8,
    List = 9,
}

/// Collects metadata and tensors in the order in which they are to stand in the file.
pub(super) struct Writer {
    architecture: &'static str,
    metadata: Vec<u8>,
    keys: u64,
    directory: Vec<u8>,
    tensors: u64,
    data: Vec<u8>,
    parameters: u64,
}

impl Writer {
    /// A file of 32-bit weights for this architecture.
    pub(super) fn new(architecture: &'static str) -> Self {
        let (metadata, directory, data) = (Vec::new(), Vec::new(), Vec::new());
        let mut file = Self {
            architecture,
            metadata,
            keys: 0,
            directory,
            tensors: 0,
            data,
            parameters: 0,
        };
        file.text("general.architecture", architecture);
        file.text("general.name", "tiny");
        file.count("general.file_type", 0); // all weights F32
        file.count("general.quantization_version", 2);
        file
    }

    /// A key of the architecture's own; it stands in the file as `llama.<key>` or `bert.<key>`.
    pub(super) fn own(&mut self, key: &str, value: usize) {
        self.count(&format!("{}.{key}", self.architecture), value);
    }

    pub(super) fn text(&mut self, key: &str, value: &str) {
        self.key(key, Type::Text);
        push_text(&mut self.metadata, value);
    }

    pub(super) fn count(&mut self, key: &str, value: usize) {
        let value = u32::try_from(value).expect("the counts of a tiny model fit into 32 bits");
        self.key(key, Type::Count);
        self.metadata.extend(value.to_le_bytes());
    }

    pub(super) fn real(&mut self, key: &str, value: f32) {
        self.key(key, Type::Real);
        self.metadata.extend(value.to_le_bytes());
    }

    pub(super) fn flag(&mut self, key: &str, value: bool) {
        self.key(key, Type::Flag);
        self.metadata.push(u8::from(value));
    }

    /// The vocabulary: its words, their scores and their kinds.
    pub(super) fn vocabulary(&mut self, tokens: &[Token]) {
        self.count(&format!("{}.vocab_size", self.architecture), tokens.len());
        self.list("tokenizer.ggml.tokens", Type::Text, tokens.len());
        for token in tokens {
            push_text(&mut self.metadata, &token.text);
        }
        self.list("tokenizer.ggml.scores", Type::Real, tokens.len());
        self.metadata
            .extend(tokens.iter().flat_map(|token| token.score.to_le_bytes()));
        self.list("tokenizer.ggml.token_type", Type::Integer, tokens.len());
        self.metadata
            .extend(tokens.iter().flat_map(|token| (token.kind as i32).to_le_bytes()));
    }

    /// A tensor of 32-bit floats; `shape` counts its fastest dimension first.
    pub(super) fn tensor(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len(), "shape of {name}");
        push_text(&mut self.directory, name);
        self.directory.extend(
            u32::try_from(shape.len())
                .expect("at most two dimensions")
                .to_le_bytes(),
        );
        self.directory
            .extend(shape.iter().flat_map(|&length| (length as u64).to_le_bytes()));
        self.directory.extend(0_u32.to_le_bytes()); // F32
        self.directory.extend((self.data.len() as u64).to_le_bytes());
        self.data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        align(&mut self.data);
        self.tensors += 1;
        self.parameters += values.len() as u64;
    }

    /// Puts the parts together.
    pub(super) fn finish(self) -> File {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(3_u32.to_le_bytes());
        bytes.extend(self.tensors.to_le_bytes());
        bytes.extend(self.keys.to_le_bytes());
        bytes.extend(self.metadata);
        bytes.extend(self.directory);
        align(&mut bytes);
        bytes.extend(self.data);
        File {
            bytes,
            parameters: self.parameters,
        }
    }

    fn key(&mut self, key: &str, kind: Type) {
        push_text(&mut self.metadata, key);
        self.metadata.extend((kind as u32).to_le_bytes());
        self.keys += 1;
    }

    fn list(&mut self, key: &str, element: Type, length: usize) {
        self.key(key, Type::List);
        self.metadata.extend((element as u32).to_le_bytes());
        self.metadata.extend((length as u64).to_le_bytes());
    }
}

/// One entry of a vocabulary.
pub(super) struct Token {
    pub(super) text: String,
    pub(super) score: f32,
    pub(super) kind: TokenKind,
}

/// The numbers by which the format tells kinds of tokens.
#[derive(Clone, Copy)]
pub(super) enum TokenKind {
    Normal = 1,
    Unknown = 2,
    Control = 3,
    Byte = 6,
}

impl Token {
    pub(super) fn new(text: impl Into<String>, score: f32, kind: TokenKind) -> Self {
        Self {
            text: text.into(),
            score,
            kind,
        }
    }
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

fn align(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_is_aligned_and_complete() {
        let mut writer = Writer::new("llama");
        writer.tensor("odd", &[3], &[1.0, 2.0, 3.0]);
        writer.tensor("even", &[2, 2], &[4.0, 5.0, 6.0, 7.0]);
        let file = writer.finish();
        assert_eq!(file.parameters, 7);
        assert_eq!(file.bytes.len() % ALIGNMENT, 0);
        assert_eq!(&file.bytes[..8], b"GGUF\x03\0\0\0");
        let second = file.bytes.len() - ALIGNMENT;
        assert_eq!(file.bytes[second..second + 4], 4.0_f32.to_le_bytes());
    }
}
