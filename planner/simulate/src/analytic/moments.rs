//! The moments of a time, and what is cut of it: what is known of every wait, every service and every call.

use statrs::function::gamma::{gamma_lr, gamma_ur, ln_gamma};

/// The moments of a time in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Moments {
    /// Mean in milliseconds.
    pub mean: f64,
    /// Variance in milliseconds squared.
    pub variance: f64,
    /// Third central moment in milliseconds cubed.
    pub third: f64,
}

impl Moments {
    /// A time with a gamma distribution of this mean and squared coefficient of variation (1: exponential).
    pub fn gamma(mean: f64, cv2: f64) -> Self {
        let variance = cv2 * mean * mean;
        Self {
            mean,
            variance,
            third: 2.0 * variance * cv2 * mean,
        }
    }

    /// From the mean of the first, second and third power.
    pub fn from_powers(first: f64, second: f64, third: f64) -> Self {
        Self {
            mean: first,
            variance: (second - first * first).max(0.0),
            third: third - 3.0 * first * second + 2.0 * first.powi(3),
        }
    }

    /// The sum of two independent times.
    pub fn plus(self, other: Moments) -> Moments {
        Moments {
            mean: self.mean + other.mean,
            variance: self.variance + other.variance,
            third: self.third + other.third,
        }
    }

    /// As a shifted gamma distribution: its shape, where it begins and the scale of its gamma part. None where it does not vary.
    fn shifted_gamma(self) -> Option<(f64, f64, f64)> {
        let deviation = self.variance.max(0.0).sqrt();
        if deviation.is_nan() || deviation <= 1e-9 * self.mean.max(1e-9) {
            return None;
        }
        let skewness = self.third / (self.variance * deviation);
        // The bounds of the table of quantiles: nearly normal below, a level before what makes the skewness above.
        let skewness = if skewness.is_nan() {
            0.005
        } else {
            skewness.clamp(0.005, 10.0)
        };
        let shape = 4.0 / (skewness * skewness);
        let scale = deviation / shape.sqrt();
        Some((shape, self.mean - shape * scale, scale))
    }

    /// The share of times above `limit_ms`.
    pub fn tail(self, limit_ms: f64) -> f64 {
        match self.shifted_gamma() {
            None => f64::from(u8::from(self.mean > limit_ms)),
            Some((shape, start, scale)) => {
                let at = (limit_ms - start) / scale;
                if at > 0.0 { gamma_ur(shape, at) } else { 1.0 }
            }
        }
    }

    /// The times that are not above `limit_ms`: the moments of E\[Xⁿ; X ≤ limit\] ÷ P(X ≤ limit), with the incomplete gamma function's
    /// recursion. What a timeout cuts is counted where it is cut, and makes no call above it longer.
    pub fn below(self, limit_ms: f64) -> Moments {
        let Some((shape, start, scale)) = self.shifted_gamma() else {
            return self;
        };
        let at = (limit_ms - start) / scale;
        if at <= 0.0 {
            return Moments {
                mean: limit_ms.max(0.0),
                ..Moments::default()
            };
        }
        self.kept(limit_ms, (shape, start, scale), at, gamma_lr(shape, at))
    }

    /// The share of times above `limit_ms`, and those that are not above it: [`Moments::tail`] and [`Moments::below`] together, and at
    /// little cost where less than one in ten millions is above (Chernoff's bound), which is then none.
    #[must_use]
    pub fn cut(self, limit_ms: f64) -> (f64, Moments) {
        let Some((shape, start, scale)) = self.shifted_gamma() else {
            return (self.tail(limit_ms), self);
        };
        let at = (limit_ms - start) / scale;
        if at <= 0.0 {
            return (1.0, self.below(limit_ms));
        }
        if at > shape && shape - at + shape * (at / shape).ln() < -16.0 {
            return (0.0, self);
        }
        let above = gamma_ur(shape, at);
        let kept = self.kept(limit_ms, (shape, start, scale), at, 1.0 - above);
        (above, kept)
    }

    /// What is below, of which the share is known.
    fn kept(
        self,
        limit_ms: f64,
        (shape, start, scale): (f64, f64, f64),
        at: f64,
        kept: f64,
    ) -> Moments {
        if kept < 1e-6 {
            return Moments {
                mean: limit_ms.max(0.0),
                ..Moments::default()
            };
        }
        // E[Gⁿ; G ≤ at] = shape·(shape + 1)…(shape + n − 1) · P(shape + n, at), and P(a + 1, x) = P(a, x) − xᵃe⁻ˣ/Γ(a + 1).
        let step = (shape * at.ln() - at - ln_gamma(shape + 1.0)).exp();
        let one = kept - step;
        let two = one - step * at / (shape + 1.0);
        let three = two - step * at * at / ((shape + 1.0) * (shape + 2.0));
        let rising = [1.0, shape + 1.0, (shape + 1.0) * (shape + 2.0)].map(|v| v * shape / kept);
        let powers = Moments::from_powers(
            rising[0] * one.max(0.0),
            rising[1] * two.max(0.0),
            rising[2] * three.max(0.0),
        );
        Moments {
            mean: start + scale * powers.mean,
            variance: scale * scale * powers.variance,
            third: (scale.powi(3) * powers.third).max(0.0),
        }
    }

    /// The sum over a random number of calls with mean `fan_out`: the whole part always, one more with the rest's probability.
    pub fn repeated(self, fan_out: f64) -> Moments {
        let rest = fan_out.fract();
        let (m, v) = (self.mean, self.variance);
        let count_variance = rest * (1.0 - rest);
        let count_third = count_variance * (1.0 - 2.0 * rest);
        Moments {
            mean: fan_out * m,
            variance: fan_out * v + count_variance * m * m,
            third: fan_out * self.third + 3.0 * count_variance * m * v + count_third * m.powi(3),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytic::GammaQuantile;

    #[test]
    fn what_is_cut_and_what_is_left_are_those_of_the_distribution() {
        let gamma = Moments::gamma(100.0, 1.0);
        // Exponential: e^(−t/mean), and the mean of what is below.
        assert!((gamma.tail(300.0) - (-3.0f64).exp()).abs() < 1e-9);
        let below = gamma.below(300.0);
        let mean = 100.0 - 300.0 * (-3.0f64).exp() / (1.0 - (-3.0f64).exp());
        assert!((below.mean - mean).abs() < 1e-6, "{below:?}");
        assert!(below.variance < gamma.variance && below.third < gamma.third);
        let all = gamma.below(1e5);
        assert!((all.mean - 100.0).abs() < 1e-6 && (all.variance / 1e4 - 1.0).abs() < 1e-6);
        // The tail is the quantile's own inverse, also where the distribution begins late or never varies.
        for moments in [
            Moments {
                mean: 50.0,
                variance: 400.0,
                third: 20_000.0,
            },
            Moments {
                mean: 10.0,
                variance: 1.0,
                third: 0.001,
            },
            Moments::gamma(20.0, 4.0),
        ] {
            for level in [0.9, 0.99, 0.9995] {
                let tail = moments.tail(GammaQuantile::at(level).of(moments));
                assert!(
                    (tail / (1.0 - level) - 1.0).abs() < 0.05,
                    "{moments:?} {level}: {tail}"
                );
            }
        }
        let constant = Moments {
            mean: 5.0,
            ..Moments::default()
        };
        assert_eq!((constant.tail(4.0), constant.tail(6.0)), (1.0, 0.0));
    }
}
