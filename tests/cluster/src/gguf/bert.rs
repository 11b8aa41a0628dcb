//! The tiny BERT encoder: word pieces of one letter, mean pooling.

use super::{
    CONTEXT, File, HEADS, LAYERS, WIDTH,
    noise::Noise,
    writer::{Token, TokenKind, Writer},
};

/// Matrices that padding widens.
pub(super) const WIDE_MATRICES: usize = 2 * LAYERS;

const CHARACTERS: &str = "abcdefghijklmnopqrstuvwxyz0123456789.,;:!?'-";

pub(super) fn file(noise: &mut Noise, feed_forward: usize) -> File {
    let mut file = Writer::new("bert");
    let tokens = vocabulary();
    metadata(&mut file, feed_forward);
    file.vocabulary(&tokens);
    file.tensor(
        "token_embd.weight",
        &[WIDTH, tokens.len()],
        &noise.weights(WIDTH * tokens.len()),
    );
    file.tensor("token_types.weight", &[WIDTH, 2], &noise.weights(WIDTH * 2));
    file.tensor(
        "position_embd.weight",
        &[WIDTH, CONTEXT],
        &noise.weights(WIDTH * CONTEXT),
    );
    norm(&mut file, "token_embd_norm");
    for layer in 0..LAYERS {
        block(&mut file, noise, layer, feed_forward);
    }
    file.finish()
}

fn metadata(file: &mut Writer, feed_forward: usize) {
    file.own("context_length", CONTEXT);
    file.own("embedding_length", WIDTH);
    file.own("block_count", LAYERS);
    file.own("feed_forward_length", feed_forward);
    file.own("attention.head_count", HEADS);
    file.own("pooling_type", 1); // mean; this key is also how Ollama tells an embedding model
    file.real("bert.attention.layer_norm_epsilon", 1e-12);
    file.flag("bert.attention.causal", false);
    file.text("tokenizer.ggml.model", "bert");
    file.text("tokenizer.ggml.pre", "default");
    file.count("tokenizer.ggml.token_type_count", 2);
    file.count("tokenizer.ggml.padding_token_id", 0);
    file.count("tokenizer.ggml.unknown_token_id", 1);
    file.count("tokenizer.ggml.bos_token_id", 2);
    file.count("tokenizer.ggml.eos_token_id", 3);
    file.count("tokenizer.ggml.seperator_token_id", 3); // the format spells it so
    file.count("tokenizer.ggml.mask_token_id", 4);
}

/// `\u{2581}` marks a piece that begins a word.
fn vocabulary() -> Vec<Token> {
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    let first = CHARACTERS.chars().map(|c| format!("\u{2581}{c}"));
    let pieces = first.chain(CHARACTERS.chars().map(String::from));
    let special = special
        .into_iter()
        .map(|text| Token::new(text, -1000.0, TokenKind::Control));
    special
        .chain(pieces.map(|text| Token::new(text, 0.0, TokenKind::Normal)))
        .collect()
}

fn block(file: &mut Writer, noise: &mut Noise, layer: usize, feed_forward: usize) {
    let mut linear = |name: &str, columns: usize, rows: usize| {
        let name = format!("blk.{layer}.{name}");
        file.tensor(
            &format!("{name}.weight"),
            &[columns, rows],
            &noise.weights(columns * rows),
        );
        file.tensor(&format!("{name}.bias"), &[rows], &noise.weights(rows));
    };
    for name in ["attn_q", "attn_k", "attn_v", "attn_output"] {
        linear(name, WIDTH, WIDTH);
    }
    linear("ffn_up", WIDTH, feed_forward);
    linear("ffn_down", feed_forward, WIDTH);
    norm(file, &format!("blk.{layer}.attn_output_norm"));
    norm(file, &format!("blk.{layer}.layer_output_norm"));
}

fn norm(file: &mut Writer, name: &str) {
    file.tensor(&format!("{name}.weight"), &[WIDTH], &[1.0; WIDTH]);
    file.tensor(&format!("{name}.bias"), &[WIDTH], &[0.0; WIDTH]);
}
