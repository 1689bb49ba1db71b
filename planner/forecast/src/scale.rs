//! The scale on which demand is forecast: a shifted logarithm, on which noise is about as large at night as at noon.
//!
//! `z = ln(y + s)` with the shift `s` a small share of the typical rate: a zero stays finite, and a quiet hour of a counting
//! series, whose noise is large against its mean, does not rule the fit. Monotone, so quantiles go through unchanged.

/// The shift as a share of the typical rate.
const SHIFT_SHARE: f64 = 0.1;

/// Shifted logarithm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct LogScale {
    shift_rps: f64,
    most_rps: f64,
}

impl LogScale {
    /// The scale of a series: NaN values are left out.
    pub fn of(values: &[f64]) -> Self {
        let known = || values.iter().copied().filter(|v| !v.is_nan());
        let (sum, count) = known().fold((0.0, 0usize), |(sum, count), v| (sum + v, count + 1));
        let mean = if count == 0 { 0.0 } else { sum / count as f64 };
        let mut sorted: Vec<f64> = known().collect();
        sorted.sort_by(f64::total_cmp);
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
        // Bursts lift the mean, silence empties the median: halfway stands both.
        let typical = if median > 0.0 {
            (median * mean).sqrt()
        } else {
            mean
        };
        let shift_rps = if typical > 0.0 {
            SHIFT_SHARE * typical
        } else {
            1e-3
        };
        let most = sorted.last().copied().unwrap_or(0.0);
        Self {
            shift_rps,
            most_rps: (most + shift_rps) * 1000.0,
        }
    }

    /// From requests a second; NaN stays NaN.
    pub fn forward(&self, rate_rps: f64) -> f64 {
        (rate_rps + self.shift_rps).ln()
    }

    /// To requests a second: at least 0, and never more than a thousand times the highest ever seen.
    pub fn back(&self, z: f64) -> f64 {
        (z.exp() - self.shift_rps).clamp(0.0, self.most_rps)
    }
}
