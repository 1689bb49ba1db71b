//! Random numbers that depend on nothing but their key, so that a draw for one entry and hour is the same whatever else is
//! drawn, in whatever order and on however many threads.
//!
//! Written by hand because a generator of a crate is a stream: its n-th draw depends on how many came before. The mixing is
//! the finaliser of SplitMix64 (Steele, Lea & Flood, *Fast splittable pseudorandom number generators*, OOPSLA 2014).

use statrs::function::erf::erfc_inv;

/// Mixes one more part into a key.
pub(crate) fn mix(key: u64, part: u64) -> u64 {
    let mut z = key ^ part.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A key for a text (FNV-1a, then mixed).
pub(crate) fn text_key(text: &str) -> u64 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    mix(hash, 0)
}

/// Two independent standard normals of one key (Box & Muller 1958).
pub(crate) fn normals(key: u64) -> (f64, f64) {
    let open = |bits: u64| ((bits >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    let (u, v) = (open(mix(key, 1)), open(mix(key, 2)));
    let radius = (-2.0 * u.ln()).sqrt();
    let (sin, cos) = (std::f64::consts::TAU * v).sin_cos();
    (radius * cos, radius * sin)
}

/// The standard normal's quantile at `level`, which is kept inside (0, 1).
pub(crate) fn normal_score(level: f64) -> f64 {
    -std::f64::consts::SQRT_2 * erfc_inv(2.0 * level.clamp(1e-12, 1.0 - 1e-12))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_standard_normal_and_uncorrelated() {
        let pairs: Vec<(f64, f64)> = (0..20_000).map(|i| normals(mix(7, i))).collect();
        let n = pairs.len() as f64;
        let mean = pairs.iter().map(|(a, b)| a + b).sum::<f64>() / (2.0 * n);
        let variance = pairs.iter().map(|(a, b)| a * a + b * b).sum::<f64>() / (2.0 * n);
        let product = pairs.iter().map(|(a, b)| a * b).sum::<f64>() / n;
        let neighbours = pairs.windows(2).map(|w| w[0].0 * w[1].0).sum::<f64>() / n;
        assert!(
            mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03,
            "{mean} {variance}"
        );
        assert!(
            product.abs() < 0.03 && neighbours.abs() < 0.03,
            "{product} {neighbours}"
        );
    }

    #[test]
    fn scores_are_the_tables() {
        assert!((normal_score(0.99) - 2.326_347_874).abs() < 1e-6);
        assert!(normal_score(0.5).abs() < 1e-9);
    }
}
