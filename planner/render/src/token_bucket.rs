//! A rate in requests a second as the whole numbers of a token bucket.
//!
//! Envoy refills a bucket with a whole number of tokens at an interval of whole milliseconds, 50 or more. A rate such as 47.5
//! must therefore become a ratio of integers; rounding it to tokens each second would move the limit by up to
//! half a request a second, which for a slow service is a large share of it.

/// The numbers of a token bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TokenBucket {
    /// Tokens that the full bucket holds; never less than one refill, which would lower the rate.
    pub(crate) max_tokens: u32,
    /// Tokens added at each interval.
    pub(crate) tokens_per_fill: u32,
    /// Milliseconds between refills.
    pub(crate) fill_interval_ms: u32,
}

/// The shortest interval that Envoy accepts.
const SHORTEST_MS: u128 = 50;
/// Rates are met exactly where an interval of up to a day does it.
const LONGEST_MS: u128 = 86_400_000;
/// The interval over which a rate is approximated that no such interval meets.
const APPROXIMATE_MS: f64 = 60_000.0;

impl TokenBucket {
    /// The bucket with the shortest interval of at least 50 ms whose average rate is exactly `requests_per_second`; none where
    /// the rate is not positive.
    pub(crate) fn new(requests_per_second: f64, burst: u32) -> Option<Self> {
        if !(requests_per_second.is_finite() && requests_per_second > 0.0) {
            return None;
        }
        let (tokens, interval_ms) = exact(requests_per_second).unwrap_or_else(|| {
            let tokens = (requests_per_second * APPROXIMATE_MS / 1000.0).floor();
            (
                tokens.clamp(1.0, u32::MAX.into()) as u32,
                APPROXIMATE_MS as u32,
            )
        });
        Some(Self {
            max_tokens: burst.max(tokens),
            tokens_per_fill: tokens,
            fill_interval_ms: interval_ms,
        })
    }
}

/// Tokens and milliseconds whose ratio is the rate as its shortest decimal writes it.
fn exact(requests_per_second: f64) -> Option<(u32, u32)> {
    let text = format!("{requests_per_second}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let scale = 10u128
        .checked_pow(u32::try_from(fraction.len()).ok()?)?
        .checked_mul(1000)?;
    let divisor = gcd(digits, scale);
    let (tokens, interval) = (digits / divisor, scale / divisor);
    let times = SHORTEST_MS.div_ceil(interval);
    let (tokens, interval) = (tokens.checked_mul(times)?, interval * times);
    if interval > LONGEST_MS {
        return None;
    }
    Some((u32::try_from(tokens).ok()?, u32::try_from(interval).ok()?))
}

fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bucket(rate: f64, burst: u32) -> (u32, u32, u32) {
        let bucket = TokenBucket::new(rate, burst).unwrap();
        (
            bucket.max_tokens,
            bucket.tokens_per_fill,
            bucket.fill_interval_ms,
        )
    }

    #[test]
    fn rates_become_whole_tokens_and_milliseconds() {
        assert_eq!(bucket(50.0, 100), (100, 3, 60));
        assert_eq!(bucket(47.5, 100), (100, 19, 400));
        assert_eq!(bucket(1.5, 2), (3, 3, 2000));
        assert_eq!(bucket(0.0011, 1), (11, 11, 10_000_000));
        assert_eq!(bucket(24_000.0, 10), (1200, 1200, 50));
        assert_eq!(TokenBucket::new(0.0, 3), None);
        assert_eq!(TokenBucket::new(f64::NAN, 3), None);
    }

    #[test]
    fn a_rate_that_no_day_divides_is_approximated_from_below() {
        assert_eq!(bucket(1.0 / 3.0, 1), (20, 20, 60_000));
    }

    proptest! {
        #[test]
        fn the_average_is_exact_for_what_an_engineer_would_write(digits in 1u32..10_000, decade in -3i32..4) {
            let rate: f64 = format!("{digits}e{decade}").parse().unwrap();
            let bucket = TokenBucket::new(rate, 1).unwrap();
            let average = f64::from(bucket.tokens_per_fill) * 1000.0 / f64::from(bucket.fill_interval_ms);
            prop_assert!((average / rate - 1.0).abs() < 1e-12, "{rate}: {bucket:?}");
            prop_assert!(bucket.fill_interval_ms >= 50 && bucket.max_tokens >= bucket.tokens_per_fill);
        }
    }
}
