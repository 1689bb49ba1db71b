//! Calls that are made beside each other: the slowest counts.

use std::sync::LazyLock;

use statrs::function::gamma::ln_gamma;

use super::Moments;

/// Cells of the grid: its fewest and most.
const CELLS: (f64, f64) = (12.0, 64.0);

const LOG_16: f64 = 4.0 * std::f64::consts::LN_2;
/// Coefficients of variation that are told apart: what varies less or more is taken as these.
const VARIES: (f64, f64) = (0.02, 3.0);
/// The exponent of Justus' shape: cv⁻¹·⁰⁸⁶.
const SHAPE: f64 = -1.086;

/// A function on a range by straight lines between points that are evenly spread: an exponential for every point of every grid would be most of what
/// a plan takes to compute.
struct Tabled {
    from: f64,
    per_unit: f64,
    values: Vec<f64>,
}

impl Tabled {
    fn of(function: impl Fn(f64) -> f64, (from, to): (f64, f64), per_unit: f64) -> Self {
        let last = ((to - from) * per_unit).ceil() as usize + 1;
        Self {
            from,
            per_unit,
            values: (0..=last)
                .map(|i| function(from + i as f64 / per_unit))
                .collect(),
        }
    }

    /// Its value, between its ends at those.
    fn at(&self, x: f64) -> f64 {
        let position = ((x - self.from) * self.per_unit).max(0.0);
        let below = (position as usize).min(self.values.len() - 2);
        let weight = (position - below as f64).min(1.0);
        let [low, high] = [self.values[below], self.values[below + 1]];
        low + weight * (high - low)
    }
}

/// ln (t/scale)^shape from where hardly any has ended to where all have: 1 − e⁻⁴⁰ is 1 in double precision.
const ENDS: (f64, f64) = (-14.0, 3.69);

/// The share of a Weibull distribution that has ended, by ln (t/scale)^shape: within 10⁻⁵.
static ENDED: LazyLock<Tabled> =
    LazyLock::new(|| Tabled::of(|x| -(-x.exp()).exp_m1(), ENDS, 128.0));
/// ln Γ(1 + 1/shape) by ln cv: within 2·10⁻⁵.
static LOG_MEAN: LazyLock<Tabled> = LazyLock::new(|| {
    let range = (VARIES.0.ln(), VARIES.1.ln());
    Tabled::of(
        |log_cv| ln_gamma(1.0 + (-SHAPE * log_cv).exp()),
        range,
        256.0,
    )
});

#[derive(Debug, Clone, Copy)]
struct Branch {
    log_scale: f64,
    shape: f64,
    /// Calls that are always made, and the chance of one more.
    whole: i32,
    part: f64,
}

impl Branch {
    /// Multiplies the share of its calls that have ended into every point of the grid, whose logarithms begin at `low` and are `width` apart.
    fn ends(&self, low: f64, width: f64, ended: &mut [f64]) {
        let (first, step, part) = (
            (low - self.log_scale) * self.shape,
            width * self.shape,
            self.part,
        );
        match self.whole {
            0 => each(first, step, ended, |f| 1.0 - part * (1.0 - f)),
            1 if part <= 0.0 => each(first, step, ended, |f| f),
            1 => each(first, step, ended, |f| f * (1.0 - part * (1.0 - f))),
            whole => each(first, step, ended, |f| {
                f.powi(whole) * (1.0 - part * (1.0 - f))
            }),
        }
    }
}

/// A Weibull distribution on the grid: ln (t/scale)^shape is `first` at its first point and `step` more from one to the next.
fn each(first: f64, step: f64, ended: &mut [f64], share: impl Fn(f64) -> f64) {
    let table = &*ENDED;
    for (cell, ended) in ended.iter_mut().enumerate() {
        let x = first + cell as f64 * step;
        if x > ENDS.1 {
            return;
        }
        *ended *= share(table.at(x));
    }
}

/// Room for the branches, and for the share of all calls that have ended at each point of the grid.
#[derive(Debug, Clone, Default)]
pub(super) struct Branches {
    branches: Vec<Branch>,
    ended: Vec<f64>,
}

/// The slowest of calls beside each other, each made `fan_out` times (the whole part always, one more with the rest's probability):
/// F = Π Fᵢⁿ·(1 − rest·(1 − Fᵢ)). Each Fᵢ is taken as a Weibull distribution with its mean and variance (exact for exponential times; its
/// shape by Justus et al., *Methods for estimating wind speed frequency distributions*, 1978). The moments of the slowest are
/// ∫ k·tᵏ·(1 − F) d(ln t) by the trapezoidal rule: what is integrated is smooth and vanishes at the upper end, so that few cells suffice.
pub(super) fn slowest(calls: &[(Moments, f64)], room: &mut Branches) -> Moments {
    match calls {
        [] => return Moments::default(),
        [(only, fan_out)] if *fan_out <= 1.0 => return only.repeated(*fan_out),
        _ => {}
    }
    let Branches { branches, ended } = room;
    branches.clear();
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    let mut steepest = 0.0f64;
    let mut always = f64::NEG_INFINITY;
    let (least, most) = (VARIES.0.ln(), VARIES.1.ln());
    for (moments, fan_out) in calls {
        let log_mean = moments.mean.ln();
        let log_cv = 0.5 * moments.variance.ln() - log_mean;
        let log_cv = log_cv.clamp(least, most);
        let shape = (SHAPE * log_cv).exp();
        let log_scale = log_mean - LOG_MEAN.at(log_cv);
        // From where one call in fifty has ended, of one that is always made of the last of those, to where all but 1 in 10⁷ have.
        let begins = log_scale - 4.0 / shape;
        if *fan_out >= 1.0 {
            always = always.max(begins);
        } else {
            low = low.min(begins);
        }
        let reach = if *fan_out > 1.0 {
            (16.0 + fan_out.ln()).ln()
        } else {
            LOG_16
        };
        high = high.max(log_scale + reach / shape);
        steepest = steepest.max(shape);
        branches.push(Branch {
            log_scale,
            shape,
            whole: fan_out.floor().min(1e6) as i32,
            part: fan_out.fract(),
        });
    }
    // While one that is always made has not ended, the slowest has not either.
    let low = if always.is_finite() { always } else { low };
    // A branch that is steep beside others that are wide does not set the step alone: it only shapes where it is.
    let cells = ((high - low) * steepest / 0.4)
        .ceil()
        .clamp(CELLS.0, CELLS.1);
    let width = (high - low) / cells;
    ended.clear();
    ended.resize(cells as usize + 1, 1.0);
    for branch in branches.iter() {
        branch.ends(low, width, ended);
    }
    let mut t = low.exp();
    let grow = width.exp();
    // Below the grid hardly any has ended.
    let first_left = 1.0 - ended[0];
    let mut first = t * first_left * (1.0 + 0.5 * width);
    let mut second = t * t * first_left * (1.0 + width);
    let mut third = t * t * t * first_left * (1.0 + 1.5 * width);
    for ended in &ended[1..] {
        t *= grow;
        let weight = (1.0 - ended) * width * t;
        first += weight;
        second += 2.0 * weight * t;
        third += 3.0 * weight * t * t;
    }
    Moments::from_powers(first, second, third)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(calls: &[(Moments, f64)]) -> Moments {
        slowest(calls, &mut Branches::default())
    }

    #[test]
    fn the_tables_are_what_they_stand_for() {
        for step in 0..2000 {
            let part = f64::from(step) / 1999.0;
            let x = ENDS.0 + part * (ENDS.1 - ENDS.0);
            let ended = -(-x.exp()).exp_m1();
            assert!((ENDED.at(x) - ended).abs() < 1e-5, "{x}");
            let (least, most) = (VARIES.0.ln(), VARIES.1.ln());
            let log_cv = least + part * (most - least);
            let log_mean = ln_gamma(1.0 + (-SHAPE * log_cv).exp());
            assert!((LOG_MEAN.at(log_cv) - log_mean).abs() < 2e-5, "{log_cv}");
        }
        // Beyond its ends a table says what it says there.
        assert_eq!(ENDED.at(-50.0), ENDED.at(ENDS.0));
        assert!(ENDED.at(50.0) > 1.0 - 1e-12);
    }

    #[test]
    fn the_slowest_of_exponentials_is_exact() {
        // Of n: mean Σ 1/k, variance Σ 1/k².
        let one = Moments::gamma(10.0, 1.0);
        for n in [2u32, 3, 8] {
            let mean: f64 = (1..=n).map(|k| 10.0 / f64::from(k)).sum();
            let variance: f64 = (1..=n).map(|k| 100.0 / f64::from(k * k)).sum();
            for calls in [vec![(one, 1.0); n as usize], vec![(one, f64::from(n))]] {
                let found = of(&calls);
                assert!(
                    (found.mean / mean - 1.0).abs() < 2e-3,
                    "{n} {found:?} {mean}"
                );
                assert!(
                    (found.variance / variance - 1.0).abs() < 0.01,
                    "{n} {found:?} {variance}"
                );
            }
        }
    }

    #[test]
    fn a_call_that_is_made_sometimes_is_half_of_two() {
        let one = Moments::gamma(10.0, 1.0);
        // 1.5 calls: 10 in half of the cases, 15 in the other.
        assert!((of(&[(one, 1.5)]).mean / 12.5 - 1.0).abs() < 2e-3);
        // Beside one that is always made: 10 or 15 again.
        assert!((of(&[(one, 1.0), (one, 0.5)]).mean / 12.5 - 1.0).abs() < 2e-3);
    }

    #[test]
    fn a_steep_branch_beside_a_wide_one() {
        let (steep, wide) = (Moments::gamma(50.0, 1e-4), Moments::gamma(10.0, 1.0));
        // max(50, X): 50 + E[(X − 50)⁺] = 50 + 10·e⁻⁵.
        let found = of(&[(steep, 1.0), (wide, 1.0)]);
        assert!(
            (found.mean / (50.0 + 10.0 * (-5.0f64).exp()) - 1.0).abs() < 0.02,
            "{found:?}"
        );
    }
}
