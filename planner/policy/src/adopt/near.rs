//! When two values count as the same.

use foremesh_model::{quantise, quantise_up};
use serde_json::Value;

/// The tolerance from which on neighbouring steps of the rounding count as one value.
const NEIGHBOURS_FROM: f64 = 0.05;
/// Counts up to here are near when they differ by one, up to twice as many by two: a quantile that moves by one moves a
/// limit with its headroom and rounding by up to two.
const SMALL_COUNT: u32 = 10;

/// Whether a number is near its prior one.
pub(super) fn near(prior: f64, proposed: f64, tolerance: f64) -> bool {
    if prior == proposed {
        return true;
    }
    if tolerance <= 0.0 || prior <= 0.0 || proposed <= 0.0 {
        return false;
    }
    let (low, high) = (prior.min(proposed), prior.max(proposed));
    if high <= low * (1.0 + tolerance) * (1.0 + 1e-9) {
        return true;
    }
    if tolerance < NEIGHBOURS_FROM {
        return false;
    }
    let rounded = |v: f64| (quantise(v) - v).abs() <= v * 1e-9;
    rounded(low) && rounded(high) && (quantise_up(low * 1.001) - high).abs() <= high * 1e-9
}

/// Whether a count is near its prior one.
pub(super) fn near_count(prior: u32, proposed: u32, tolerance: f64) -> bool {
    let (a, b) = (f64::from(prior), f64::from(proposed));
    near(a, b, tolerance)
        || (tolerance > 0.0
            && prior > 0
            && proposed > 0
            && prior.max(proposed) <= 2 * SMALL_COUNT
            && prior.abs_diff(proposed) <= 1 + u32::from(prior.max(proposed) > SMALL_COUNT))
}

/// Whether so many instances are near their prior number: at least one more or less is.
pub(super) fn near_instances(prior: u32, proposed: u32, tolerance: f64) -> bool {
    let allowed = (tolerance * f64::from(proposed)).ceil().max(1.0);
    tolerance > 0.0 && prior > 0 && f64::from(prior.abs_diff(proposed)) <= allowed
        || prior == proposed
}

/// Whether a value as JSON is near its prior one; anything but a number is only near itself.
pub(super) fn near_value(prior: &Value, proposed: &Value, tolerance: f64) -> bool {
    if prior == proposed {
        return true;
    }
    match (prior.as_u64(), proposed.as_u64()) {
        (Some(a), Some(b)) => match (u32::try_from(a), u32::try_from(b)) {
            (Ok(a), Ok(b)) => near_count(a, b, tolerance),
            _ => near(a as f64, b as f64, tolerance),
        },
        _ => match (prior.as_f64(), proposed.as_f64()) {
            (Some(a), Some(b)) => near(a, b, tolerance),
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near() {
        assert!(near(100.0, 109.0, 0.1) && near(109.0, 100.0, 0.1));
        assert!(!near(100.0, 112.5, 0.1));
        // 130 → 150 is one step of the rounding, 130 → 160 two.
        assert!(near(130.0, 150.0, 0.1) && !near(130.0, 160.0, 0.1));
        assert!(!near(130.0, 150.0, 0.01));
        assert!(!near(0.0, 1.0, 0.1) && !near(1.0, 0.0, 0.1));
        assert!(near_count(3, 4, 0.1) && !near_count(3, 5, 0.1) && !near_count(0, 1, 0.1));
        assert!(near_count(11, 13, 0.1) && !near_count(8, 10, 0.1) && !near_count(3, 4, 0.0));
        assert!(near_instances(3, 4, 0.1) && near_instances(40, 44, 0.1));
        assert!(!near_instances(40, 46, 0.1) && !near_instances(3, 4, 0.0));
    }
}
