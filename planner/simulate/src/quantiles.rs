//! Any distribution of times as a table of its quantiles, so that drawing costs a lookup whatever the distribution is.
//!
//! Both tails are cut into octaves (each half as likely as the one before) of 64 cells, with straight lines between: a draw of
//! probability p is looked up in a cell of width p/64. The table is scaled so that its mean is exact.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use foremesh_model::random::uniform;

use crate::{SimulateError, analytic::normal_score};

/// Cells of an octave.
const CELLS: usize = 64;
/// Octaves of each tail: draws rarer than 2⁻³² fall on the last value.
const OCTAVES: usize = 32;
/// Nanoseconds of a millisecond.
pub(crate) const NS_PER_MS: f64 = 1e6;

/// A distribution of times.
#[derive(Debug, Clone, PartialEq)]
pub enum Times {
    /// Always the same.
    Constant {
        /// Milliseconds.
        ms: f64,
    },
    /// Exponential.
    Exponential {
        /// Mean in milliseconds.
        mean_ms: f64,
    },
    /// Log-normal.
    LogNormal {
        /// Mean in milliseconds.
        mean_ms: f64,
        /// Squared coefficient of variation (variance ÷ mean²).
        cv2: f64,
    },
    /// Gamma: Erlang where 1 ÷ cv2 is whole.
    Gamma {
        /// Mean in milliseconds.
        mean_ms: f64,
        /// Squared coefficient of variation (variance ÷ mean²).
        cv2: f64,
    },
    /// As observed: equally likely milliseconds, in any order, with straight lines between them.
    Empirical(Vec<f64>),
}

impl Times {
    /// What is assumed of a service of which mean and squared coefficient of variation are known: constant, gamma up to 1
    /// (exponential at 1), log-normal above, whose tail is the heavier.
    #[must_use]
    pub fn of_moments(mean_ms: f64, cv2: f64) -> Self {
        if cv2 < 1e-6 {
            Self::Constant { ms: mean_ms }
        } else if (cv2 - 1.0).abs() < 1e-9 {
            Self::Exponential { mean_ms }
        } else if cv2 < 1.0 {
            Self::Gamma { mean_ms, cv2 }
        } else {
            Self::LogNormal { mean_ms, cv2 }
        }
    }

    /// The mean in milliseconds.
    #[must_use]
    pub fn mean_ms(&self) -> f64 {
        match self {
            Self::Constant { ms } => *ms,
            Self::Exponential { mean_ms }
            | Self::LogNormal { mean_ms, .. }
            | Self::Gamma { mean_ms, .. } => *mean_ms,
            Self::Empirical(values) => {
                let mut sorted = values.clone();
                sorted.sort_by(f64::total_cmp);
                match sorted.as_slice() {
                    [] => 0.0,
                    [only] => *only,
                    sorted => {
                        let between: f64 = sorted.windows(2).map(|w| 0.5 * (w[0] + w[1])).sum();
                        between / (sorted.len() - 1) as f64
                    }
                }
            }
        }
    }

    /// The mean in milliseconds and the squared coefficient of variation.
    #[must_use]
    pub fn mean_and_cv2(&self) -> (f64, f64) {
        let mean = self.mean_ms();
        let cv2 = match self {
            Self::Constant { .. } => 0.0,
            Self::Exponential { .. } => 1.0,
            Self::LogNormal { cv2, .. } | Self::Gamma { cv2, .. } => *cv2,
            Self::Empirical(values) => {
                let mut sorted = values.clone();
                sorted.sort_by(f64::total_cmp);
                // Straight lines between neighbours: (a² + ab + b²)/3 each.
                let cells = sorted.len().saturating_sub(1).max(1) as f64;
                let second: f64 = sorted
                    .windows(2)
                    .map(|w| (w[0] * w[0] + w[0] * w[1] + w[1] * w[1]) / 3.0)
                    .sum::<f64>()
                    / cells;
                if sorted.len() > 1 && mean > 0.0 {
                    (second / (mean * mean) - 1.0).max(0.0)
                } else {
                    0.0
                }
            }
        };
        (mean, cv2)
    }

    /// The first number that no time can have.
    pub(crate) fn fault(&self) -> Option<f64> {
        let bad = |v: &f64| !(v.is_finite() && *v >= 0.0);
        match self {
            Self::Constant { ms } => Some(*ms).filter(bad),
            Self::Exponential { mean_ms } => Some(*mean_ms).filter(bad),
            Self::LogNormal { mean_ms, cv2 } | Self::Gamma { mean_ms, cv2 } => {
                [*mean_ms, *cv2].into_iter().find(bad)
            }
            Self::Empirical(values) => values.iter().copied().find(bad),
        }
    }

    /// The table of its quantiles.
    ///
    /// # Errors
    /// [`SimulateError::Time`] when a number is negative or not finite.
    pub fn table(&self) -> Result<Quantiles, SimulateError> {
        if let Some(value) = self.fault() {
            return Err(SimulateError::Time { value });
        }
        let mean = self.mean_ms() * NS_PER_MS;
        Ok(match self {
            Self::Constant { .. } => Quantiles::constant(mean),
            Self::Exponential { .. } => Shape::Exponential.table().scaled(mean),
            Self::LogNormal { cv2, .. } => Shape::LogNormal(cv2.to_bits()).table().scaled(mean),
            Self::Gamma { cv2, .. } if *cv2 < 1e-6 => Quantiles::constant(mean),
            Self::Gamma { cv2, .. } => Shape::Gamma(cv2.to_bits()).table().scaled(mean),
            Self::Empirical(values) => {
                let mut sorted = values.clone();
                sorted.sort_by(f64::total_cmp);
                match sorted.as_slice() {
                    [] => Quantiles::constant(0.0),
                    [only] => Quantiles::constant(only * NS_PER_MS),
                    sorted => Quantiles::build(|below, above| {
                        let at = if below < 0.5 { below } else { 1.0 - above }
                            * (sorted.len() - 1) as f64;
                        let low = (at as usize).min(sorted.len() - 2);
                        sorted[low] + (sorted[low + 1] - sorted[low]) * (at - low as f64)
                    })
                    .scaled(mean),
                }
            }
        })
    }
}

/// The quantile of a standard normal; `above` = 1 − `below`, each exact where it is small.
fn score(below: f64, above: f64) -> f64 {
    if below < above {
        normal_score(below)
    } else {
        -normal_score(above)
    }
}

/// A distribution but for its scale; numbers are held as their bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Shape {
    Exponential,
    /// Of a squared coefficient of variation.
    LogNormal(u64),
    /// Of a squared coefficient of variation.
    Gamma(u64),
}

/// Tables that are kept: a plan simulates the same services again and again, and a table costs as much as ten thousand requests. 32 kB each.
const KEPT: usize = 1024;
static TABLES: LazyLock<Mutex<HashMap<Shape, Quantiles>>> = LazyLock::new(Mutex::default);

impl Shape {
    /// Its table, of any mean.
    fn table(self) -> Quantiles {
        let tables = || TABLES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = tables().get(&self) {
            return known.clone();
        }
        let table = self.build();
        let mut tables = tables();
        if tables.len() >= KEPT {
            tables.clear();
        }
        tables.insert(self, table.clone());
        table
    }

    fn build(self) -> Quantiles {
        match self {
            Self::Exponential => Quantiles::build(|below, above| {
                if below < 0.5 {
                    -(-below).ln_1p()
                } else {
                    -above.ln()
                }
            }),
            Self::LogNormal(cv2) => {
                let sigma = f64::from_bits(cv2).ln_1p().sqrt();
                Quantiles::build(|below, above| (sigma * score(below, above)).exp())
            }
            Self::Gamma(cv2) => {
                let shape = 1.0 / f64::from_bits(cv2);
                Quantiles::build(|below, above| gamma_quantile(shape, below, above))
            }
        }
    }
}

/// The quantile of a gamma variable of scale 1, by Newton's steps on the logarithms of value and tail within a bracket.
fn gamma_quantile(shape: f64, below: f64, above: f64) -> f64 {
    use statrs::function::gamma::{gamma_lr, gamma_ur, ln_gamma};
    let lower = below < above;
    let ln_density = |y: f64| shape * y - y.exp() - ln_gamma(shape);
    let (mut low, mut high) = (1e-300f64.ln(), f64::MAX.ln());
    // Wilson and Hilferty, 1931: the cube root is nearly normal.
    let cube = 1.0 - 1.0 / (9.0 * shape) + score(below, above) / (3.0 * shape.sqrt());
    let mut y = if cube > 0.1 {
        (shape * cube.powi(3)).ln()
    } else {
        (below.ln() + ln_gamma(shape + 1.0)) / shape
    };
    for _ in 0..100 {
        let x = y.exp();
        let (tail, wanted) = match lower {
            true => (gamma_lr(shape, x), below),
            false => (gamma_ur(shape, x), above),
        };
        let too_high = (tail > wanted) == lower;
        if too_high {
            high = y;
        } else {
            low = y;
        }
        // The slope of the tail's logarithm in y.
        let slope = (ln_density(y) - tail.ln()).exp() * if lower { 1.0 } else { -1.0 };
        let step = (wanted / tail).ln() / slope;
        let next = y + step;
        let next = match step.is_finite() && next > low && next < high {
            true => next,
            false => 0.5 * (low.max(y - 2.0) + high.min(y + 2.0)),
        };
        if (next - y).abs() < 1e-12 * (1.0 + y.abs()) {
            return next.exp();
        }
        y = next;
    }
    y.exp()
}

/// A distribution of nanoseconds, ready to draw from.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantiles {
    /// Values at the edges of cells: the lower tail from the median down, then the upper from the median up. Empty: constant.
    lower: Arc<[f32]>,
    upper: Arc<[f32]>,
    /// Nanoseconds of one unit of the table.
    scale: f64,
    mean_ns: f64,
}

impl Quantiles {
    /// Always the same nanoseconds.
    #[must_use]
    pub fn constant(ns: f64) -> Self {
        Self {
            lower: Arc::default(),
            upper: Arc::default(),
            scale: 0.0,
            mean_ns: ns,
        }
    }

    /// Of the mean that its quantiles have.
    fn build(quantile: impl Fn(f64, f64) -> f64) -> Self {
        // Edge i of octave k lies at probability 2^-(k+1) · (1 − i/128), so that an octave ends at half of where it began.
        let edges = || {
            (0..OCTAVES).flat_map(|octave| {
                let top = 0.5f64.powi(octave as i32 + 1);
                (0..CELLS).map(move |cell| top * (1.0 - cell as f64 / (2 * CELLS) as f64))
            })
        };
        let last = 0.5f64.powi(OCTAVES as i32 + 1);
        let with_last = || edges().chain(std::iter::once(last));
        let lower: Arc<[f32]> = with_last().map(|p| quantile(p, 1.0 - p) as f32).collect();
        let upper: Arc<[f32]> = with_last().map(|p| quantile(1.0 - p, p) as f32).collect();
        let probabilities: Vec<f64> = with_last().collect();
        let half = |values: &[f32]| -> f64 {
            let cells: f64 = (0..values.len() - 1)
                .map(|i| {
                    0.5 * f64::from(values[i] + values[i + 1])
                        * (probabilities[i] - probabilities[i + 1])
                })
                .sum();
            cells + f64::from(values[values.len() - 1]) * last
        };
        let mean = half(&lower) + half(&upper);
        Self {
            lower,
            upper,
            scale: 1.0,
            mean_ns: mean,
        }
    }

    /// With another mean.
    fn scaled(self, mean_ns: f64) -> Self {
        let scale = match self.mean_ns > 0.0 {
            true => mean_ns / self.mean_ns,
            false => 0.0,
        };
        Self {
            scale,
            mean_ns,
            ..self
        }
    }

    /// The mean in nanoseconds.
    #[must_use]
    pub fn mean_ns(&self) -> f64 {
        self.mean_ns
    }

    /// The value of a random key, in nanoseconds: greater keys give greater values.
    #[inline]
    #[must_use]
    pub fn draw(&self, key: u64) -> f64 {
        if self.upper.is_empty() {
            return self.mean_ns;
        }
        let u = uniform(key);
        let (half, tail) = if u < 0.5 {
            (&self.lower, u)
        } else {
            (&self.upper, 1.0 - u)
        };
        // tail = 2^-(octave+1) · m with m in (0.5, 1].
        let bits = tail.to_bits();
        let exponent = ((bits >> 52) & 0x7ff) as i32 - 1023;
        let mantissa = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | 0x3ff0_0000_0000_0000);
        // tail = mantissa · 2^exponent, mantissa in [1, 2): the octave that begins at 2^(exponent+1).
        let octave = f64::from(-exponent - 2);
        let at = ((octave + 2.0 - mantissa) * CELLS as f64).max(0.0);
        let cell = (at as usize).min(half.len() - 2);
        let (a, b) = (f64::from(half[cell]), f64::from(half[cell + 1]));
        self.scale * (a + (b - a) * (at - cell as f64).min(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use foremesh_model::random::mix;

    fn moments(times: &Times) -> (f64, f64, Vec<f64>) {
        let table = times.table().unwrap();
        let mut draws: Vec<f64> = (0..400_000)
            .map(|i| table.draw(mix(11, i)) / NS_PER_MS)
            .collect();
        let n = draws.len() as f64;
        let mean = draws.iter().sum::<f64>() / n;
        let variance = draws.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / n;
        draws.sort_by(f64::total_cmp);
        (mean, variance / mean / mean, draws)
    }

    #[test]
    fn gamma_s_quantiles_are_those_of_its_tails() {
        use statrs::function::gamma::{gamma_lr, gamma_ur};
        for shape in [0.05, 0.3, 0.9, 1.0, 1.7, 4.0, 30.0, 1e3, 1e5] {
            for octave in [1, 2, 3, 7, 15, 24, 33] {
                let p = 0.5f64.powi(octave);
                let low = gamma_quantile(shape, p, 1.0 - p);
                let high = gamma_quantile(shape, 1.0 - p, p);
                assert!(low <= high, "{shape} {p}");
                let off = |tail: f64| (tail / p - 1.0).abs();
                // What lies below the smallest number has no quantile.
                assert!(
                    low < 1e-290 || off(gamma_lr(shape, low)) < 1e-7,
                    "{shape} {p}"
                );
                assert!(off(gamma_ur(shape, high)) < 1e-7, "{shape} {p}");
            }
        }
    }

    #[test]
    fn tables_are_kept_whatever_their_mean() {
        let of = |mean_ms: f64| Times::Gamma { mean_ms, cv2: 0.37 }.table().unwrap();
        let (one, two) = (of(1.0), of(2.0));
        assert!(Arc::ptr_eq(&one.lower, &two.lower));
        assert!((two.draw(7) / one.draw(7) - 2.0).abs() < 1e-12);
    }

    #[test]
    fn draws_have_the_moments_and_quantiles_they_should() {
        for (times, cv2, p99) in [
            (Times::Exponential { mean_ms: 10.0 }, 1.0, 46.0517),
            (
                Times::Gamma {
                    mean_ms: 10.0,
                    cv2: 0.25,
                },
                0.25,
                25.1129,
            ),
            (
                Times::Gamma {
                    mean_ms: 10.0,
                    cv2: 0.5,
                },
                0.5,
                33.1918,
            ),
            (
                Times::LogNormal {
                    mean_ms: 10.0,
                    cv2: 2.0,
                },
                2.0,
                66.129,
            ),
            (Times::Constant { ms: 10.0 }, 0.0, 10.0),
        ] {
            let (mean, spread, draws) = moments(&times);
            assert!((mean / 10.0 - 1.0).abs() < 0.008, "{times:?} {mean}");
            assert!(
                (spread - cv2).abs() < 0.04 * cv2.max(0.01),
                "{times:?} {spread}"
            );
            let at = draws[draws.len() * 99 / 100];
            assert!((at / p99 - 1.0).abs() < 0.015, "{times:?} {at}");
        }
    }

    #[test]
    fn observed_times_come_back() {
        let (mean, _, draws) = moments(&Times::Empirical(vec![4.0, 1.0, 2.0]));
        assert!((mean - 2.25).abs() < 0.02, "{mean}");
        assert!(draws[0] >= 0.99 && draws[draws.len() - 1] <= 4.01);
    }

    #[test]
    fn greater_keys_give_greater_values() {
        let table = Times::LogNormal {
            mean_ms: 3.0,
            cv2: 4.0,
        }
        .table()
        .unwrap();
        let draws: Vec<f64> = (0..10_000u64).map(|i| table.draw(i << 50)).collect();
        assert!(draws.windows(2).all(|w| w[0] <= w[1] * (1.0 + 1e-6)));
    }

    #[test]
    fn a_time_that_cannot_be_is_refused() {
        assert!(matches!(
            Times::Exponential { mean_ms: -1.0 }.table(),
            Err(SimulateError::Time { value }) if value == -1.0
        ));
    }
}
