//! Calls that are made beside each other: the slowest counts.

use statrs::function::gamma::ln_gamma;

use super::Moments;

/// The slowest of calls beside each other, each made `fan_out` times: Π Fᵢ^fan-out, or 1 − fan-out·(1 − Fᵢ) where it is made
/// only sometimes. Each Fᵢ is taken as a Weibull distribution with its mean and variance (exact for exponential times; its
/// shape by Justus et al., *Methods for estimating wind speed frequency distributions*, 1978), and the moments of the
/// slowest are integrated over a logarithmic grid.
pub(super) fn slowest(branches: &[(Moments, f64)]) -> Moments {
    match branches {
        [] => return Moments::default(),
        [(only, fan_out)] if *fan_out <= 1.0 => return only.repeated(*fan_out),
        _ => {}
    }
    struct Branch {
        log_scale: f64,
        shape: f64,
        fan_out: f64,
    }
    let branches: Vec<Branch> = branches
        .iter()
        .map(|(moments, fan_out)| {
            let cv = (moments.variance.sqrt() / moments.mean).clamp(0.02, 3.0);
            let shape = cv.powf(-1.086);
            Branch {
                log_scale: moments.mean.ln() - ln_gamma(1.0 + 1.0 / shape),
                shape,
                fan_out: *fan_out,
            }
        })
        .collect();
    // The grid reaches from where 1 in 10⁴ calls has ended to where all but 1 in 10⁷ have.
    let low = branches
        .iter()
        .map(|b| b.log_scale - 9.2 / b.shape)
        .fold(f64::INFINITY, f64::min);
    let high = branches
        .iter()
        .map(|b| b.log_scale + (16.0 + b.fan_out.max(1.0).ln()).ln() / b.shape)
        .fold(f64::NEG_INFINITY, f64::max);
    const CELLS: usize = 64;
    let width = (high - low) / CELLS as f64;
    // (t/scale)^shape of each branch, which grows by the same factor from cell to cell.
    let mut powers: Vec<(f64, f64)> = branches
        .iter()
        .map(|b| {
            (
                ((low - b.log_scale) * b.shape).exp(),
                (width * b.shape).exp(),
            )
        })
        .collect();
    let cumulated = |powers: &[(f64, f64)]| {
        branches
            .iter()
            .zip(powers)
            .map(|(b, (power, _))| {
                let f = -(-power).exp_m1();
                if b.fan_out == 1.0 {
                    f
                } else if b.fan_out > 1.0 {
                    f.powf(b.fan_out)
                } else {
                    1.0 - b.fan_out * (1.0 - f)
                }
            })
            .product::<f64>()
    };
    // What lies below the grid (calls that are not made at all) takes no time.
    let mut before = cumulated(&powers);
    let mut t = (low + 0.5 * width).exp();
    let grow = width.exp();
    let (mut first, mut second, mut third) = (0.0, 0.0, 0.0);
    for _ in 0..CELLS {
        for (power, factor) in &mut powers {
            *power *= *factor;
        }
        let after = cumulated(&powers);
        let share = after - before;
        first += t * share;
        second += t * t * share;
        third += t * t * t * share;
        before = after;
        t *= grow;
    }
    Moments::from_powers(first, second, third)
}
