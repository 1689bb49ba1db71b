//! Percentiles of a time of which the moments are known.
//!
//! A shifted gamma distribution (Pearson's type III) with the given mean, variance and third moment answers: exact for a sum of alike exponential
//! times, and within a few percent for the mixtures that rare calls make (see the tests against drawn latencies; with two moments alone
//! a rare slow call was understated by 12%).

use statrs::function::{
    erf::{erfc, erfc_inv},
    gamma::gamma_lr,
};

use super::Moments;

/// The standard normal's quantile at `level`, which is kept inside (0, 1).
#[must_use]
pub fn normal_score(level: f64) -> f64 {
    -std::f64::consts::SQRT_2 * erfc_inv(2.0 * level.clamp(1e-12, 1.0 - 1e-12))
}

/// The chance that a standard normal value is above `score`: [`normal_score`] the other way round.
#[must_use]
pub fn normal_tail(score: f64) -> f64 {
    0.5 * erfc(score / std::f64::consts::SQRT_2)
}

/// The quantile of a shifted gamma distribution at one level. Tabulated by shape because the search for instances asks for it
/// many thousand times.
#[derive(Debug, Clone)]
pub struct GammaQuantile {
    normal: f64,
    /// Deviations above the mean at the shapes e^(FROM + i·STEP).
    table: Vec<f64>,
}

impl GammaQuantile {
    /// Shape 0.04, a skewness of 10: beyond it the level lies before what makes the skewness.
    const FROM: f64 = -3.218_875_824_868_201;
    const STEP: f64 = 0.1;
    const KNOTS: usize = 136;

    /// Prepares a level, 0 … 1.
    pub fn at(level: f64) -> Self {
        let level = level.clamp(0.01, 0.999_999);
        let table = (0..Self::KNOTS)
            .map(|i| {
                let shape = (Self::FROM + i as f64 * Self::STEP).exp();
                (multiple_of_mean(shape, level) - 1.0) * shape.sqrt()
            })
            .collect();
        Self {
            normal: normal_score(level),
            table,
        }
    }

    /// The quantile in milliseconds of the distribution with these moments.
    pub fn of(&self, moments: Moments) -> f64 {
        let Moments {
            mean,
            variance,
            third,
        } = moments;
        if mean.is_nan() || mean <= 0.0 {
            return 0.0;
        }
        if variance.is_nan() || variance <= 0.0 {
            return mean;
        }
        let deviation = variance.sqrt();
        let skewness = third / (variance * deviation);
        let last = Self::KNOTS - 1;
        let position = if skewness > 1e-3 {
            ((4.0 / (skewness * skewness)).ln() - Self::FROM) / Self::STEP
        } else {
            f64::INFINITY
        };
        let deviations = if position >= last as f64 {
            // Nearly normal from a shape of some ten thousand on.
            self.normal
        } else {
            let position = position.max(0.0);
            let below = (position as usize).min(last - 1);
            let weight = position - below as f64;
            self.table[below] * (1.0 - weight) + self.table[below + 1] * weight
        };
        (mean + deviations * deviation).max(0.01 * mean)
    }
}

fn multiple_of_mean(shape: f64, level: f64) -> f64 {
    let (mut low, mut high) = (0.0f64, 1.0f64);
    while gamma_lr(shape, high * shape) < level && high < 1e6 {
        high *= 2.0;
    }
    for _ in 0..44 {
        let middle = 0.5 * (low + high);
        if gamma_lr(shape, middle * shape) < level {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exponential(mean: f64) -> Moments {
        Moments::gamma(mean, 1.0)
    }

    #[test]
    fn scores_are_the_tables() {
        assert!((normal_score(0.99) - 2.326_347_874).abs() < 1e-6);
        assert!(normal_score(0.5).abs() < 1e-9);
        assert!((normal_tail(1.959_963_985) - 0.025).abs() < 1e-9);
        for level in [0.001, 0.2, 0.5, 0.99, 0.999_9] {
            assert!((normal_tail(normal_score(level)) - (1.0 - level)).abs() < 1e-9);
        }
    }

    #[test]
    fn gamma_quantiles_are_the_tables() {
        let p99 = GammaQuantile::at(0.99);
        assert!((p99.of(exponential(1.0)) - 4.605_17).abs() < 5e-3);
        // Erlang of two stages of 1: 6.638.
        assert!((p99.of(Moments::gamma(2.0, 0.5)) - 6.638).abs() < 1e-2);
        assert!((p99.of(Moments::gamma(100.0, 1e-8)) - 100.023).abs() < 1e-3);
        assert_eq!(p99.of(Moments::default()), 0.0);
    }
}
