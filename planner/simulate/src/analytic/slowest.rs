//! Calls that are made beside each other: the slowest counts.

use statrs::function::gamma::ln_gamma;

use super::Moments;

/// Cells of the grid: its fewest and most.
const CELLS: (f64, f64) = (12.0, 64.0);

#[derive(Debug, Clone, Copy)]
struct Branch {
    log_scale: f64,
    shape: f64,
    /// Calls that are always made, and the chance of one more.
    whole: i32,
    part: f64,
    /// (t/scale)^shape at the cell, and by what it grows from cell to cell.
    power: f64,
    factor: f64,
}

impl Branch {
    /// The share of its calls that have ended.
    fn ended(&self) -> f64 {
        let f = -(-self.power).exp_m1();
        let more = 1.0 - self.part * (1.0 - f);
        match self.whole {
            0 => more,
            1 => f * more,
            whole => f.powi(whole) * more,
        }
    }
}

/// Room for the branches.
#[derive(Debug, Clone, Default)]
pub(super) struct Branches(Vec<Branch>);

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
    let branches = &mut room.0;
    branches.clear();
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    let mut steepest = 0.0f64;
    let mut always = f64::NEG_INFINITY;
    for (moments, fan_out) in calls {
        let cv = (moments.variance.sqrt() / moments.mean).clamp(0.02, 3.0);
        let shape = cv.powf(-1.086);
        let log_scale = moments.mean.ln() - ln_gamma(1.0 + 1.0 / shape);
        // From where one call in fifty has ended, of one that is always made of the last of those, to where all but 1 in 10⁷ have.
        let begins = log_scale - 4.0 / shape;
        if *fan_out >= 1.0 {
            always = always.max(begins);
        } else {
            low = low.min(begins);
        }
        high = high.max(log_scale + (16.0 + fan_out.max(1.0).ln()).ln() / shape);
        steepest = steepest.max(shape);
        branches.push(Branch {
            log_scale,
            shape,
            whole: fan_out.floor().min(1e6) as i32,
            part: fan_out.fract(),
            power: 0.0,
            factor: 0.0,
        });
    }
    // While one that is always made has not ended, the slowest has not either.
    let low = if always.is_finite() { always } else { low };
    // A branch that is steep beside others that are wide does not set the step alone: it only shapes where it is.
    let cells = ((high - low) * steepest / 0.4)
        .ceil()
        .clamp(CELLS.0, CELLS.1);
    let width = (high - low) / cells;
    for branch in branches.iter_mut() {
        branch.power = ((low - branch.log_scale) * branch.shape).exp();
        branch.factor = (width * branch.shape).exp();
    }
    let mut t = low.exp();
    let grow = width.exp();
    let left = |branches: &[Branch]| 1.0 - branches.iter().map(Branch::ended).product::<f64>();
    // Below the grid hardly any has ended.
    let first_left = left(branches);
    let mut first = t * first_left * (1.0 + 0.5 * width);
    let mut second = t * t * first_left * (1.0 + width);
    let mut third = t * t * t * first_left * (1.0 + 1.5 * width);
    for _ in 0..cells as usize {
        for branch in branches.iter_mut() {
            branch.power *= branch.factor;
        }
        t *= grow;
        let weight = left(branches) * width * t;
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
