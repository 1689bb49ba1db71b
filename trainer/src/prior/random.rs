//! Random numbers of one track: ChaCha keyed by the seed, the number of the track and its step, so that what is drawn depends
//! on nothing else. Distributions that are drawn for every step are written here for speed: a Poisson or gamma number of
//! rand_distr costs several times what the rest of a step costs, and training tells no difference.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Exp1, StandardNormal};

/// Below this mean a Poisson number is drawn exactly, above by a normal number with the skewness put right.
const EXACT_POISSON_MEAN: f32 = 10.0;

pub(super) struct Random(ChaCha8Rng);

impl Random {
    pub fn keyed(seed: u64, index: u64, step_s: u32) -> Self {
        let mut key = [0_u8; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&index.to_le_bytes());
        key[16..20].copy_from_slice(&step_s.to_le_bytes());
        Self(ChaCha8Rng::from_seed(key))
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f32 {
        self.0.random()
    }

    pub fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Uniform in the logarithm; both ends above 0.
    pub fn log_between(&mut self, (low, high): (f32, f32)) -> f32 {
        self.between(low.ln(), high.ln()).exp()
    }

    /// A number below `count`, which is at least 1.
    pub fn below(&mut self, count: usize) -> usize {
        ((self.unit() * count as f32) as usize).min(count.saturating_sub(1))
    }

    pub fn normal(&mut self) -> f32 {
        self.0.sample(StandardNormal)
    }

    pub fn gaussian(&mut self, (mean, deviation): (f32, f32)) -> f32 {
        mean + deviation * self.normal()
    }

    /// Exponential with mean 1.
    pub fn exponential(&mut self) -> f32 {
        self.0.sample(Exp1)
    }

    /// Symmetric, with mean 0 and `scale` as mean absolute value: mostly small, sometimes large.
    pub fn laplace(&mut self, scale: f32) -> f32 {
        let size = scale * self.exponential();
        if self.chance(0.5) { size } else { -size }
    }

    pub fn poisson(&mut self, mean: f32) -> f32 {
        if mean.is_nan() || mean <= 0.0 {
            // A gap stays one.
            return if mean.is_nan() { mean } else { 0.0 };
        }
        if mean < EXACT_POISSON_MEAN {
            // Knuth: as many uniforms as keep their product above e^-mean.
            let (floor, mut product, mut count) = ((-mean).exp(), self.unit(), 0.0);
            while product > floor {
                product *= self.unit();
                count += 1.0;
            }
            return count;
        }
        let z = self.normal();
        (mean + mean.sqrt() * z + (z * z - 1.0) / 6.0)
            .round()
            .max(0.0)
    }

    /// Gamma with mean 1 and the given shape, by Wilson and Hilferty's cube; shapes below a half are drawn as a half.
    pub fn gamma_of_mean_1(&mut self, shape: f32) -> f32 {
        let shape = shape.max(0.5);
        let ninth = 1.0 / (9.0 * shape);
        (1.0 - ninth + ninth.sqrt() * self.normal())
            .max(0.0)
            .powi(3)
    }

    /// The place of one weight, drawn in proportion.
    pub fn weighted(&mut self, weights: &[f32]) -> usize {
        let mut left = self.unit() * weights.iter().sum::<f32>();
        for (place, weight) in weights.iter().enumerate() {
            left -= weight;
            if left < 0.0 {
                return place;
            }
        }
        weights.len().saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    fn moments(mut draw: impl FnMut() -> f32) -> (f64, f64) {
        let values: Vec<f64> = (0..40_000).map(|_| f64::from(draw())).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
        (mean, variance)
    }

    #[test]
    fn counts_have_the_mean_and_variance_of_poisson() {
        let mut random = Random::keyed(1, 2, 3600);
        for wanted in [0.02, 0.7, 5.0, 11.0, 400.0] {
            let (mean, variance) = moments(|| random.poisson(wanted));
            let wanted = f64::from(wanted);
            assert!((mean / wanted - 1.0).abs() < 0.08, "{wanted}: mean {mean}");
            assert!(
                (variance / wanted - 1.0).abs() < 0.08,
                "{wanted}: variance {variance}"
            );
        }
    }

    #[test]
    fn gamma_has_mean_1_and_variance_of_its_shape() {
        let mut random = Random::keyed(1, 3, 3600);
        for shape in [2.0, 20.0] {
            let (mean, variance) = moments(|| random.gamma_of_mean_1(shape));
            assert!((mean - 1.0).abs() < 0.02, "{shape}: mean {mean}");
            assert!(
                (variance * f64::from(shape) - 1.0).abs() < 0.1,
                "{shape}: variance {variance}"
            );
        }
    }

    #[test]
    fn weights_are_kept() {
        let mut random = Random::keyed(1, 4, 3600);
        let mut seen = [0; 3];
        for _ in 0..10_000 {
            seen[random.weighted(&[1.0, 0.0, 3.0])] += 1;
        }
        assert_eq!(seen[1], 0);
        assert!((2_300..2_700).contains(&seen[0]), "{seen:?}");
    }
}
