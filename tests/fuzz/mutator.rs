//! Makes inputs of others: bytes changed, pieces lost, doubled, swapped between inputs, and words put in.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

/// What readers trip over.
const WORDS: [&str; 24] = [
    "null",
    "true",
    "-1",
    "1e999",
    "18446744073709551616",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "{",
    "}",
    "[",
    "]",
    "[[[[[[[[",
    ",",
    ":",
    "\n---\n",
    "$(id)",
    "`",
    "\u{0}",
    "\u{feff}",
    "-----BEGIN CERTIFICATE-----\n",
    "-----END PRIVATE KEY-----\n",
    "../",
];

fn budget() -> Duration {
    let soak = env::var_os("LLM_OPERATOR_SOAK").is_some();
    Duration::from_secs(if soak { 180 } else { 3 })
}

/// Checks inputs until the time is over. The seed of the first one that fails is printed.
pub fn fuzz(what: &str, corpus: &[Vec<u8>], check: impl Fn(&[u8])) {
    let given = env::var("LLM_OPERATOR_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = given.unwrap_or_else(|| rand::rng().random());
    let mut random = StdRng::seed_from_u64(seed);
    let end = Instant::now() + budget();
    let mut count = 0;
    while Instant::now() < end {
        let input = mutated(&mut random, corpus);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(&input))) {
            let shown = input.escape_ascii();
            eprintln!("{what}: input {count} with LLM_OPERATOR_SEED={seed} is:\n{shown}");
            resume_unwind(panic);
        }
        count += 1;
    }
    println!("{what}: {count} inputs, LLM_OPERATOR_SEED={seed}");
}

/// One input, made of one or two others.
pub fn mutated(random: &mut StdRng, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut input = corpus[random.random_range(0..corpus.len())].clone();
    for _ in 0..random.random_range(1..=4) {
        change(random, &mut input, corpus);
    }
    input
}

fn change(random: &mut StdRng, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
    let at = random.random_range(0..=input.len());
    let until = (at + random.random_range(0..=16)).min(input.len());
    match random.random_range(0..7) {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << random.random_range(0..8);
            }
        }
        1 => drop(input.drain(at..until)),
        2 => {
            let piece = input[at..until].to_vec();
            let to = random.random_range(0..=input.len());
            drop(input.splice(to..to, piece));
        }
        3 => drop(input.splice(at..at, [random.random()])),
        4 => input.truncate(at),
        5 => {
            let other = &corpus[random.random_range(0..corpus.len())];
            let from = random.random_range(0..=other.len());
            let length = random.random_range(0..=64).min(other.len() - from);
            drop(input.splice(at..until, other[from..from + length].iter().copied()));
        }
        _ => {
            let word = WORDS[random.random_range(0..WORDS.len())];
            drop(input.splice(at..until, word.bytes()));
        }
    }
}
