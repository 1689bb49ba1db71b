//! Random numbers that depend on nothing but their key, so that a draw is the same whatever else is drawn, in whatever order
//! and on however many threads.
//!
//! Written by hand because a generator of a crate is a stream: its n-th draw depends on how many came before. The mixing is
//! the finaliser of SplitMix64 (Steele, Lea & Flood, *Fast splittable pseudorandom number generators*, OOPSLA 2014).

/// Mixes one more part into a key.
#[inline]
#[must_use]
pub fn mix(key: u64, part: u64) -> u64 {
    let mut z = key ^ part.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A key for a text (FNV-1a, then mixed).
#[must_use]
pub fn text_key(text: &str) -> u64 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    mix(hash, 0)
}

/// The uniform number of a key, inside (0, 1): never an end.
#[inline]
#[must_use]
pub fn uniform(key: u64) -> f64 {
    ((key >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_differ_little_give_uniform_numbers() {
        // 64 bins, a million keys that count up: chi-squared with 63 degrees of freedom stays below its 0.9999 quantile.
        let mut bins = [0u32; 64];
        for i in 0..1_000_000u64 {
            bins[(uniform(mix(7, i)) * 64.0) as usize] += 1;
        }
        let expected = 1_000_000.0 / 64.0;
        let chi2: f64 = bins
            .iter()
            .map(|n| (f64::from(*n) - expected).powi(2) / expected)
            .sum();
        assert!(chi2 < 113.0, "{chi2}");
    }

    #[test]
    fn neighbouring_purposes_are_not_correlated() {
        let n = 200_000u64;
        let sum: f64 = (0..n)
            .map(|i| {
                let key = mix(3, i);
                (uniform(mix(key, 1)) - 0.5) * (uniform(mix(key, 2)) - 0.5)
            })
            .sum();
        let correlation = sum / n as f64 * 12.0;
        assert!(correlation.abs() < 0.01, "{correlation}");
    }
}
