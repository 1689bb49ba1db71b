//! Normal draws that depend on nothing but their key.

use foremesh_model::random::uniform;
pub(crate) use foremesh_model::random::{mix, text_key};

/// Two independent standard normals of one key (Box & Muller 1958).
pub(crate) fn normals(key: u64) -> (f64, f64) {
    let (u, v) = (uniform(mix(key, 1)), uniform(mix(key, 2)));
    let radius = (-2.0 * u.ln()).sqrt();
    let (sin, cos) = (std::f64::consts::TAU * v).sin_cos();
    (radius * cos, radius * sin)
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
}
