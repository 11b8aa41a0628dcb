//! Short content hashes, for names and for telling whether an object has changed.

use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// The SHA-256 of the bytes, as lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    plain(&Sha256::digest(bytes))
}

/// The bytes themselves, as lower-case hexadecimal.
#[must_use]
pub fn plain(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
            // Writing into a String cannot fail.
            let _ = write!(out, "{byte:02x}");
            out
        })
}

/// The SHA-256 of a JSON value as lower-case hexadecimal; maps are ordered by key, so equal values have equal hashes.
#[must_use]
pub fn of(value: &Value) -> String {
    hex(value.to_string().as_bytes())
}

/// The first of its bytes, for many that are kept and only told from one another.
#[must_use]
pub fn digest(value: &Value) -> [u8; 8] {
    let whole = Sha256::digest(value.to_string());
    std::array::from_fn(|i| whole[i])
}

/// The first `length` characters of [`hex`].
#[must_use]
pub fn short(text: &str, length: usize) -> String {
    let mut out = hex(text.as_bytes());
    out.truncate(length);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn hashes_do_not_depend_on_the_order_of_keys() {
        assert_eq!(of(&json!({"a": 1, "b": 2})), of(&json!({"b": 2, "a": 1})));
        assert_eq!(
            hex(b""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(short("", 6), "e3b0c4");
    }
}
