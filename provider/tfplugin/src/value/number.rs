//! Terraform's numbers are decimals of any length; this one keeps every digit.
//!
//! Core holds 512-bit floats and compares a provider's answer with its own bit by bit, so a 0.1 that went through an
//! `f64` comes back as another number ("Provider produced invalid plan"). A decimal text is therefore kept as a text.

use std::{fmt, str::FromStr};

use super::path::ValueError;

/// An exact number.
///
/// Two numbers are equal when they mean the same: `1`, `1.0` and `1e0` are equal. An `f64` that a provider hands in
/// stands for its shortest decimal text (`0.1` means one tenth), which is also what Terraform writes into the state.
#[derive(Clone)]
pub struct Number(Repr);

#[derive(Clone)]
enum Repr {
    Int(i64),
    UInt(u64),
    /// A binary fraction exactly as core sent it; integers that fit the variants above are never kept here.
    Float(f64),
    /// Canonical decimal text (see [`canonical`]), never an integer that fits the variants above.
    Decimal(Box<str>),
}

/// What a number is on the wire.
pub(crate) enum Wire<'a> {
    Int(i64),
    UInt(u64),
    Float(f64),
    Text(&'a str),
}

/// Larger exponents are no honest input, and expanding them would cost memory.
const MAX_EXPONENT: i64 = 100_000;
const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
/// Up to this many zeros are written out; beyond it the text has an exponent.
const MAX_ZEROS: i64 = 400;

impl Number {
    /// The number that `value`'s shortest decimal text names; `None` for NaN and the infinities.
    #[must_use]
    pub fn from_f64(value: f64) -> Option<Self> {
        if value.is_finite() {
            format!("{value}").parse().ok()
        } else {
            None
        }
    }

    /// Exactly the binary fraction that came over the wire.
    pub(crate) fn from_wire_f64(value: f64) -> Self {
        #[allow(clippy::cast_possible_truncation)]
        if value.fract() == 0.0 && (-TWO_TO_63..TWO_TO_63).contains(&value) {
            // Exact: an integral f64 in this range is an i64.
            Self(Repr::Int(value as i64))
        } else {
            Self(Repr::Float(value))
        }
    }

    pub(crate) fn wire(&self) -> Wire<'_> {
        match &self.0 {
            Repr::Int(i) => Wire::Int(*i),
            Repr::UInt(u) => Wire::UInt(*u),
            Repr::Float(f) => Wire::Float(*f),
            Repr::Decimal(text) => Wire::Text(text),
        }
    }

    /// The integer, if it is one and fits.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match &self.0 {
            Repr::Int(i) => Some(*i),
            _ => None,
        }
    }

    /// The integer, if it is one, fits, and is not negative.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match &self.0 {
            Repr::Int(i) => u64::try_from(*i).ok(),
            Repr::UInt(u) => Some(*u),
            _ => None,
        }
    }

    /// The nearest `f64`; infinite beyond its range.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn as_f64(&self) -> f64 {
        match &self.0 {
            Repr::Int(i) => *i as f64,
            Repr::UInt(u) => *u as f64,
            Repr::Float(f) => *f,
            Repr::Decimal(text) => text.parse().unwrap_or(f64::NAN),
        }
    }

    /// A text that is the same for equal numbers. A binary fraction of 52 bits needs up to 1,074 decimals.
    fn canonical(&self) -> String {
        match &self.0 {
            Repr::Int(i) => i.to_string(),
            Repr::UInt(u) => u.to_string(),
            Repr::Float(f) if f.is_finite() => canonical(&format!("{f:.1074}")).unwrap_or_default(),
            Repr::Float(f) => f.to_string(),
            Repr::Decimal(text) => text.to_string(),
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Repr::Int(a), Repr::Int(b)) => a == b,
            (Repr::UInt(a), Repr::UInt(b)) => a == b,
            (Repr::Float(a), Repr::Float(b)) => a == b,
            (Repr::Decimal(a), Repr::Decimal(b)) => a == b,
            // Only a binary fraction can mean the same as another kind.
            (Repr::Float(_), _) | (_, Repr::Float(_)) => self.canonical() == other.canonical(),
            _ => false,
        }
    }
}

impl Eq for Number {}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Int(i) => write!(f, "{i}"),
            Repr::UInt(u) => write!(f, "{u}"),
            Repr::Float(x) => write!(f, "{x}"),
            Repr::Decimal(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self(Repr::Int(value))
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        i64::try_from(value).map_or(Self(Repr::UInt(value)), Self::from)
    }
}

impl FromStr for Number {
    type Err = ValueError;

    /// Decimal text with an optional sign, fraction and exponent; every digit is kept.
    fn from_str(text: &str) -> Result<Self, ValueError> {
        let canonical =
            canonical(text).ok_or_else(|| ValueError::new(format!("{text:?} is not a number")))?;
        if let Ok(i) = canonical.parse::<i64>() {
            Ok(Self(Repr::Int(i)))
        } else if let Ok(u) = canonical.parse::<u64>() {
            Ok(Self(Repr::UInt(u)))
        } else {
            Ok(Self(Repr::Decimal(canonical.into())))
        }
    }
}

/// The one text of a decimal number: no sign for zero, no leading zeros, no trailing zeros after the point, written out
/// where that takes fewer than [`MAX_ZEROS`] zeros and as digits with an exponent else. `None` if it is no number.
fn canonical(text: &str) -> Option<String> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.len() + fraction.len() == 0
        || !all_digits(whole)
        || !all_digits(fraction)
        || exponent.abs() > MAX_EXPONENT
    {
        return None;
    }
    let digits = format!("{whole}{fraction}");
    let trimmed = digits.trim_end_matches('0');
    // value = 0.digits × 10^point, counted before leading zeros go
    let point = i64::try_from(whole.len()).ok()? + exponent;
    let significant = trimmed.trim_start_matches('0');
    if significant.is_empty() {
        return Some("0".into());
    }
    let point = point - i64::try_from(trimmed.len() - significant.len()).ok()?;
    let length = i64::try_from(significant.len()).ok()?;
    let zeros = |n: i64| "0".repeat(usize::try_from(n).unwrap_or(0));
    let body = if point >= length && point - length <= MAX_ZEROS {
        format!("{significant}{}", zeros(point - length))
    } else if point <= 0 && -point <= MAX_ZEROS {
        format!("0.{}{significant}", zeros(-point))
    } else if point > 0 && point < length {
        let (before, after) = significant.split_at(usize::try_from(point).ok()?);
        format!("{before}.{after}")
    } else {
        format!("{significant}e{}", point - length)
    };
    Some(if negative { format!("-{body}") } else { body })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        text.parse().unwrap()
    }

    #[test]
    fn one_text_for_one_number() {
        for (text, expected) in [
            ("0", "0"),
            ("-0.000", "0"),
            ("1.50", "1.5"),
            ("+007", "7"),
            ("1e3", "1000"),
            ("12.5E-1", "1.25"),
            (".5", "0.5"),
            ("5.", "5"),
            ("0.00012", "0.00012"),
            ("12345678901234567890", "12345678901234567890"),
            (
                "123456789012345678901234567890",
                "123456789012345678901234567890",
            ),
            ("1e-1000", "1e-1000"),
            ("-123e1000", "-123e1000"),
            ("1230e1000", "123e1001"),
        ] {
            assert_eq!(number(text).to_string(), expected, "{text}");
        }
        for text in [
            "",
            ".",
            "-",
            "1e",
            "0x10",
            "1_000",
            "NaN",
            "inf",
            "1e999999999",
            "1.2.3",
            " 1",
        ] {
            assert!(text.parse::<Number>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_binary_fraction_equals_only_what_it_exactly_is() {
        assert_eq!(Number::from_wire_f64(0.5), number("0.5"));
        assert_eq!(Number::from_wire_f64(1e20), number("100000000000000000000"));
        assert_ne!(Number::from_wire_f64(0.1), number("0.1"));
        assert_eq!(
            Number::from_wire_f64(0.1),
            number("0.1000000000000000055511151231257827021181583404541015625")
        );
        assert_eq!(Number::from_f64(0.1), Some(number("0.1")));
        assert_eq!(Number::from_wire_f64(-3.0), Number::from(-3i64));
        assert_eq!(Number::from_f64(f64::NAN), None);
    }
}
