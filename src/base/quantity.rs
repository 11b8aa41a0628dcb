//! Kubernetes quantities, as far as comparing them needs: `500m`, `2Gi`, `1e3`, and plain numbers.

use serde_json::Value;

/// Suffixes of whole multiples, with their factor.
const SUFFIXES: [(&str, i128); 12] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("Pi", 1 << 50),
    ("Ei", 1 << 60),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("P", 1_000_000_000_000_000),
    ("E", 1_000_000_000_000_000_000),
];

/// An amount in thousandths of the unit, rounded up; enough to tell which of two is larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity(i128);

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Reads a quantity from a string or a number.
    ///
    /// # Errors
    /// A sentence that shows the accepted form.
    pub fn parse(value: &Value) -> Result<Self, String> {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            other => return Err(format!("{other} is not a quantity; write it as in \"500m\" or \"2Gi\"")),
        };
        read(&text)
            .map(Self)
            .ok_or_else(|| format!("{text:?} is not a quantity; write it as in \"500m\" or \"2Gi\""))
    }

    /// True for anything above zero.
    #[must_use]
    pub fn is_positive(self) -> bool {
        self > Self::ZERO
    }
}

fn read(text: &str) -> Option<i128> {
    let (number, suffix) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    if let Some(exponent) = suffix.strip_prefix(['e', 'E']).filter(|e| !e.is_empty()) {
        let power: i32 = exponent.parse().ok().filter(|p| (-9..=18).contains(p))?;
        return scaled(number, power);
    }
    match suffix {
        "" => scaled(number, 0),
        "m" => scaled(number, -3),
        "u" => scaled(number, -6),
        "n" => scaled(number, -9),
        _ => {
            let factor = SUFFIXES.iter().find(|(s, _)| *s == suffix)?.1;
            scaled(number, 0)?.checked_mul(factor)
        }
    }
}

/// `number * 10^power` in thousandths, rounded up.
fn scaled(number: &str, power: i32) -> Option<i128> {
    let (sign, digits) = match number.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    if all.is_empty() || all.len() > 24 || !all.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let value: i128 = all.parse().ok()?;
    let shift = power + 3 - i32::try_from(fraction.len()).ok()?;
    let ten = 10_i128.checked_pow(shift.unsigned_abs())?;
    let thousandths = if shift >= 0 {
        value.checked_mul(ten)?
    } else {
        value.div_euclid(ten) + i128::from(value % ten != 0)
    };
    Some(sign * thousandths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn q(value: impl Into<Value>) -> Quantity {
        Quantity::parse(&value.into()).unwrap()
    }

    #[test]
    fn quantities_compare_across_suffixes() {
        assert_eq!(q("1"), q("1000m"));
        assert_eq!(q(2), q("2"));
        assert_eq!(q("1.5Gi"), q("1536Mi"));
        assert_eq!(q("1e3"), q("1k"));
        assert_eq!(q("0.5"), q("500m"));
        assert!(q("1G") < q("1Gi"));
        assert!(q("50Gi") > q("49.9Gi"));
        assert!(q("1n").is_positive() && !q("0").is_positive() && !q("-1").is_positive());
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for bad in [
            json!("two"),
            json!(""),
            json!("1 Gi"),
            json!("1gi"),
            json!("."),
            json!(true),
            json!("1e99"),
            json!(null),
        ] {
            assert!(Quantity::parse(&bad).is_err(), "{bad} was accepted");
        }
    }
}
