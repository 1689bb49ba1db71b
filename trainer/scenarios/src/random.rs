//! Random numbers of one part of a scenario: ChaCha keyed by the scenario and the name of the part, so that one more draw in
//! one part moves no other.

use foremesh_model::random::{mix, text_key};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Exp1, StandardNormal};

pub(crate) struct Random(ChaCha8Rng);

impl Random {
    /// The stream of a part of the scenario with this key.
    pub fn of(key: u64, part: &str) -> Self {
        Self(ChaCha8Rng::seed_from_u64(mix(key, text_key(part))))
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f64 {
        self.0.random()
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Uniform in the logarithm; both ends above 0.
    pub fn log_between(&mut self, low: f64, high: f64) -> f64 {
        self.between(low.ln(), high.ln()).exp()
    }

    /// A number below `count`; 0 where there is none.
    pub fn below(&mut self, count: usize) -> usize {
        ((self.unit() * count as f64) as usize).min(count.saturating_sub(1))
    }

    /// Log-normal by its median and the deviation of its logarithm.
    pub fn log_normal(&mut self, median: f64, deviation: f64) -> f64 {
        median * (deviation * self.normal()).exp()
    }

    pub fn normal(&mut self) -> f64 {
        self.0.sample(StandardNormal)
    }

    /// A whole number, 0 or more, with this mean: geometric, so that most are few and a few are many.
    pub fn geometric(&mut self, mean: f64) -> usize {
        if mean <= 0.0 {
            return 0;
        }
        let exponential: f64 = self.0.sample(Exp1);
        (exponential / (1.0 / mean).ln_1p()) as usize
    }

    /// One of these, each as likely as its weight says; the first where all weigh nothing.
    pub fn of_weighted<T: Copy>(&mut self, choices: &[(T, f64)], otherwise: T) -> T {
        let mut left = self.unit() * choices.iter().map(|(_, weight)| weight).sum::<f64>();
        for (choice, weight) in choices {
            left -= weight;
            if left < 0.0 {
                return *choice;
            }
        }
        otherwise
    }
}

/// A number with so many significant digits, as people write and tools report it.
pub(crate) fn significant(value: f64, digits: i32) -> f64 {
    rounded(value, digits, f64::round)
}

/// The same, never below the value.
pub(crate) fn significant_up(value: f64, digits: i32) -> f64 {
    rounded(value, digits, f64::ceil)
}

fn rounded(value: f64, digits: i32, round: impl Fn(f64) -> f64) -> f64 {
    if !(value.is_finite() && value > 0.0) {
        return 0.0;
    }
    let places = digits - 1 - value.log10().floor() as i32;
    // A power of ten that is exact: a negative one would leave 0.30000000000000004 behind.
    if places >= 0 {
        let scale = 10f64.powi(places);
        round(value * scale) / scale
    } else {
        let scale = 10f64.powi(-places);
        round(value / scale) * scale
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn geometric_numbers_have_their_mean() {
        let mut random = Random::of(1, "test");
        for mean in [0.3, 1.0, 4.0] {
            let sum: usize = (0..40_000).map(|_| random.geometric(mean)).sum();
            assert!((sum as f64 / 40_000.0 / mean - 1.0).abs() < 0.05, "{mean}");
        }
    }

    #[test]
    fn parts_do_not_share_their_numbers() {
        let draw = |part| Random::of(7, part).unit();
        assert_ne!(draw("demand"), draw("services"));
        assert_eq!(draw("demand"), draw("demand"));
    }

    #[test]
    fn digits_are_kept() {
        assert_eq!(significant(0.123_456, 2), 0.12);
        assert_eq!(significant(1234.0, 2), 1200.0);
        assert_eq!(significant_up(0.300_001, 1), 0.4);
        assert_eq!(significant_up(121.0, 2), 130.0);
        assert_eq!(significant(0.0, 2), 0.0);
    }
}
