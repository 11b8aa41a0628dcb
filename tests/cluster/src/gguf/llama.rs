//! The tiny Llama: a byte-level vocabulary, so that every prompt can be read and every token printed.

use super::{
    CONTEXT, File, HEADS, LAYERS, WIDTH,
    noise::Noise,
    writer::{Token, TokenKind, Writer},
};

/// Matrices that padding widens.
pub(super) const WIDE_MATRICES: usize = 3 * LAYERS;

/// Printable characters that are tokens of their own; `\u{2581}` is how the tokenizer writes a space.
const CHARACTERS: &str = "\u{2581}abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,;:!?'-";

/// The place of `</s>` in the vocabulary.
const END: usize = 2;

pub(super) fn file(noise: &mut Noise, feed_forward: usize) -> File {
    let mut file = Writer::new("llama");
    let tokens = vocabulary();
    metadata(&mut file, feed_forward);
    file.vocabulary(&tokens);
    file.tensor(
        "token_embd.weight",
        &[WIDTH, tokens.len()],
        &noise.weights(WIDTH * tokens.len()),
    );
    for layer in 0..LAYERS {
        block(&mut file, noise, layer, feed_forward);
    }
    file.tensor("output_norm.weight", &[WIDTH], &[1.0; WIDTH]);
    let mut output = noise.weights(WIDTH * tokens.len());
    output[END * WIDTH..(END + 1) * WIDTH].fill(0.0); // the end is never the likeliest token: an answer keeps coming
    file.tensor("output.weight", &[WIDTH, tokens.len()], &output);
    file.finish()
}

fn metadata(file: &mut Writer, feed_forward: usize) {
    file.own("context_length", CONTEXT);
    file.own("embedding_length", WIDTH);
    file.own("block_count", LAYERS);
    file.own("feed_forward_length", feed_forward);
    file.own("attention.head_count", HEADS);
    file.own("attention.head_count_kv", HEADS);
    file.real("llama.attention.layer_norm_rms_epsilon", 1e-5);
    file.own("rope.dimension_count", WIDTH / HEADS);
    file.text("tokenizer.ggml.model", "llama");
    file.text("tokenizer.ggml.pre", "default");
    file.count("tokenizer.ggml.unknown_token_id", 0);
    file.count("tokenizer.ggml.bos_token_id", 1);
    file.count("tokenizer.ggml.eos_token_id", END);
    file.flag("tokenizer.ggml.add_bos_token", true);
    file.flag("tokenizer.ggml.add_eos_token", false);
}

fn vocabulary() -> Vec<Token> {
    let special = [
        ("<unk>", TokenKind::Unknown),
        ("<s>", TokenKind::Control),
        ("</s>", TokenKind::Control),
    ];
    let bytes = (0..=u8::MAX).map(|byte| Token::new(format!("<0x{byte:02X}>"), 0.0, TokenKind::Byte));
    let scores = (0_u16..).map(|rank| -f32::from(rank));
    let characters = CHARACTERS
        .chars()
        .zip(scores)
        .map(|(c, score)| Token::new(c, score, TokenKind::Normal));
    special
        .map(|(text, kind)| Token::new(text, 0.0, kind))
        .into_iter()
        .chain(bytes)
        .chain(characters)
        .collect()
}

fn block(file: &mut Writer, noise: &mut Noise, layer: usize, feed_forward: usize) {
    let mut matrix = |name: &str, columns: usize, rows: usize| {
        file.tensor(
            &format!("blk.{layer}.{name}.weight"),
            &[columns, rows],
            &noise.weights(columns * rows),
        );
    };
    for name in ["attn_q", "attn_k", "attn_v", "attn_output"] {
        matrix(name, WIDTH, WIDTH);
    }
    matrix("ffn_gate", WIDTH, feed_forward);
    matrix("ffn_up", WIDTH, feed_forward);
    matrix("ffn_down", feed_forward, WIDTH);
    for name in ["attn_norm", "ffn_norm"] {
        file.tensor(&format!("blk.{layer}.{name}.weight"), &[WIDTH], &[1.0; WIDTH]);
    }
}
